/**
 * The plan of a lab: who there is, and who has which address. Everything else is made from it.
 *
 *     world      192.168.50.1    fd50::1      and 203.0.113.1, 2001:db8::1: a host that knows no pod
 *     node-1     192.168.50.11   fd50::11     its pods 10.244.1.0/24, fd00:10:244:1::/64
 *     node-2     192.168.50.12   fd50::12     its pods 10.244.2.0/24, fd00:10:244:2::/64
 *     …
 *
 * The world is the nodes' router, as at home or in a cloud: a packet for nobody they know goes there. All of these are
 * addresses for private use or for examples (RFC 1918, 4193, 5737, 3849), and none leaves the lab.
 */
import { parseCidr, parseIp, type Cidr, type Family, type Ip } from "@vethwork/linux";

export interface LabSize {
  nodes: number;
  /** In all; the nodes take as even a share as there can be. */
  pods: number;
  families: readonly Family[];
}

export interface NodePlan {
  name: string;
  /** One of each family, on the wire. */
  addresses: Ip[];
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
/** The world's address on the wire: the nodes' default gateway. */
export const routerAddress = (family: Family): Ip => parseIp(family === 4 ? "192.168.50.1" : "fd50::1");
/** An address of the world that is not on the wire, as all others of the Internet are not. */
export const worldAddress = (family: Family): Ip => parseIp(family === 4 ? "203.0.113.1" : "2001:db8::1");
/** Prefix of the wire that the nodes share. */
export const wirePrefix = (family: Family): number => (family === 4 ? 24 : 64);

const MOST_NODES = 200; // 192.168.50.11 to .210
const MOST_PODS_OF_A_NODE = 253; // 10.244.N.0/24 without network, gateway and broadcast

/** RangeError where the lab would not fit. */
export function planNodes({ nodes, pods, families }: LabSize): NodePlan[] {
  within("--nodes", nodes, 1, MOST_NODES);
  within("--pods", pods, 1, nodes * MOST_PODS_OF_A_NODE);
  const names = Array.from({ length: pods }, (_, at) => `pod-${at + 1}`);
  return Array.from({ length: nodes }, (_, at): NodePlan => {
    const number = at + 1;
    const share = (index: number): number => Math.ceil((pods * index) / nodes);
    return {
      name: `node-${number}`,
      addresses: families.map((family) => parseIp(family === 4 ? `192.168.50.${10 + number}` : `fd50::${10 + number}`)),
      podSubnets: families.map((family) => parseCidr(family === 4 ? `10.244.${number}.0/24` : `fd00:10:244:${number.toString(16)}::/64`)),
      pods: names.slice(share(at), share(at + 1)),
    };
  });
}

function within(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new RangeError(`Cannot plan a lab with ${option} ${value} (a whole number from ${low} to ${high} is wanted)`);
}

/** The configuration that is all a node needs: the mission's own example, with the node's share filled in. */
export function pluginConfig({ podSubnets }: NodePlan): object {
  const networks = podSubnets.map(({ family }) => String(podNetwork(family)));
  const subnets = podSubnets.map(String);
  const one = <T>(list: T[]): T | T[] | undefined => (list.length === 1 ? list[0] : list);
  return { cniVersion: "1.1.0", name: NETWORK_NAME, type: "vethwork", network: one(networks), subnet: one(subnets) };
}

/** The list of nodes that `vethwork node --peers` reads; the same file serves all. */
export function peersFile(nodes: readonly NodePlan[]): object {
  return {
    nodes: nodes.map(({ name, addresses, podSubnets }) => ({ name, addresses: addresses.map(String), podSubnets: podSubnets.map(String) })),
  };
}
