/**
 * The wire of the lab: every node has a network card, and all cards hang on one switch, which stands in the world.
 *
 *      node-1        node-2             world
 *      eth0 ═══════════════════════▶ bridge "lan" 192.168.50.1    lo 203.0.113.1
 *                     eth0 ════════▶
 *
 * It knows nothing of pods: it carries what nodes send each other and the world, as a data centre's network does. A
 * node's default route is the world.
 */
import { cidrOf, type Family, type Link, type Netns } from "@vethwork/linux";
import { defaultRoute } from "@vethwork/plugins/vethwork/cable.ts";
import { LAN, routerAddress, wirePrefix, worldAddress, type NodePlan } from "./plan.ts";

/** Makes the world's switch, its address on the wire, and one that is farther away. */
export function layLan(world: Netns, families: readonly Family[]): void {
  turnOn(world, "lo");
  world.links.add({ kind: "bridge", name: LAN, up: true });
  const lan = world.links.get(LAN);
  for (const family of families) {
    world.addrs.add(lan, { address: cidrOf(routerAddress(family), wirePrefix(family)), nodad: true });
    world.addrs.add(world.links.get("lo"), { address: cidrOf(worldAddress(family)), nodad: true });
  }
}

/** Gives a node its card, its addresses and its default route. */
export function plugIn(world: Netns, node: Netns, { name, addresses }: Pick<NodePlan, "name" | "addresses">): void {
  turnOn(node, "lo");
  world.links.add({ kind: "veth", name, peer: { name: "eth0", netnsFd: node.fd } });
  // There is one host of each address in the lab, so nobody waits for duplicates (RFC 4862 section 5.4).
  node.sysctl.setIfThere("net/ipv6/conf/eth0/accept_dad", 0);
  world.links.set(world.links.get(name), { master: world.links.get(LAN), up: true });
  const card = turnOn(node, "eth0");
  for (const ip of addresses) {
    node.addrs.add(card, { address: cidrOf(ip, wirePrefix(ip.family)), nodad: true });
    node.routes.add({ dst: defaultRoute(ip.family), via: routerAddress(ip.family) });
  }
}

export function turnOn(netns: Netns, name: string): Link {
  const link = netns.links.get(name);
  netns.links.set(link, { up: true });
  return link;
}
