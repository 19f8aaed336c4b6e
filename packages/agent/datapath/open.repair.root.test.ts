/** What somebody changed by hand is as it was after the next pass, and what goes from the cluster goes from its nodes. */
import { expect } from "bun:test";
import { contains, parseCidr, parseIp, type Cidr, type Netns } from "@vethwork/linux";
import { outputIn } from "@vethwork/linux/testing/room.ts";
import type { ClusterNode } from "../cluster.ts";
import { addNodes, clusterTest, nodeOf, optionsOf, outsideIp, pass, pathsOf, podIp, podSubnet, seenBy, stateOf, type NodeSpec, type TestNode } from "./testing/cluster.ts";
import { macOfNode } from "./ends.ts";
import { openDatapath } from "./open.ts";

const BOTH = [4, 6] as const;
const dual = { outside: BOTH, inside: BOTH };
const three: readonly NodeSpec[] = [{ at: 1, ...dual }, { at: 2, ...dual }, { at: 3, wire: "b", ...dual }];
const mac = String(macOfNode("node-3"));

const harms: readonly [title: string, ...commands: string[]][] = [
  ["a direct route", "ip route del 10.244.2.0/24", "ip -6 route del fd00:10:244:2::/64"],
  ["a route by a tunnel", "ip route del 10.244.3.0/24", "ip -6 route del fd00:10:244:3::/64"],
  ["a tunnel's neighbours", "ip neigh del 10.244.3.0 dev vethwork-vxlan4", "ip neigh del fd00:10:244:3:: dev vethwork-vxlan4"],
  ["a tunnel's entry", `bridge fdb del ${mac} dev vethwork-vxlan4`],
  ["this node's end", "ip addr del 10.244.1.0/32 dev vethwork-vxlan4", "ip addr del fd00:10:244:1::/128 dev vethwork-vxlan4"],
  ["the device", "ip link del vethwork-vxlan4"],
  ["the table", "nft delete table inet vethwork"],
  ["a chain's rules", "nft flush chain inet vethwork out-of-cluster"],
  ["a chain that others do not need", "nft flush chain inet vethwork untracked-output", "nft delete chain inet vethwork untracked-output"],
  ["an element", "nft delete element inet vethwork kept4 { 10.244.3.0/24 }", "nft delete element inet vethwork nodes6 { fd50:0:0:a::12 }"],
  ["forwarding", "sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv6.conf.all.forwarding=0"],
];
const changes: readonly [title: string, ...commands: string[]][] = [
  ["a route leads elsewhere", "ip route replace 10.244.2.0/24 via 192.0.2.1 proto 119", "ip -6 route replace fd00:10:244:2::/64 via fd50:0:0:a::1 proto 119"],
  ["a route of another's hides ours", "ip route replace 10.244.3.0/24 via 192.0.2.1 proto static"],
  ["a route is closed", "ip route replace unreachable 10.244.2.0/24 proto 119", "ip -6 route replace unreachable fd00:10:244:3::/64 proto 119"],
  ["there is a second route", "ip route add 10.244.3.0/24 via 192.0.2.1 proto 119 metric 50", "ip -6 route add fd00:10:244:3::/64 via fd50:0:0:a::1 proto 119 metric 50"],
  ["there is a route to nobody's pods", "ip route add 10.244.9.0/24 via 192.0.2.1 proto 119", "ip -6 route add unreachable fd00:10:244:9::/64 proto 119"],
  ["the device is down", "ip link set vethwork-vxlan4 down"],
  ["the device has another MTU, MAC address and name for people", "ip link set vethwork-vxlan4 mtu 1300 address 02:00:00:00:00:99 alias nonsense"],
  ["the device is somebody else's", "ip link del vethwork-vxlan4", "ip link add vethwork-vxlan4 type bridge"],
  ["the device is in another network", "ip link del vethwork-vxlan4", "ip link add vethwork-vxlan4 type vxlan id 1 dstport 8472 local 192.0.2.11"],
  ["the device learns", "ip link set vethwork-vxlan4 type vxlan learning"],
  ["the device is at another address", "ip link set vethwork-vxlan4 type vxlan local 192.0.2.99"],
  ["entries lead elsewhere", `bridge fdb replace ${mac} dev vethwork-vxlan4 dst 192.0.2.77 self permanent`, "ip neigh replace 10.244.3.0 lladdr 02:00:00:00:00:77 dev vethwork-vxlan4"],
  ["there are more entries", "bridge fdb add 02:00:00:00:00:77 dev vethwork-vxlan4 dst 192.0.2.77 self permanent", "ip neigh add 10.244.9.0 lladdr 02:00:00:00:00:77 dev vethwork-vxlan4"],
  ["there are more addresses", "ip addr add 10.244.9.0/32 dev vethwork-vxlan4"],
  ["there are more elements, and a rule", "nft add element inet vethwork kept4 { 203.0.113.0/24 }", "nft add element inet vethwork nodes4 { 203.0.113.1 }", "nft insert rule inet vethwork out-of-cluster accept"],
];

