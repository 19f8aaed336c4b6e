/**
 * Why a packet does not get through: goes its way hop by hop, and asks each kernel what it would do with it.
 *
 *     pod-1 ──cable──▶ node-1 ──route──▶ node-2 ──cable──▶ pod-3        and the way back
 *       has it an address, a default route?   does it forward?   does it know the pod?
 *
 * Each finding names the hop and what is missing there. What cannot be seen this way are packet filters: where every hop is
 * in place, those that may drop are named.
 */
import { NETWORK_NAME, podNetwork } from "./plan.ts";
import { isForwarding } from "@vethwork/plugins/shared/forwarding.ts";
import { findFaults, TABLE } from "@vethwork/plugins/shared/table.ts";
import { wayOutFaults } from "@vethwork/plugins/shared/way-out.ts";
import { cableFaults } from "@vethwork/plugins/vethwork/cable.ts";
import { fdbIn, type Ip, type Link } from "@vethwork/linux";
import type { NodeParty, Party } from "./scene.ts";

export interface Way {
  from: Party;
  to: Party;
  /** The address that `to` is called by. */
  address: Ip;
  /** The source that `to` should see; the answer goes there. */
  expected: Ip;
}

/** What is missing on the way there and on the way back, in words; at least one sentence. */
export function diagnose({ from, to, address, expected }: Way): string[] {
  const seenAs = from.kind === "pod" && to.kind === "world" && from.node ? from.node : from;
  const masquerade = seenAs === from || !from.node ? [] : masqueradeOf(from.node);
  const faults = [...hops(from, to, address), ...masquerade, ...hops(to, seenAs, expected)];
  if (faults.length > 0) return [...new Set(faults)];
  const filters = [...new Set([from.node, to.node])].filter((node) => node !== undefined).flatMap(filtersOf);
  const suspects = filters.length > 0 ? `these packet filters may drop it: ${filters.join(", ")}` : "and no chain of nftables there filters";
  return [`every hop between ${from.name} and ${to.name} is in place; ${suspects}`];
}

/** One direction: the sender, its node, the receiver's node, the receiver. */
function hops(from: Party, to: Party, address: Ip): string[] {
  const passed = [...new Set([from.node, to.node])].filter((node) => node !== undefined).filter((node) => node !== from && node !== to);
  return [
    ...cableOf(from),
    ...wayOut(from, to, address),
    ...passed.flatMap((node) => [...forwardingOf(node, address), ...wayOut(node, to, address)]),
    ...cableOf(to),
  ];
}

/** A pod's cable, as the plugin left it. */
function cableOf({ kind, name, netns, addresses, node, pod }: Party): string[] {
  if (kind !== "pod" || !node || !pod) return [];
  return cableFaults(node.netns, netns, { outside: pod.hostEnd, inside: pod.link, addresses, sourceCheck: true }).map((fault) => `${name} on ${node.name}: ${fault}`);
}

/** Whether a hop knows where to send the packet: pods of another node are behind that node, and nowhere else. */
function wayOut({ name, netns, node }: Pick<Party, "name" | "netns" | "node">, to: Party, address: Ip): string[] {
  const route = netns.routes.find(address);
  if (!route) return [`${name}: there is no route to ${address}`];
  const link = route.link === undefined ? undefined : netns.links.find(route.link);
  if (link && !link.up) return [`${name}: the way to ${address} is by "${link.name}", which is down`];
  if (link && !link.carrier && !link.loopback) return [`${name}: the way to ${address} is by "${link.name}", whose other end is down or gone`];
  const isBehind = name === node?.name && to.kind === "pod" && to.node !== node;
  if (!isBehind || !to.node) return [];
  if (link && WRAPPED.has(link.kind)) return wrappedWay({ name, netns, node }, to.node, link);
  if (to.node.addresses.some((ip) => String(ip) === String(route.via))) return [];
  return [`${name}: the way to ${address} is not by ${to.node.name}, ${to.node.addresses.join(" or ")}, but ${route.via ? `by ${route.via}` : `"${link?.name}"`} (the node's agent makes it so: vethwork status)`];
}

const WRAPPED: ReadonlySet<string> = new Set(["vxlan", "wireguard"]);

/** A tunnel's device has to know the other node, and the node has to know the way there. */
function wrappedWay({ name, netns, node }: Pick<Party, "name" | "netns" | "node">, other: NodeParty, link: Link): string[] {
  const ends = link.kind === "vxlan" ? fdbIn(netns).list(link).map(({ host }) => host) : other.addresses;
  const end = other.addresses.find((ip) => ends.some((one) => String(one) === String(ip)));
  if (!end) return [`${name}: "${link.name}" does not know where ${other.name} is (the node's agent tells it: vethwork status)`];
  return wayOut({ name, netns, node }, other, end);
}

/** A node on the way of somebody else's packet. */
function forwardingOf({ name, netns }: NodeParty, { family }: Ip): string[] {
  return isForwarding(netns, family) ? [] : [`${name}: it does not forward IPv${family} (sysctl ${FORWARDING[family]} is 0)`];
}

const FORWARDING = { 4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding" } as const;

function masqueradeOf(node: NodeParty): string[] {
  const wanted = { masquerade: true, ownSubnets: node.plan.podSubnets, kept: [], nodes: [], tunnelPorts: [] };
  const networks = node.plan.podSubnets.map(({ family }) => podNetwork(family));
  const faults = [...wayOutFaults(node.netns, wanted), ...findFaults(node.netns, { name: NETWORK_NAME, networks, masquerade: false, sourceCheck: true })];
  return faults.map((fault) => `${node.name}: ${fault}`);
}

/** Others' chains: ours are looked at rule by rule. */
function filtersOf({ name, netns }: NodeParty): string[] {
  const chains = netns.nft.chains().filter(({ base, table }) => (base?.policy === "drop" || base?.type === "filter") && table.name !== TABLE.name);
  return chains.map(({ table, name: chain }) => `chain ${table.family} ${table.name} ${chain} on ${name}`);
}
