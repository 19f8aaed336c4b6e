/**
 * The way to one other node's pods.
 *
 *                     is the other on a link of ours?
 *     yes ──► direct      10.244.2.0/24 via 192.0.2.12 dev eth0
 *     no  ──► vxlan       10.244.2.0/24 via 10.244.2.0 dev vethwork-vxlan4 onlink
 *                         10.244.2.0 is at 5e:21:…, and 5e:21:… is at 192.0.2.12 (./ends.ts)
 *     encrypted instead   10.244.2.0/24 dev vethwork-wg, and the key that 10.244.2.0/24 belongs to
 *     no key there yet    unreachable 10.244.2.0/24: nothing goes out in the clear
 *
 * Both nodes decide by the same facts, so that packets come back the way they went: a node that filters by the way back
 * (rp_filter) drops others. What is done with all ways together is ./plan.ts's.
 */
import { isWireguardKey, type Cidr, type Family, type Ip, type Mac, type WireguardPeer } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";
import type { DatapathOptions, PeerStatus } from "./datapath.ts";
import { WIREGUARD_NAME, WIREGUARD_PORT, endOf, macOfNode, vxlanName } from "./ends.ts";

/** How this node reaches an address outside. */
export interface Reach {
  /** Name of the link by which packets leave; of an own address the link that has it. */
  link: string;
  /** Largest packet on that way, in bytes. */
  mtu: number;
  /** The next router; absent where the address is on the link itself. */
  via?: Ip;
  /** The address is this node's own. */
  own?: boolean;
}

/** What the network below the pods is like; asked of the kernel by ./underlay.ts. Undefined: no way there. */
export type Underlay = (ip: Ip) => Reach | undefined;

export interface PlannedRoute {
  dst: Cidr;
  /** Whose pods they are. */
  node: string;
  /** Absent: nobody is to be reached there, and who tries is told so. */
  link?: string;
  via?: Ip;
  onlink?: boolean;
}

/** The other end of a VXLAN tunnel. */
export interface End {
  mac: Mac;
  host: Ip;
  /** Addresses inside that its MAC address is told for. */
  inside: readonly Ip[];
}

export interface Way {
  status: PeerStatus;
  routes: PlannedRoute[];
  /** Largest packet outside, in bytes; undefined where there is no way. */
  mtu?: number | undefined;
  /** Of a tunnel: the family outside. */
  outside?: Family;
  end?: End;
  peer?: WireguardPeer;
  /** The node itself knows the way back to our pods without a tunnel: they may speak to it with their own address. */
  isOpen: boolean;
  problem?: string;
}

/** What is the same for all other nodes. */
export interface Scene {
  self: ClusterNode;
  options: DatapathOptions;
  underlay: Underlay;
  /** Keys that more than one node has published: a packet could not know which of them is meant. */
  doubleKeys: ReadonlySet<string>;
}

/** @param peer with those of its subnets that are to be believed */
export function wayTo(peer: ClusterNode, scene: Scene): Way {
  const own = peer.addresses.find((ip) => scene.underlay(ip)?.own);
  if (own) return { ...none(peer, `${own} is this node's own address`), problem: `node "${peer.name}" says that it has ${own}, which is this node's` };
  if (scene.options.encrypt === "wireguard") return encryptedWay(peer, scene);
  const { tunnel } = scene.options;
  const direct = tunnel === "always" ? undefined : directWay(peer, scene);
  return direct ?? (tunnel === "never" ? unwrappedWay(peer, scene) : wrappedWay(peer, scene));
}

function none({ name, podSubnets }: ClusterNode, because: string): Way {
  return { status: { name, podSubnets, way: "none", because }, routes: [], isOpen: false };
}

const NO_PODS = "no pod subnet yet";

/** Undefined where there is none for each family that pods here or there have. */
function directWay(peer: ClusterNode, { self, underlay }: Scene): Way | undefined {
  const { name, podSubnets } = peer;
  const near = new Map<Family, Reach & { ip: Ip }>();
  for (const { family } of [...self.podSubnets, ...podSubnets]) {
    // Also this node has to have the family: the other could not answer it else, and would not choose this way.
    const reach = self.addresses.some((ip) => ip.family === family) ? nearAddress(peer, { family, underlay }) : undefined;
    if (!reach) return undefined;
    near.set(family, reach);
  }
  if (near.size === 0) return undefined;
  const routes = podSubnets.flatMap((dst) => {
    const reach = near.get(dst.family);
    return reach ? [{ dst, node: name, link: reach.link, via: reach.ip }] : [];
  });
  const links = [...new Set([...near.values()].map(({ link }) => link))].join(", ");
  const status = podSubnets.length > 0 ? { name, podSubnets, way: "direct" as const, because: `on link ${links}` } : none(peer, NO_PODS).status;
  return { status, routes, mtu: Math.min(...[...near.values()].map(({ mtu }) => mtu)), isOpen: true };
}