/** Rows are done one after another in one cluster, each from the right state to the right state. */
for (const [title, rows] of [["what somebody deleted is back", harms], ["what somebody changed is as it was", changes]] as const) {
  clusterTest(title, (cluster) => {
    const nodes = addNodes(cluster, three);
    const [path] = pathsOf(nodes);
    const all = nodes.map(({ node }) => node);
    const netns = nodes[0]?.netns ?? expect.unreachable();
    const repair = () => path?.reconcile(all) ?? expect.unreachable();
    repair();
    const right = stateOf(netns);
    for (const [what, ...commands] of rows) {
      for (const command of commands) outputIn(netns, ...command.split(" "));
      expect({ what, isRight: JSON.stringify(stateOf(netns)) === JSON.stringify(right) }).toEqual({ what, isRight: false });
      const { changes: done, problems } = repair();
      expect({ what, problems, isDone: done.length > 0 }).toEqual({ what, problems: [], isDone: true });
      expect({ what, state: stateOf(netns) }).toEqual({ what, state: right });
      expect({ what, again: repair().changes }).toEqual({ what, again: [] });
    }
  });
}

/** A flow of UDP from one pod to another, remembered by the nodes on its way. */
function talk(one: TestNode, other: TestNode): void {
  for (const family of one.spec.inside ?? [4]) expect(seenBy(other.pod, { from: one.pod, ip: podIp(other.spec.at, family) })).toBeDefined();
}

const flowsWith = (netns: Netns, subnet: Cidr): number =>
  netns.conntrack.list().filter(({ original }) => [original.source, original.destination].some((ip) => contains(subnet, ip))).length;
const namesIn = (netns: Netns, node: ClusterNode): string[] =>
  stateOf(netns).filter((line) => [...node.podSubnets.map(({ ip }) => String(ip).replace(/::$|\.0$/, "")), String(macOfNode(node.name)), ...node.addresses.map(String)].some((text) => line.includes(text)));

