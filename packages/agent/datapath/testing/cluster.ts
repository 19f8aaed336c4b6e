/**
 * A cluster for tests of the data path: nodes, pods, a router and the world, all namespaces of this one process.
 *
 *     node-1  node-2            node-3
 *     192.0.2.11   .12          198.51.100.13
 *        └───────┴── wire a ── router ── wire b ──┘       the router knows the wires and the world, and no pod
 *                              203.0.113.1
 *     pods 10.244.1.0/24, fd00:10:244:1::/64, …           one on each node: 10.244.1.7
 *
 * Nothing of it is on the machine: it goes with the test.
 */
import { expect, test } from "bun:test";
import { Netns, cidrOf, openSocket, parseCidr, parseIp, unless, type Family, type Ip } from "@vethwork/linux";
import { held, outputIn } from "@vethwork/linux/testing/room.ts";
import { missing, skipped } from "../../../../tests/conformance/node/needs.ts";
import type { ClusterNode } from "../../cluster.ts";
import type { Datapath, DatapathOptions, Pass } from "../datapath.ts";
import { openDatapath } from "../open.ts";

export type Wire = "a" | "b";

export interface TestNode {
  netns: Netns;
  pod: Netns;
  /** As the API tells it. */
  node: ClusterNode;
  spec: NodeSpec;
}

export interface NodeSpec {
  /** Its number: the last of its addresses, and its pods' subnet. */
  at: number;
  wire?: Wire;
  outside?: readonly Family[];
  inside?: readonly Family[];
}

export interface Cluster extends Disposable {
  router: Netns;
  addNode(spec: NodeSpec): TestNode;
}

const BOTH = [4, 6] as const;
const prefixOf = (family: Family): number => (family === 4 ? 24 : 64);
const NET = { a: { 4: "192.0.2.", 6: "fd50:0:0:a::" }, b: { 4: "198.51.100.", 6: "fd50:0:0:b::" } } as const;
export const WORLD = { 4: parseIp("203.0.113.1"), 6: parseIp("2001:db8::1") } as const;

export const outsideIp = (at: number, family: Family, wire: Wire = "a"): Ip => parseIp(`${NET[wire][family]}${10 + at}`);
export const podSubnet = (at: number, family: Family): string => (family === 4 ? `10.244.${at}.0/24` : `fd00:10:244:${at.toString(16)}::/64`);
export const podIp = (at: number, family: Family): Ip => parseIp(family === 4 ? `10.244.${at}.7` : `fd00:10:244:${at.toString(16)}::7`);

/** The Node object of a spec. */
export const nodeOf = ({ at, wire = "a", outside = [4], inside = [4] }: NodeSpec): ClusterNode => ({
  name: `node-${at}`,
  addresses: outside.map((family) => outsideIp(at, family, wire)),
  podSubnets: inside.map((family) => parseCidr(podSubnet(at, family))),
  zone: "", published: {},
});

/** The Node objects of words such as "2", on wire a, "3b", on wire b, and "4=2", which has the pods of the second; both families. */
export const nodesFrom = (words: readonly string[]): ClusterNode[] => words.map((word) => {
  const [, at = "", wire, pods] = /^(\d+)(b?)(?:=(\d+))?$/.exec(word) ?? [];
  const node = nodeOf({ at: Number(at), wire: wire === "b" ? "b" : "a", outside: BOTH, inside: BOTH });
  return pods === undefined ? node : { ...node, podSubnets: BOTH.map((family) => parseCidr(podSubnet(Number(pods), family))) };
});

export const optionsOf = (self: string, over: Partial<DatapathOptions> = {}): DatapathOptions =>
  ({ self, tunnel: "auto", encrypt: "none", clusterSubnets: [], masquerade: true, nonMasqueradeSubnets: [], mtu: 0, stateFolder: "", ...over });

/** Longer in the virtual machine (tests/e2e/vm), of which the processor is emulated. */
const limitMs = process.env["VETHWORK_VM"] === undefined ? 30_000 : 300_000;

/** A test in a cluster of its own, skipped with the reason where the machine lacks something. */
export function clusterTest(title: string, act: (cluster: Cluster) => void | Promise<void>, { programs = [], option = "" }: { programs?: readonly string[]; option?: string } = {}): void {
  const without = missing({ root: true, programs: ["ip", "nft", "bridge", ...programs] }) || option;
  test.skipIf(without !== "")(skipped(title, without), async () => {
    const before = held("net");
    {
      using cluster = createCluster();
      await act(cluster);
    }
    expect(held("net")).toEqual(before);
  }, limitMs);
}

export const addNodes = (cluster: Cluster, specs: readonly NodeSpec[]): TestNode[] => specs.map((spec) => cluster.addNode(spec));

/** Everything that a pass may have made or changed, in lines without the kernel's numbers and in one order. */
export function stateOf(netns: Netns): string[] {
  const told = [
    ["ip", "-4", "route", "show", "table", "all"], ["ip", "-6", "route", "show", "table", "all"], ["ip", "-o", "-d", "link"], ["ip", "-o", "addr"],
    ["ip", "neigh", "show", "nud", "permanent"], ["bridge", "fdb"], ["nft", "-s", "list", "ruleset"],
  ].flatMap((argv) => outputIn(netns, ...argv).split(/[\n,]/));
  const sysctls = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"].map((name) => `${name} ${netns.sysctl.find(name)}`);
  return [...told, ...sysctls].map((line) => line.trim().replace(/^\d+: /, "")).filter((line) => line !== "" && !/^(?:multicast )?ff00::\/8 |^(?:anycast|local) |^33:33:/.test(line)).toSorted();
}

