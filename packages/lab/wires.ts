/**
 * The wires of the lab: every node has a network card, and the world is at the other end.
 *
 *     l2   node-1 eth0 ════▶ bridge "lan" 192.168.50.1        l3   node-1 eth0 ════▶ node-1 172.20.1.1
 *          node-2 eth0 ════▶                                       node-2 eth0 ════▶ node-2 172.20.2.1   the world routes
 *
 * They know nothing of pods: they carry what nodes send each other and the world, as a data centre's network does. A
 * node's default route is the world, which has an address that is farther away, too: 203.0.113.1.
 */
import { cidrOf, type Family, type Ip, type Link, type Netns } from "@vethwork/linux";
import { ensureForwarding } from "@vethwork/plugins/shared/forwarding.ts";
import { defaultRoute } from "@vethwork/plugins/vethwork/cable.ts";
import { LAN, routerAddress, wirePrefix, worldAddress, type Links, type NodePlan } from "./plan.ts";

/** Makes the world: a switch that has an address on the wire of all nodes, or a router. */
export function layLan(world: Netns, families: readonly Family[], links: Links = "l2"): void {
  turnOn(world, "lo");
  for (const family of families) addressOn(world, world.links.get("lo"), { ip: worldAddress(family) });
  if (links === "l3") {
    for (const family of families) ensureForwarding(world, family);
    return;
  }
  world.links.add({ kind: "bridge", name: LAN, up: true });
  for (const family of families) addressOn(world, world.links.get(LAN), { ip: routerAddress(family), prefix: wirePrefix(family) });
}

/** A node's place on the wires. */
export type Seat = Pick<NodePlan, "name" | "addresses"> & Partial<Pick<NodePlan, "routers">>;

/** Gives a node its card, its addresses and its default route. */
export function plugIn(world: Netns, node: Netns, { name, addresses, routers = addresses.map(({ family }) => routerAddress(family)) }: Seat, links: Links = "l2"): void {
  turnOn(node, "lo");
  world.links.add({ kind: "veth", name, peer: { name: "eth0", netnsFd: node.fd } });
  // There is one host of each address in the lab, so nobody waits for duplicates (RFC 4862 section 5.4).
  node.sysctl.setIfThere("net/ipv6/conf/eth0/accept_dad", 0);
  world.sysctl.setIfThere(`net/ipv6/conf/${name}/accept_dad`, 0);
  const port = world.links.get(name);
  world.links.set(port, { ...(links === "l2" && { master: world.links.get(LAN) }), up: true });
  if (links === "l3") for (const ip of routers) addressOn(world, port, { ip, prefix: wirePrefix(ip.family) });
  const card = turnOn(node, "eth0");
  for (const ip of addresses) addressOn(node, card, { ip, prefix: wirePrefix(ip.family) });
  for (const via of routers) node.routes.add({ dst: defaultRoute(via.family), via });
}

function addressOn(netns: Netns, link: Link, { ip, prefix }: { ip: Ip; prefix?: number }): void {
  netns.addrs.add(link, { address: cidrOf(ip, prefix), nodad: true });
}

export function turnOn(netns: Netns, name: string): Link {
  const link = netns.links.get(name);
  netns.links.set(link, { up: true });
  return link;
}