for (const tunnel of ["auto", "always"] as const) {
  clusterTest(`${tunnel}: a node that goes leaves nothing, and the others' flows go on`, (cluster) => {
    const nodes = addNodes(cluster, three);
    const [one, two, far] = nodes;
    if (!one || !two || !far) return;
    const paths = pathsOf(nodes, { tunnel });
    pass(paths, nodes);
    for (const other of [two, far]) talk(one, other);
    for (const gone of [two, far]) {
      expect(flowsWith(one.netns, parseCidr(podSubnet(gone.spec.at, 4)))).toBeGreaterThan(0);
      const left = nodes.filter((node) => node !== gone).map(({ node }) => node);
      const { changes: done, problems } = paths[0]?.reconcile(left) ?? expect.unreachable();
      expect(problems).toEqual([]);
      expect(done.filter((line) => line.startsWith("forget"))).toHaveLength(1);
      expect(namesIn(one.netns, gone.node)).toEqual([]);
      for (const { ip, prefix } of gone.node.podSubnets) expect(flowsWith(one.netns, parseCidr(`${ip}/${prefix}`))).toBe(0);
      const stays = gone === two ? far : two;
      expect(flowsWith(one.netns, parseCidr(podSubnet(stays.spec.at, 4)))).toBe(1);
      pass(paths, nodes);
      for (const other of [two, far]) talk(one, other);
    }
    paths[0]?.reconcile([one.node]);
    expect(one.netns.links.find("vethwork-vxlan4")?.name).toBe(undefined);
  });

  clusterTest(`${tunnel}: a subnet that becomes another node's leads there, and what was remembered of it is forgotten`, (cluster) => {
    const [one, two, heir] = addNodes(cluster, [{ at: 1, ...dual }, { at: 2, ...dual }, { at: 4, ...dual }]);
    if (!one || !two || !heir) return;
    const path = openDatapath(one.netns, optionsOf("node-1", { tunnel }));
    path.reconcile([one.node, two.node]);
    pass([openDatapath(two.netns, optionsOf("node-2", { tunnel }))], [one, two]);
    talk(one, two);
    expect(flowsWith(one.netns, parseCidr(podSubnet(2, 4)))).toBe(1);
    // The node is gone, and its subnet is given at once to one that comes: other names, other addresses, the same pods'.
    const after = { ...heir.node, podSubnets: two.node.podSubnets };
    const { changes: done, problems } = path.reconcile([one.node, after]);
    expect(problems).toEqual([]);
    expect(done.filter((line) => /^(?:close|forget)/.test(line))).toEqual([...two.node.podSubnets.map((subnet) => `close ${subnet}`), expect.stringContaining("forget 2 flows")]);
    expect([stateOf(one.netns).join("\n").includes(String(macOfNode("node-2"))), stateOf(one.netns).join("\n").includes(String(outsideIp(2, 4)))]).toEqual([false, false]);
    expect(flowsWith(one.netns, parseCidr(podSubnet(2, 4)))).toBe(0);
    const route = one.netns.routes.list({ dst: parseCidr(podSubnet(2, 4)) });
    expect(route.map(({ via }) => String(via))).toEqual([tunnel === "always" ? "10.244.2.0" : String(outsideIp(4, 4))]);
    expect(path.reconcile([one.node, after]).changes).toEqual([]);
  });

  clusterTest(`${tunnel}: also while no agent was there`, (cluster) => {
    const [one, two, heir] = addNodes(cluster, [{ at: 1 }, { at: 2 }, { at: 4 }]);
    if (!one || !two || !heir) return;
    const open = () => openDatapath(one.netns, optionsOf("node-1", { tunnel }));
    open().reconcile([one.node, two.node]);
    pass([openDatapath(two.netns, optionsOf("node-2", { tunnel }))], [one, two]);
    talk(one, two);
    const done = open().reconcile([one.node, { ...heir.node, podSubnets: two.node.podSubnets }]).changes;
    expect(done.filter((line) => /^(?:close|forget)/.test(line))).toEqual(["close 10.244.2.0/24", "forget 1 flows with 10.244.2.0/24"]);
    talk(one, one);
    expect(open().reconcile([one.node]).changes.filter((line) => /^(?:close|delete route)/.test(line))).toEqual(["close 10.244.2.0/24", "delete route 10.244.2.0/24"]);
  });

  clusterTest(`${tunnel}: a node that moves to another address keeps its flows, and is found there`, (cluster) => {
    const nodes = addNodes(cluster, [{ at: 1 }, { at: 2 }]);
    const [one, two] = nodes;
    if (!one || !two) return;
    const paths = pathsOf(nodes, { tunnel });
    pass(paths, nodes);
    talk(one, two);
    const card = two.netns.links.get("eth0");
    two.netns.addrs.delete(card, parseCidr("192.0.2.12/24"));
    two.netns.addrs.add(card, { address: parseCidr("192.0.2.77/24") });
    two.netns.routes.ensure({ dst: parseCidr("0.0.0.0/0"), via: parseIp("192.0.2.1") });
    const moved = { ...two, node: { ...two.node, addresses: [parseIp("192.0.2.77")] } };
    const done = pass(paths, [one, moved]);
    expect(done.flatMap(({ problems }) => problems)).toEqual([]);
    expect(done.flatMap(({ changes: lines }) => lines).filter((line) => /^(?:close|forget)/.test(line))).toEqual([]);
    expect(flowsWith(one.netns, parseCidr(podSubnet(2, 4)))).toBe(1);
    talk(one, moved);
    talk(moved, one);
    expect(stateOf(one.netns).some((line) => line.includes("192.0.2.12"))).toBe(false);
    expect(pass(paths, [one, moved]).flatMap(({ changes: lines }) => lines)).toEqual([]);
  });
}

