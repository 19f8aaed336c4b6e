/**
 * The plan: what the kernel should have so that pods here reach pods there. It is made of the cluster's nodes and of how this
 * node reaches them (./underlay.ts), and touches nothing.
 *
 *     nodes ──► whose subnets are to be believed (./subnets.ts) ──► the way to each (./ways.ts) ──► routes, devices, their MTU
 */
import type { Cidr, Family, Ip, Mac, WireguardPeer } from "@vethwork/linux";
import type { ClusterNode } from "../cluster.ts";
import type { DatapathOptions, PeerStatus } from "./datapath.ts";
import { OVERHEAD, macOfNode, vxlanName } from "./ends.ts";
import { subnetsOf } from "./subnets.ts";
import { wayTo, type End, type PlannedRoute, type Underlay, type Way } from "./ways.ts";

/** A VXLAN device, and the others' ends. */
export interface Tunnel {
  name: string;
  local: Ip;
  mac: Mac;
  mtu: number;
  ends: End[];
}

export interface Plan {
  peers: PeerStatus[];
  routes: PlannedRoute[];
  tunnels: Tunnel[];
  encryption: { mtu: number; peers: WireguardPeer[] } | undefined;
  /** This node's own pods. */
  ownSubnets: readonly Cidr[];
  /** Those of all nodes. */
  podSubnets: Cidr[];
  /** Addresses of this node and of those that pods may speak to with their own address (Way.isOpen). */
  openNodes: Ip[];
  podMtu: number;
  problems: string[];
}

const SMALLEST_MTU_OF_IPV6 = 1280; // RFC 8200 section 5
const ETHERNET = 1500;

/** RangeError where this node is not among them: then nothing can be said of the others. */
export function planOf(nodes: readonly ClusterNode[], options: DatapathOptions, underlay: Underlay): Plan {
  const self = nodes.find(({ name }) => name === options.self);
  if (!self) throw new RangeError(`Cannot plan: this node, "${options.self}", is not among the cluster's ${nodes.length}`);
  const { of, isOutside, problems } = subnetsOf(nodes, { self: self.name, clusterSubnets: options.clusterSubnets });
  const believed = (node: ClusterNode): ClusterNode => ({ ...node, addresses: node.addresses.filter(isOutside), podSubnets: of.get(node.name) ?? [] });
  const scene = { self: believed(self), options, underlay, doubleKeys: doubleKeysOf(nodes) };
  const others = nodes.filter(({ name }) => name !== self.name).map((node) => ({ node, way: wayTo(believed(node), scene) }));
  const ways = others.map(({ way }) => way);
  const mtus = mtusOf(scene.self, ways, { options, underlay });
  const podMtu = options.mtu || mtus.pod;
  return {
    peers: ways.map(({ status }) => status),
    routes: ways.flatMap(({ routes }) => routes),
    tunnels: ([4, 6] as const).flatMap((outside) => tunnelOf(scene.self, { outside, mtu: mtus.vxlan(outside) }, ways)),
    encryption: options.encrypt === "wireguard" ? { mtu: mtus.wireguard, peers: ways.flatMap(({ peer }) => peer ?? []) } : undefined,
    ownSubnets: scene.self.podSubnets,
    podSubnets: [...of.values()].flat(),
    openNodes: [...scene.self.addresses, ...others.filter(({ way }) => way.isOpen).flatMap(({ node }) => node.addresses.filter(isOutside))],
    podMtu,
    problems: [...ownProblems(scene.self, { underlay, podMtu, fits: mtus.pod }), ...problems, ...ways.flatMap(({ problem }) => problem ?? [])],
  };
}

/** A state folder that was copied with a machine's image gives two nodes one key. */
function doubleKeysOf(nodes: readonly ClusterNode[]): Set<string> {
  const keys = nodes.map(({ published }) => published.wireguardKey).filter((key) => key !== undefined);
  const seen = new Set<string>();
  return new Set(keys.filter((key) => seen.has(key) || (seen.add(key), false)));
}

function tunnelOf(self: ClusterNode, { outside, mtu }: { outside: Family; mtu: number }, ways: readonly Way[]): Tunnel[] {
  const ends = ways.filter((way) => way.outside === outside).flatMap(({ end }) => end ?? []);
  const local = self.addresses.find(({ family }) => family === outside);
  return ends.length > 0 && local ? [{ name: vxlanName(outside), local, mac: macOfNode(self.name), mtu, ends }] : [];
}

interface Mtus {
  vxlan(outside: Family): number;
  wireguard: number;
  /** What gets through by all ways: a pod's interface has one MTU for all of them. */
  pod: number;
}

/**
 * The tightest of all ways counts. A tunnel that everybody will be reached by counts before there is anybody, by the links that
 * have this node's own addresses.
 */
function mtusOf({ addresses }: ClusterNode, ways: readonly Way[], { options, underlay }: { options: DatapathOptions; underlay: Underlay }): Mtus {
  const own = (outside?: Family): number => least(addresses.filter(({ family }) => (outside ?? family) === family).map((ip) => underlay(ip)?.mtu)) ?? ETHERNET;
  const sure = options.encrypt === "wireguard" ? "wireguard" : options.tunnel === "always" ? "vxlan" : undefined;
  const first = addresses.some(({ family }) => family === 4) ? 4 : 6;
  const tunnels = [
    ...(sure ? [{ kind: sure, outside: first, mtu: own(first) } as const] : []),
    ...ways.flatMap(({ status: { way: kind }, outside, mtu }) => (outside && (kind === "vxlan" || kind === "wireguard") ? [{ kind, outside, mtu: mtu ?? own(outside) }] : [])),
  ].map(({ kind, outside, mtu }) => ({ kind, outside, mtu: mtu - OVERHEAD[kind][outside] }));
  const inside = (kind: "vxlan" | "wireguard", outside?: Family): number =>
    least(tunnels.filter((tunnel) => tunnel.kind === kind && (outside ?? tunnel.outside) === tunnel.outside).map(({ mtu }) => mtu)) ?? own(outside);
  const direct = ways.filter(({ status }) => status.way === "direct").map(({ mtu }) => mtu);
  return { vxlan: (outside) => inside("vxlan", outside), wireguard: inside("wireguard"), pod: least([...tunnels.map(({ mtu }) => mtu), ...direct]) ?? own() };
}

function least(numbers: readonly (number | undefined)[]): number | undefined {
  const some = numbers.filter((number) => number !== undefined);
  return some.length > 0 ? Math.min(...some) : undefined;
}

function ownProblems({ addresses, podSubnets }: ClusterNode, { underlay, podMtu, fits }: { underlay: Underlay; podMtu: number; fits: number }): string[] {
  const strange = addresses.filter((ip) => !underlay(ip)?.own);
  const hasIpv6 = podSubnets.some(({ family }) => family === 6);
  return [
    ...(addresses.length === 0 ? ["this node has no address in the cluster"] : []),
    ...strange.map((ip) => `${ip} is said to be this node's address, and no link of it has that`),
    ...(podMtu > fits ? [`packets of ${podMtu} bytes are asked for, and no more than ${fits} get through to all nodes`] : []),
    ...(hasIpv6 && podMtu < SMALLEST_MTU_OF_IPV6 ? [`pods have IPv6, and packets of no more than ${podMtu} bytes get through (${SMALLEST_MTU_OF_IPV6} are wanted)`] : []),
  ];
}

