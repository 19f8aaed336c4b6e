/** The data path on real kernels: who reaches whom and with which address, and that what a pass leaves is what should be there. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wireguardIn, openSocket, parseCidr, parseIp, type Family, type Ip, type Netns } from "@vethwork/linux";
import { newsOf } from "@vethwork/linux/testing/news.ts";
import { lacksLink, outputIn } from "@vethwork/linux/testing/room.ts";
import type { PeerStatus } from "./datapath.ts";
import { WORLD, addNodes, clusterTest, outsideIp, pass, pathsOf, podIp, seenBy, stateOf, type Cluster, type NodeSpec, type TestNode } from "./testing/cluster.ts";

const BOTH = [4, 6] as const;
const lacksWireguard = lacksLink({ kind: "wireguard", name: "wg0" }, "CONFIG_WIREGUARD");
const dual = { outside: BOTH, inside: BOTH };
const two: readonly NodeSpec[] = [{ at: 1 }, { at: 2 }];
const three: readonly NodeSpec[] = [{ at: 1, ...dual }, { at: 2, ...dual }, { at: 3, wire: "b", ...dual }];
const pairs = <T>(all: readonly T[]): [T, T][] => all.flatMap((one) => all.filter((other) => other !== one).map((other): [T, T] => [one, other]));

function expectFriends(cluster: Cluster, nodes: readonly TestNode[], families: readonly Family[]): void {
  for (const family of families) {
    for (const [one, other] of pairs(nodes)) {
      const ip = podIp(other.spec.at, family);
      expect([one.node.name, other.node.name, seenBy(other.pod, { from: one.pod, ip })]).toEqual([one.node.name, other.node.name, String(podIp(one.spec.at, family))]);
      expect(seenBy(other.pod, { from: one.netns, ip })).toBeDefined();
    }
  }
  expect(cluster.router.routes.list({ protocol: 119 })).toEqual([]);
}

const shapes: readonly [title: string, specs: readonly NodeSpec[], over: Parameters<typeof pathsOf>[1], ways: PeerStatus["way"][], families: readonly Family[]][] = [
  ["on one link nothing is wrapped", two, {}, ["direct", "direct"], [4]],
  ["on two links, in both families, only what crosses the router is wrapped", three, {}, ["direct", "vxlan", "direct", "vxlan", "vxlan", "vxlan"], BOTH],
  ["on one link everything is wrapped where that is wanted", two, { tunnel: "always" }, ["vxlan", "vxlan"], [4]],
  ["over IPv6 alone, pods have both families", [{ at: 1, outside: [6], inside: BOTH }, { at: 3, wire: "b", outside: [6], inside: BOTH }], {}, ["vxlan", "vxlan"], BOTH],
  ["over IPv6 alone, on one link, with IPv6 pods", [{ at: 1, outside: [6], inside: [6] }, { at: 2, outside: [6], inside: [6] }], { tunnel: "never" }, ["direct", "direct"], [6]],
  ["over IPv4 alone, pods have IPv6", [{ at: 1, inside: [6] }, { at: 2, inside: [6] }], {}, ["vxlan", "vxlan"], [6]],
];
for (const [title, specs, over, ways, families] of shapes) {
  clusterTest(`${title}: pods and nodes reach pods, who see them as they are`, (cluster) => {
    const nodes = addNodes(cluster, specs);
    const passes = pass(pathsOf(nodes, over), nodes);
    expect(passes.flatMap(({ problems }) => problems)).toEqual([]);
    expect(passes.flatMap(({ peers }) => peers.map(({ way }) => way))).toEqual(ways);
    expectFriends(cluster, nodes, families);
    const flows = nodes.flatMap(({ netns }) => netns.conntrack.list());
    expect([flows.length > 0, flows.filter(({ original }) => original.destinationPort === 8475)]).toEqual([true, []]); // what carries others is not remembered beside them
  });
}

clusterTest("to the world a pod has its node's address, to a node by a tunnel too, and to a node on the link its own", (cluster) => {
  const nodes = addNodes(cluster, three);
  pass(pathsOf(nodes, { nonMasqueradeSubnets: [parseCidr("198.51.100.1/32")] }), nodes);
  const [one, two_, far] = nodes;
  if (!one || !two_ || !far) return;
  for (const family of BOTH) {
    const own = String(podIp(1, family));
    const seen = (to: Netns, ip = WORLD[family]) => seenBy(to, { from: one.pod, ip });
    expect(seen(cluster.router)).toBe(String(outsideIp(1, family)));
    expect(seen(two_.netns, outsideIp(2, family))).toBe(own);
    expect(seen(far.netns, outsideIp(3, family, "b"))).toBe(String(outsideIp(1, family)));
  }
  expect(seenBy(cluster.router, { from: one.pod, ip: parseIp("198.51.100.1") })).toBe("10.244.1.7");
});

clusterTest("others' address translations do not touch what carries pods' packets", (cluster) => {
  const nodes = addNodes(cluster, two);
  pass(pathsOf(nodes, { tunnel: "always" }), nodes);
  const count = () => Number(/counter packets (\d+)/.exec(outputIn(nodes[0]?.netns ?? expect.unreachable(), "nft", "list", "table", "ip", "t"))?.[1]);
  outputIn(nodes[0]?.netns ?? expect.unreachable(), "nft", 'add table ip t; add chain ip t c { type nat hook postrouting priority 90 ; }; add rule ip t c oifname "eth0" counter masquerade random');
  expectFriends(cluster, nodes, [4]);
  expect(count()).toBe(0);
  expect([seenBy(cluster.router, { from: nodes[0]?.netns ?? expect.unreachable(), ip: WORLD[4] }), count()]).toEqual([String(outsideIp(1, 4)), 1]);
});

clusterTest("without masquerade nobody's address is changed", (cluster) => {
  const nodes = addNodes(cluster, two);
  pass(pathsOf(nodes, { masquerade: false }), nodes);
  expect(seenBy(cluster.router, { from: nodes[0]?.pod ?? cluster.router, ip: WORLD[4] })).toBe("10.244.1.7");
});

clusterTest("a second pass writes nothing, and neither does one of an agent that has just started", (cluster) => {
  const nodes = addNodes(cluster, three);
  const paths = pathsOf(nodes);
  pass(paths, nodes);
  const before = nodes.map(({ netns }) => stateOf(netns));
  for (const { netns } of nodes) {
    expect(newsOf(netns, () => {
      expect([...pass(paths, nodes), ...pass(pathsOf(nodes), nodes)].flatMap(({ changes, problems }) => [...changes, ...problems])).toEqual([]);
    })).toEqual([]);
  }
  expect(nodes.map(({ netns }) => stateOf(netns))).toEqual(before);
  for (const { netns } of nodes) expect(newsOf(netns, () => netns.links.set(netns.links.get("lo"), { mtu: 60_000 }))).not.toEqual([]);
});

clusterTest("a node that has IPv6 switched off for devices that come has it on its tunnel", (cluster) => {
  const nodes = addNodes(cluster, [{ at: 1, ...dual }, { at: 3, wire: "b", ...dual }]);
  for (const { netns } of nodes) netns.sysctl.set("net/ipv6/conf/default/disable_ipv6", 1);
  const paths = pathsOf(nodes);
  expect(pass(paths, nodes).flatMap(({ problems }) => problems)).toEqual([]);
  expectFriends(cluster, nodes, BOTH);
  expect(pass(paths, nodes).flatMap(({ changes }) => changes)).toEqual([]);
});

clusterTest("routes of a node with several next hops lead out, and one that knows no way says so", (cluster) => {
  const [one, far] = addNodes(cluster, [{ at: 1 }, { at: 3, wire: "b" }]);
  if (!one || !far) return;
  const [path] = pathsOf([one]);
  outputIn(one.netns, "ip", "route", "replace", "default", "nexthop", "via", "192.0.2.1", "nexthop", "via", "192.0.2.2");
  expect(path?.reconcile([one.node, far.node])).toMatchObject({ problems: [], podMtu: 1450, peers: [{ way: "vxlan", because: expect.stringMatching(/^behind 192\.0\.2\.[12], so wrapped$/) }] });
  outputIn(one.netns, "ip", "route", "replace", "default", "via", "192.0.2.1", "mtu", "1400");
  expect(path?.reconcile([one.node, far.node])).toMatchObject({ problems: [], podMtu: 1350, changes: ["set link vethwork-vxlan4: mtu 1350"] });
  outputIn(one.netns, "ip", "route", "del", "default");
  expect(path?.reconcile([one.node, far.node])).toMatchObject({ problems: ['there is no route to node "node-3" at 198.51.100.13'], peers: [{ way: "vxlan" }] });
});

clusterTest("a packet that is too large for a tunnel comes back with the size that fits, and streams get through", (cluster) => {
  const nodes = addNodes(cluster, [{ at: 1, ...dual }, { at: 3, wire: "b", ...dual }]);
  expect(pass(pathsOf(nodes), nodes).map(({ podMtu }) => podMtu)).toEqual([1450, 1450]);
  const [one, far] = nodes;
  if (!one || !far) return;
  for (const family of BOTH) {
    const ip = podIp(3, family); // these pods have 1500, as those have that were there before the first tunnel
    expect(seenBy(far.pod, { from: one.pod, ip })).toBe(String(podIp(1, family)));
    expect(seenBy(far.pod, { from: one.pod, ip, bytes: 1440, timeoutMs: 100 })).toBeUndefined();
    expect(outputIn(one.pod, "ip", `-${family}`, "route", "get", String(ip))).toContain("mtu 1450");
    expect(seenBy(far.pod, { from: one.pod, ip, bytes: 1440 })).toBe(String(podIp(1, family)));
    expect(streamed(far.pod, { from: one.pod, ip, bytes: 1_000_000 })).toBe(1_000_000);
  }
});

/** Sends a stream, and gives how much of it arrived. */
function streamed(to: Netns, { from, ip, bytes }: { from: Netns; ip: Ip; bytes: number }): number {
  using server = openSocket(to, { kind: "tcp", family: ip.family });
  server.bind(ip);
  server.listen();
  using client = openSocket(from, { kind: "tcp", family: ip.family });
  client.connect(server.name());
  expect([client.wait("out", 5000), client.established(), server.wait("in", 5000)]).toEqual([true, true, true]);
  using end = server.accept().socket;
  let [sent, received] = [0, 0];
  while (received < bytes && (client.wait("out", 0) || end.wait("in", 5000))) {
    for (; sent < bytes && client.wait("out", 0); sent += 10_000) client.send(new Uint8Array(10_000));
    if (!end.wait("in", 5000)) break;
    received += end.receive(70_000).bytes.length;
  }
  return received;
}

