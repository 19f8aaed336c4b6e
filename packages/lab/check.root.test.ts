/** The check on labs that are well, and on labs of which one thing at a time was broken: it names that thing. */
import { expect } from "bun:test";
import { check, groups, type Report } from "./check.ts";
import { LabFailure } from "./failure.ts";
import type { Lab } from "./lab.ts";
import { entering, environment, podNetns } from "./machine.ts";
import { until } from "../../tests/conformance/node/until.ts";
import { killAgent, startAgent, untilReady } from "./agent.ts";
import type { Links } from "./plan.ts";
import { openScene } from "./scene.ts";
import { labTest } from "./testing/labtest.ts";

const checked = async (lab: Lab): Promise<Report> => {
  using scene = await openScene(lab);
  return await check(scene, { timeoutMs: 50 });
};

for (const [families, links] of [[[4], "l2"], [[6], "l2"], [[4, 6], "l2"], [[4, 6], "l3"]] as const) {
  labTest(`IPv${families.join(" and IPv")} on ${links}: everybody reaches everybody with TCP, UDP and ICMP, and sees the right address`, { nodes: 3, pods: 5, families, links }, async (lab) => {
    const { rows, rules, ok } = await checked(lab);
    expect(rows.filter((row) => !row.ok)).toEqual([]);
    expect({ ok, broken: rules.flatMap(({ broken }) => broken) }).toEqual({ ok: true, broken: [] });
    // 5 pods to 4 others, 3 nodes and 5 pods both ways, 5 pods to the world
    expect(rows).toHaveLength((5 * 4 + 2 * 3 * 5 + 5) * families.length);
    expect(new Set(rows.map(({ group }) => group)).size).toBe(Object.keys(groups).length);
  });
}

labTest("with agents that wrap everything, everybody reaches everybody by tunnels on one link", { nodes: 2, pods: 2, families: [4, 6], links: "l2" }, async (lab) => {
  for (const node of lab.nodes) {
    await killAgent(node.machine);
    await startAgent(node.machine, node, ["--tunnel", "always"]);
    await until(async () => (await untilReady(node.machine)).peers.every(({ way }) => way === "vxlan"));
    expect((await untilReady(node.machine)).peers.map(({ way }) => way)).toEqual(["vxlan"]);
  }
  // Who comes through a tunnel is seen as over a router.
  const { rows, ok } = await checked({ ...lab, size: { ...lab.size, links: "l3" } });
  expect(rows.filter((row) => !row.ok)).toEqual([]);
  expect(ok).toBe(true);
});

interface Breakage {
  what: string;
  links?: Links;
  on: string;
  command: string;
  /** A pair that must fail, and what must be said of it. */
  pair: string;
  says: string | RegExp;
}

const breakages: readonly Breakage[] = [
  { what: "a route to another node's pods", on: "node-2", command: "ip route del 10.244.1.0/24", pair: "pod-1 → pod-2", says: "node-2: the way to 10.244.1.2 is not by node-1, 192.168.50.11, but by 192.168.50.1" },
  { what: "what a tunnel knows", links: "l3", on: "node-2", command: "bridge fdb del $(bridge fdb show dev vethwork-vxlan4 | cut -d' ' -f1) dev vethwork-vxlan4", pair: "pod-1 → pod-2", says: 'node-2: "vethwork-vxlan4" does not know where node-1 is' },
  { what: "the router's way to a node", links: "l3", on: "world", command: "ip link set node-1 down", pair: "pod-1 → pod-2", says: 'node-1: the way to 172.20.2.11 is by "eth0", whose other end is down or gone' },
  { what: "forwarding", on: "node-1", command: "echo 0 > /proc/sys/net/ipv4/ip_forward", pair: "pod-1 → world", says: "node-1: it does not forward IPv4 (sysctl net.ipv4.ip_forward is 0)" },
  { what: "masquerade", on: "node-1", command: "nft flush chain inet vethwork out-of-cluster", pair: "pod-1 → world", says: /^node-1: nft rule "ip saddr 10\.244\.1\.0\/24 .*masquerade.*" is missing$/ },
  { what: "an address that is kept", on: "node-1", command: "nft insert rule inet vethwork out-of-cluster oifname eth0 masquerade", pair: "pod-1 → pod-2", says: "the receiver saw 192.168.50.11, not 10.244.1.2: somebody on the way changes the source address" },
  { what: "a filter that lets pass", on: "node-1", command: "nft 'add table inet x; add chain inet x f { type filter hook forward priority 10; policy drop; }'", pair: "pod-1 → pod-2", says: /packet filters may drop it: chain inet x f on node-1/ },
  { what: "the pod's address", on: "pod-2", command: "ip addr flush dev eth0", pair: "pod-1 → pod-2", says: 'pod-2 on node-2: "eth0" has lost its address 10.244.2.2' },
  { what: "the pod's default route", on: "pod-1", command: "ip route del default", pair: "pod-1 → node-1", says: "pod-1 on node-1: the pod has no default route by 169.254.1.1" },
  { what: "the node's route to the pod", on: "node-1", command: "ip route del 10.244.1.2", pair: "pod-2 → pod-1", says: /^pod-1 on node-1: the node has no route to 10\.244\.1\.2 by "veth/ },
  { what: "the pod's end of the cable", on: "pod-1", command: "ip link set eth0 down", pair: "pod-2 → pod-1", says: 'pod-1 on node-1: interface "eth0" is down' },
  { what: "the node's cable to the others", on: "world", command: "ip link set node-1 down", pair: "pod-1 → pod-2", says: 'node-1: the way to 10.244.2.2 is by "eth0", whose other end is down or gone' },
];

for (const { what, links = "l2", on, command, pair, says } of breakages) {
  labTest(`without ${what} the check fails and says so`, { nodes: 2, pods: 2, families: [4], links }, async (lab) => {
    for (const { machine } of lab.nodes) await killAgent(machine); // it would not be broken for long
    await breakIt(lab, on, command);
    const { rows, ok } = await checked(lab);
    expect(ok).toBe(false);
    const row = rows.find(({ from, to }) => `${from} → ${to}` === pair);
    expect(row).toMatchObject({ ok: false });
    expect(row?.faults).toContainEqual(typeof says === "string" ? expect.stringContaining(says) : expect.stringMatching(says));
  });
}

async function breakIt({ world, nodes }: Lab, who: string, command: string): Promise<void> {
  const machine = [world, ...nodes.map((node) => node.machine)].find(({ name }) => name === who);
  const home = machine ?? nodes.find(({ pods }) => pods.includes(who))?.machine;
  if (!home) throw new LabFailure(`there is no "${who}"`);
  const argv = entering(home, ["sh", "-ec", command], machine ? undefined : podNetns(who));
  const { exitCode, stderr } = Bun.spawnSync(argv, { env: environment() });
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
}
