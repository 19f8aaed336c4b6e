/**
 * The other nodes: where their pods are, from a static list.
 *
 *     { "nodes": [ { "name": "node-1", "addresses": ["192.168.50.11"], "podSubnets": ["10.244.1.0/24"] }, … ] }
 *
 * A node's pods are reached by a route to that node, where it is on a link of ours. Its addresses are exempt from
 * masquerade: a pod that speaks to a node is seen with its own address. (With a list that is no list any more, but
 * watched, this becomes the agent's.)
 */
import { cidrOf, contains, networkOf, overlaps, parseCidr, parseIp, sameCidr, sameIp, type Cidr, type Ip, type Netns, type Route } from "@vethwork/linux";
import { ensureForwarding } from "./forwarding.ts";
import { setNodes } from "./table.ts";

/** 119; pods' own routes have 118 (../vethwork/cable.ts), so that neither takes the other's for stale. */
export const PEER_ROUTE_PROTOCOL = 119;

export interface Peer {
  name: string;
  addresses: Ip[];
  podSubnets: Cidr[];
}

export interface PeerChange {
  verb: "add" | "delete" | "set";
  what: string;
}

/** Reads the list; RangeError names the value, what was wanted, and where it came from. */
export function parsePeers(text: string, source: string): Peer[] {
  const wrong = (what: string): RangeError => new RangeError(`Cannot read peers from "${source}": ${what}`);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`Cannot read peers from "${source}": ${error instanceof Error ? error.message : "no JSON"}`, { cause: error });
  }
  const nodes = fieldOf(root, "nodes");
  if (!Array.isArray(nodes)) throw wrong('"nodes" is missing (a list of nodes is wanted)');
  const peers = nodes.map((node: unknown, at): Peer => {
    const name = fieldOf(node, "name");
    if (typeof name !== "string" || name === "") throw wrong(`nodes[${at}].name is ${JSON.stringify(name)} (a name is wanted)`);
    const list = <T>(key: string, read: (item: string) => T): T[] => {
      const items = fieldOf(node, key);
      if (!Array.isArray(items) || items.length === 0) throw wrong(`nodes[${at}].${key} of "${name}" is missing (a list is wanted)`);
      return items.map((item: unknown, index) => {
        try {
          return read(String(item));
        } catch (error) {
          if (error instanceof RangeError) throw wrong(`nodes[${at}].${key}[${index}] of "${name}": ${error.message}`);
          throw error;
        }
      });
    };
    return { name, addresses: list("addresses", parseIp), podSubnets: list("podSubnets", (item) => networkOf(parseCidr(item))) };
  });
  const clash = firstClash(peers);
  if (clash) throw wrong(clash);
  return peers;
}

/** Two nodes with one name, one address, or one pod subnet: a packet could not know where to go. */
function firstClash(peers: readonly Peer[]): string | undefined {
  for (const [at, one] of peers.entries()) {
    for (const other of peers.slice(0, at)) {
      if (one.name === other.name) return `two nodes are called "${one.name}"`;
      const address = one.addresses.find((ip) => other.addresses.some((its) => sameIp(ip, its)));
      if (address) return `"${other.name}" and "${one.name}" both have address ${address}`;
      const subnet = one.podSubnets.find((its) => other.podSubnets.some((theirs) => overlaps(its, theirs)));
      if (subnet) return `pod subnet ${subnet} of "${one.name}" overlaps one of "${other.name}"`;
    }
  }
  return undefined;
}

/** Makes routes and exemptions as the list says; gives what was changed, or with dryRun what would be. */
export function applyPeers(host: Netns, peers: readonly Peer[], { dryRun }: { dryRun: boolean }): PeerChange[] {
  const own = host.addrs.list().map(({ address }) => address);
  const isSelf = ({ addresses }: Peer): boolean => addresses.some((ip) => own.some((address) => sameIp(address.ip, ip)));
  if (peers.length > 0 && !peers.some(isSelf)) {
    throw new RangeError(`Cannot tell which node this is: none of the nodes' addresses is one of ${own.map((one) => one.ip).join(", ")}`);
  }
  const wanted = peers.filter((peer) => !isSelf(peer)).flatMap((peer) => routesTo(peer, own));
  const there = host.routes.list({ protocol: PEER_ROUTE_PROTOCOL });
  const stale = there.filter((route) => !wanted.some((one) => sameCidr(one.dst, route.dst)));
  const missing = wanted.filter((route) => !there.some((one) => sameRoute(one, route)));
  if (!dryRun) {
    for (const route of stale) host.routes.delete(route);
    for (const route of missing) host.routes.ensure(route);
    for (const family of new Set(wanted.map(({ dst }) => dst.family))) ensureForwarding(host, family);
    setNodes(host, peers.flatMap(({ addresses }) => addresses));
  }
  return [...stale.map((route) => changeOf("delete", route)), ...missing.map((route) => changeOf("add", route))];
}

/** A route to each of the node's pod subnets, by the first of its addresses that is on a link of ours. */
function routesTo({ name, addresses, podSubnets }: Peer, own: readonly Cidr[]): Route[] {
  return podSubnets.map((subnet) => {
    const via = addresses.find((ip) => own.some((address) => contains(address, ip) && !sameCidr(address, cidrOf(ip)) && ip.family === subnet.family));
    if (via) return { dst: subnet, via, protocol: PEER_ROUTE_PROTOCOL };
    const links = own.filter(({ family }) => family === subnet.family).join(", ") || `no IPv${subnet.family} address`;
    throw new RangeError(`Cannot reach node "${name}" for its pods ${subnet}: none of ${addresses.join(", ")} is on a link of this node (${links})`);
  });
}

const sameRoute = (a: Route, b: Route): boolean => sameCidr(a.dst, b.dst) && String(a.via) === String(b.via);
const changeOf = (verb: "add" | "delete", { dst, via }: Route): PeerChange => ({ verb, what: `route to ${dst} via ${via}` });

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Object.entries(value).find(([name]) => name === key)?.[1] : undefined;
}