/** The first of its addresses that is on a link of ours. */
function nearAddress({ addresses }: ClusterNode, { family, underlay }: { family: Family; underlay: Underlay }): (Reach & { ip: Ip }) | undefined {
  for (const ip of addresses) {
    const reach = ip.family === family ? underlay(ip) : undefined;
    if (reach && !reach.via) return { ...reach, ip };
  }
  return undefined;
}

/** Not wrapped and on no link of ours: routers in between have to know, as those of a cloud may. */
function unwrappedWay(peer: ClusterNode, { underlay }: Scene): Way {
  if (peer.podSubnets.length === 0) return { ...none(peer, NO_PODS), isOpen: true };
  const routers = [...new Set(peer.addresses.map((ip) => underlay(ip)?.via).filter((via) => via !== undefined).map(String))];
  const because = routers.length > 0 ? `behind ${routers.join(", ")}, and nothing is to be wrapped` : noRoute(peer.addresses);
  return { ...none(peer, because), isOpen: true, problem: `pods of node "${peer.name}" are left to the routers: it is ${because}` };
}

const noRoute = (addresses: readonly Ip[]): string => (addresses.length > 0 ? `without a route to it at ${addresses.join(", ")}` : "without an address");

interface Outside {
  family: Family;
  local: Ip;
  host: Ip;
  reach: Reach | undefined;
}

/** The addresses that a tunnel has outside: IPv4 where both have it, whatever is in it. */
function outsideOf(peer: ClusterNode, { self, underlay }: Scene): Outside | undefined {
  for (const family of [4, 6] as const) {
    const [local, host] = [self, peer].map(({ addresses }) => addresses.find((ip) => ip.family === family));
    if (local && host) return { family, local, host, reach: underlay(host) };
  }
  return undefined;
}

function wrappedWay(peer: ClusterNode, scene: Scene): Way {
  const { name, podSubnets } = peer;
  if (podSubnets.length === 0) return none(peer, NO_PODS);
  const outside = outsideOf(peer, scene);
  if (!outside) return strangers(peer, scene);
  const { family, host, reach } = outside;
  const end = { mac: macOfNode(name), host, inside: podSubnets.map(endOf) };
  const routes = podSubnets.map((dst) => ({ dst, node: name, link: vxlanName(family), via: endOf(dst), onlink: true }));
  const status = { name, podSubnets, way: "vxlan" as const, because: scene.options.tunnel === "always" ? "always wrapped" : whyWrapped(reach) };
  return { status, routes, mtu: reach?.mtu, outside: family, end, isOpen: false, ...lost(peer, outside) };
}

const whyWrapped = (reach: Reach | undefined): string =>
  reach?.via ? `behind ${reach.via}, so wrapped` : reach ? "on a link of ours, but not in each family that pods have, so wrapped" : "on no link of ours, so wrapped";

/** A tunnel whose other end cannot be reached is made all the same: it works as soon as there is a way. */
const lost = ({ name }: ClusterNode, { host, reach }: Outside): { problem?: string } => (reach ? {} : { problem: `there is no route to node "${name}" at ${host}` });

function strangers(peer: ClusterNode, { self }: Scene): Way {
  const lists = [self, peer].map(({ addresses }) => addresses.join(", ") || "none");
  const because = `its addresses (${lists[1]}) and ours (${lists[0]}) have no family in common`;
  return { ...none(peer, because), problem: `node "${peer.name}" cannot be reached: ${because}` };
}

function encryptedWay(peer: ClusterNode, scene: Scene): Way {
  const { name, podSubnets, published: { wireguardKey: key = "" } } = peer;
  if (podSubnets.length === 0) return none(peer, NO_PODS);
  const outside = outsideOf(peer, scene);
  const refused = outside ? keyFault(peer, scene) : strangers(peer, scene);
  if (refused || !outside) return { ...none(peer, ""), ...refused, routes: podSubnets.map((dst) => ({ dst, node: name })) };
  const { family, host, reach } = outside;
  return {
    status: { name, podSubnets, way: "wireguard", because: `its key is ${key}` },
    routes: podSubnets.map((dst) => ({ dst, node: name, link: WIREGUARD_NAME })),
    mtu: reach?.mtu, outside: family, peer: { key, endpoint: { ip: host, port: WIREGUARD_PORT }, allowed: podSubnets }, isOpen: false, ...lost(peer, outside),
  };
}

function keyFault(peer: ClusterNode, { doubleKeys }: Scene): Way | undefined {
  const { name, published: { wireguardKey: key = "" } } = peer;
  if (key === "") return none(peer, "no key published yet");
  if (!isWireguardKey(key)) return none(peer, "its published key does not read");
  return doubleKeys.has(key) ? { ...none(peer, "another node has published the same key"), problem: `node "${name}" has the key of another node` } : undefined;
}
