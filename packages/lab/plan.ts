/**
 * The plan of a lab: who there is, and who has which address. Everything else is made from it.
 *
 *                links l2                   links l3: each node on a subnet of its own
 *     world      192.168.50.1   fd50::1     172.20.1.1, 172.20.2.1 …   fd50:0:0:1::1 …      and 203.0.113.1, 2001:db8::1
 *     node-1     192.168.50.11  fd50::11    172.20.1.11                fd50:0:0:1::11
 *     node-2     192.168.50.12  fd50::12    172.20.2.11                fd50:0:0:2::11
 *     pods of node-1, either way: 10.244.1.0/24, fd00:10:244:1::/64
 *
 * The world is the nodes' router, as at home or in a cloud, and knows no pod: a packet for nobody they know goes there. On l3 it
 * is between all nodes. All of these are addresses for private use or for examples (RFC 1918, 4193, 5737, 3849).
 */
import { parseCidr, parseIp, type Cidr, type Family, type Ip } from "@vethwork/linux";

export interface LabSize {
  nodes: number;
  /** In all; the nodes take as even a share as there can be. */
  pods: number;
  families: readonly Family[];
  /** l2 unless given. */
  links?: Links;
}

/** What is between nodes: one wire for all, or a router. */
export type Links = "l2" | "l3";

export interface NodePlan {
  name: string;
  /** One of each family, on the wire. */
  addresses: Ip[];
  /** The world's addresses on the node's wire: its way to everybody else. */
  routers: Ip[];
  /** What its pods' addresses are taken from. */
  podSubnets: Cidr[];
  pods: string[];
}

export const WORLD = "world";
/** The bridge in the world that all nodes' wires are plugged into. */
export const LAN = "lan";
export const NETWORK_NAME = "lab";

/** The longest prefix that holds all nodes' pods; nobody's address is changed inside it. */
export const podNetwork = (family: Family): Cidr => parseCidr(family === 4 ? "10.244.0.0/16" : "fd00:10:244::/48");
/** The world's address on the wire that all nodes share. */
export const routerAddress = (family: Family): Ip => parseIp(family === 4 ? "192.168.50.1" : "fd50::1");
/** An address of the world that is not on the wire, as all others of the Internet are not. */
export const worldAddress = (family: Family): Ip => parseIp(family === 4 ? "203.0.113.1" : "2001:db8::1");
/** Prefix of a wire. */
export const wirePrefix = (family: Family): number => (family === 4 ? 24 : 64);

const MOST_NODES = 200; // 192.168.50.11 to .210; 172.20.1.11 to 172.20.200.11
const MOST_PODS_OF_A_NODE = 253; // 10.244.N.0/24 without network, gateway and broadcast

/** RangeError where the lab would not fit. */
export function planNodes({ nodes, pods, families, links = "l2" }: LabSize): NodePlan[] {
  within("--nodes", nodes, 1, MOST_NODES);
  within("--pods", pods, 1, nodes * MOST_PODS_OF_A_NODE);
  const names = Array.from({ length: pods }, (_, at) => `pod-${at + 1}`);
  return Array.from({ length: nodes }, (_, at): NodePlan => {
    const number = at + 1;
    const share = (index: number): number => Math.ceil((pods * index) / nodes);
    return {
      name: `node-${number}`,
      addresses: families.map((family) => nodeAddress(family, number, links)),
      routers: families.map((family) => (links === "l2" ? routerAddress(family) : parseIp(family === 4 ? `172.20.${number}.1` : `fd50:0:0:${number.toString(16)}::1`))),
      podSubnets: families.map((family) => parseCidr(family === 4 ? `10.244.${number}.0/24` : `fd00:10:244:${number.toString(16)}::/64`)),
      pods: names.slice(share(at), share(at + 1)),
    };
  });
}

function nodeAddress(family: Family, number: number, links: Links): Ip {
  if (links === "l2") return parseIp(family === 4 ? `192.168.50.${10 + number}` : `fd50::${10 + number}`);
  return parseIp(family === 4 ? `172.20.${number}.11` : `fd50:0:0:${number.toString(16)}::11`);
}

function within(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new RangeError(`Cannot plan a lab with ${option} ${value} (a whole number from ${low} to ${high} is wanted)`);
}

/** What a node itself sends from to pods behind a router: the end of its tunnel, its subnet's first address, which is no pod's. */
export const tunnelAddress = ({ podSubnets }: Pick<NodePlan, "podSubnets">, family: Family): Ip | undefined => podSubnets.find((subnet) => subnet.family === family)?.ip;

/** The nodes as Kubernetes would have them: what the agents are told, all of them the same. */
export function nodeObjects(nodes: readonly Pick<NodePlan, "name" | "addresses" | "podSubnets">[]): object[] {
  return nodes.map(({ name, addresses, podSubnets }) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    spec: { podCIDRs: podSubnets.map(String) },
    status: { addresses: addresses.map((ip) => ({ type: "InternalIP", address: String(ip) })) },
  }));
}