clusterTest("encrypted, pods reach pods on both links, nothing of them goes over the wire in the clear, and a second pass writes nothing", (cluster) => {
  const folders = three.map(() => mkdtempSync(join(tmpdir(), "vethwork-state.")));
  try {
    const nodes = addNodes(cluster, three);
    const paths = nodes.flatMap((node, at) => pathsOf([node], { encrypt: "wireguard", stateFolder: folders[at] ?? "" }));
    const first = pass(paths, nodes);
    expect(first.flatMap(({ peers }) => peers.map(({ because }) => because))).toEqual(Array(6).fill("no key published yet"));
    expect(seenBy(nodes[1]?.pod ?? expect.unreachable(), { from: nodes[0]?.pod ?? expect.unreachable(), ip: podIp(2, 4), timeoutMs: 100 })).toBeUndefined();
    const known = nodes.map((node, at) => ({ ...node, node: { ...node.node, published: first[at]?.publish ?? {} } }));
    expect(pass(paths, known).flatMap(({ problems, podMtu }) => [...problems, podMtu])).toEqual([1440, 1440, 1440]);
    outputIn(cluster.router, "nft", "add table inet t; add chain inet t c { type filter hook forward priority 0 ; }; add rule inet t c ip saddr 10.244.0.0/16 counter; add rule inet t c ip6 saddr fd00:10:244::/48 counter; add rule inet t c udp dport 8476 counter");
    expectFriends(cluster, known, BOTH);
    const [clear4, clear6, wrapped] = [...outputIn(cluster.router, "nft", "list", "chain", "inet", "t", "c").matchAll(/counter packets (\d+)/g)].map(([, count]) => Number(count));
    expect([clear4, clear6, (wrapped ?? 0) > 0]).toEqual([0, 0, true]);
    for (const { netns } of known) expect(newsOf(netns, () => expect(pass(paths, known).flatMap(({ changes }) => changes)).toEqual([]))).toEqual([]);
    const [one, , far] = known;
    const after = paths[0]?.reconcile([one, far].flatMap((node) => node?.node ?? []));
    expect(after?.changes).toContain("delete route 10.244.2.0/24");
    const netns = one?.netns ?? expect.unreachable();
    expect(wireguardIn(netns).get(netns.links.get("vethwork-wg")).peers.map(({ key }) => key)).toEqual([far?.node.published.wireguardKey ?? ""]);
    expect(paths[0]?.clear()).toContain("delete link vethwork-wg");
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true });
  }
}, { option: lacksWireguard });