/** A data path on each node. */
export const pathsOf = (nodes: readonly TestNode[], over: Partial<DatapathOptions> = {}): Datapath[] => nodes.map(({ netns, node }) => openDatapath(netns, optionsOf(node.name, over)));

/** One pass on each node, all of which know of all. */
export const pass = (paths: readonly Datapath[], nodes: readonly TestNode[]): Pass[] => paths.map((path) => path.reconcile(nodes.map(({ node }) => node)));

export function createCluster(): Cluster {
  const all = new DisposableStack();
  const router = all.use(Netns.create());
  up(router, "lo");
  for (const family of BOTH) router.addrs.add(router.links.get("lo"), { address: cidrOf(WORLD[family]), nodad: true });
  for (const wire of ["a", "b"] as const) {
    router.links.add({ kind: "bridge", name: wire });
    router.sysctl.set(`net/ipv6/conf/${wire}/accept_dad`, 0);
    router.links.set(router.links.get(wire), { up: true }); // with a link-local address: the switch learns by it who listens for whom
    for (const family of BOTH) router.addrs.add(router.links.get(wire), { address: cidrOf(parseIp(`${NET[wire][family]}1`), prefixOf(family)), nodad: true });
  }
  forward(router);
  return {
    router,
    addNode: (spec) => {
      const [netns, pod] = [all.use(Netns.create()), all.use(Netns.create())];
      plugIn(router, netns, spec);
      plugPod(netns, pod, { name: "pod", ips: (spec.inside ?? [4]).map((family) => podIp(spec.at, family)) });
      return { netns, pod, node: nodeOf(spec), spec };
    },
    [Symbol.dispose]: () => all.dispose(),
  };
}

export function forward(netns: Netns): void {
  netns.sysctl.set("net/ipv4/ip_forward", 1);
  netns.sysctl.set("net/ipv6/conf/all/forwarding", 1);
}

export function up(netns: Netns, name: string): void {
  netns.links.set(netns.links.get(name), name === "lo" ? { up: true } : { up: true, linkLocal: false });
}

/** The node's card, on its wire; everybody else is behind the router. */
function plugIn(router: Netns, netns: Netns, { at, wire = "a", outside = [4] }: NodeSpec): void {
  up(netns, "lo");
  const name = `node${at}`;
  router.links.add({ kind: "veth", name, peer: { name: "eth0", netnsFd: netns.fd } });
  router.links.set(router.links.get(name), { master: router.links.get(wire), linkLocal: false, up: true });
  netns.sysctl.set("net/ipv6/conf/eth0/accept_dad", 0);
  netns.links.set(netns.links.get("eth0"), { up: true });
  for (const family of outside) {
    netns.addrs.add(netns.links.get("eth0"), { address: cidrOf(outsideIp(at, family, wire), prefixOf(family)), nodad: true });
    netns.routes.add({ dst: parseCidr(family === 4 ? "0.0.0.0/0" : "::/0"), via: parseIp(`${NET[wire][family]}1`) });
  }
  awaitCarrier([netns, "eth0"], [router, name]);
}

/** A pod as the plugin makes one: alone on its cable, its node is its gateway. */
export function plugPod(netns: Netns, pod: Netns, { name, ips }: { name: string; ips: readonly Ip[] }): void {
  up(pod, "lo");
  netns.links.add({ kind: "veth", name, peer: { name: "eth0", netnsFd: pod.fd } });
  up(netns, name);
  up(pod, "eth0");
  awaitCarrier([netns, name], [pod, "eth0"]);
  const [near, far] = [netns.links.get(name), pod.links.get("eth0")];
  for (const ip of ips) {
    const gateway = parseIp(ip.family === 4 ? "169.254.1.1" : "fe80::1");
    pod.addrs.add(far, { address: cidrOf(ip), nodad: true });
    if (near.mac) pod.neighbours.ensure(far, { ip: gateway, mac: near.mac });
    if (ip.family === 4) pod.routes.add({ dst: cidrOf(gateway), link: far.index });
    pod.routes.add({ dst: parseCidr(ip.family === 4 ? "0.0.0.0/0" : "::/0"), via: gateway, link: far.index, onlink: true });
    if (far.mac) netns.neighbours.ensure(near, { ip, mac: far.mac });
    netns.routes.add({ dst: cidrOf(ip), link: near.index, protocol: 118 });
    if (ip.family === 6) netns.addrs.add(near, { address: parseCidr("fe80::1/64"), nodad: true, scope: 253 });
    while (pod.routes.find(ip)?.type !== "local") continue; // of IPv6 the kernel takes an address in in a thread of its own
  }
}

/** The kernel notices in a thread of its own that a cable is plugged in at both ends; what is sent before is lost. */
function awaitCarrier(...ends: readonly (readonly [Netns, string])[]): void {
  while (ends.some(([netns, name]) => !netns.links.get(name).operational)) continue;
}

/**
 * Sends a datagram, and gives the source that the receiver saw; undefined where it did not arrive or was refused. An answer is
 * waited for long, since a neighbour may be slow to be found.
 */
export function seenBy(to: Netns, { from, ip, bytes = 5, timeoutMs = 5000 }: { from: Netns; ip: Ip; bytes?: number; timeoutMs?: number }): string | undefined {
  using server = openSocket(to, { kind: "udp", family: ip.family });
  server.bind(ip);
  using client = openSocket(from, { kind: "udp", family: ip.family });
  client.connect(server.name());
  const isSent = unless(["ENETUNREACH", "EHOSTUNREACH", "EPERM"], () => (client.send(new Uint8Array(bytes)), true));
  return isSent && server.wait("in", timeoutMs) ? String(server.receive(70_000).from.ip) : undefined;
}