clusterTest("what is cleared leaves nothing, also of what a pass did not come to", (cluster) => {
  const nodes = addNodes(cluster, three);
  const [one] = nodes;
  if (!one) return;
  const sysctls = (lines: string[]) => lines.filter((line) => !line.startsWith("net/")); // whoever else needs forwarding keeps it
  const before = sysctls(stateOf(one.netns));
  const [path] = pathsOf(nodes);
  path?.reconcile(nodes.map(({ node }) => node));
  one.netns.routes.add({ dst: parseCidr("10.244.9.0/24"), via: parseIp("192.0.2.1"), protocol: 119 });
  expect(pathsOf([one])[0]?.clear()).not.toEqual([]);
  expect(sysctls(stateOf(one.netns))).toEqual(before);
  expect(path?.clear()).toEqual([]);
  expect(path?.reconcile(nodes.map(({ node }) => node)).changes.length).toBeGreaterThan(0);
});

clusterTest("a list without this node changes nothing, and says so", (cluster) => {
  const nodes = addNodes(cluster, [{ at: 1 }, { at: 2 }]);
  const [path] = pathsOf(nodes);
  pass(path ? [path] : [], nodes);
  const before = stateOf(nodes[0]?.netns ?? expect.unreachable());
  expect(path?.reconcile([])).toMatchObject({ changes: [], peers: [], problems: ['this node, "node-1", is not among the cluster\'s 0: nothing is changed'] });
  expect(stateOf(nodes[0]?.netns ?? expect.unreachable())).toEqual(before);
});

clusterTest("what one node's faults are does not keep others from their ways", (cluster) => {
  const nodes = addNodes(cluster, [{ at: 1 }, { at: 2 }]);
  const strange = [
    { ...nodeOf({ at: 5 }), podSubnets: [parseCidr("192.0.2.0/24")] },                    // holds nodes
    { ...nodeOf({ at: 6 }), podSubnets: [parseCidr("10.244.1.0/24")] },                   // ours
    { ...nodeOf({ at: 7 }), podSubnets: [parseCidr("10.77.0.0/24")], addresses: [] },     // nowhere
    { ...nodeOf({ at: 8, wire: "b" }), podSubnets: [parseCidr("224.1.0.0/16")] },         // multicast
  ];
  const [first] = pathsOf(nodes);
  const done = first?.reconcile([...strange, ...nodes.map(({ node }) => node)]);
  expect(done?.problems).toEqual([
    'pods 192.0.2.0/24 of node "node-5" are not routed: 192.0.2.11 of node "node-1" is in them',
    'pods 224.1.0.0/16 of node "node-8" are not routed: pods are never in 224.0.0.0/3',
    'pods 10.244.1.0/24 of node "node-6" are not routed: node "node-1" has 10.244.1.0/24',
    'node "node-7" cannot be reached: its addresses (none) and ours (192.0.2.11) have no family in common',
  ]);
  expect(nodes[0]?.netns.routes.list({ protocol: 119 }).map(({ dst }) => String(dst))).toContain("10.244.2.0/24");
});