clusterTest("without a place for its key a node closes the ways to others, and says so", (cluster) => {
  const nodes = addNodes(cluster, two);
  const folder = mkdtempSync(join(tmpdir(), "vethwork-state."));
  try {
    writeFileSync(join(folder, "file"), "");
    const [path] = pathsOf(nodes, { encrypt: "wireguard", stateFolder: join(folder, "file") });
    const done = path?.reconcile(nodes.map(({ node }) => ({ ...node, published: { wireguardKey: Buffer.alloc(32, node.name).toString("base64") } })));
    expect([done?.problems, done?.publish]).toEqual([[expect.stringMatching(/^Cannot .*E(?:EXIST|NOTDIR)/)], {}]);
    expect(nodes[0]?.netns.routes.list({ protocol: 119 }).map(({ dst, type }) => `${type} ${dst}`)).toEqual(["unreachable 10.244.2.0/24"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

clusterTest("where this kernel has no WireGuard nothing goes out in the clear, and that is said", (cluster) => {
  const nodes = addNodes(cluster, two);
  const folder = mkdtempSync(join(tmpdir(), "vethwork-state."));
  try {
    const [first] = nodes;
    const [path] = pathsOf(nodes, { encrypt: "wireguard", stateFolder: folder });
    const others = nodes.map(({ node }) => ({ ...node, published: { wireguardKey: Buffer.alloc(32, node.name).toString("base64") } }));
    const done = path?.reconcile(others);
    expect(done?.problems).toEqual(["this kernel has no wireguard (CONFIG_WIREGUARD is wanted), so nobody is reached by vethwork-wg"]);
    expect(done?.publish.wireguardKey).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(outputIn(first?.netns ?? expect.unreachable(), "ip", "route", "show", "proto", "119").trim()).toBe("unreachable 10.244.2.0/24");
    expect(path?.reconcile(others).changes).toEqual([]);
    expect(path?.clear()).toContain("delete this node's key");
  } finally {
    rmSync(folder, { recursive: true });
  }
}, { option: lacksWireguard === "" ? "a kernel without CONFIG_WIREGUARD" : "" });
