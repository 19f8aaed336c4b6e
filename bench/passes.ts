/**
 * npm run bench:passes: what a pass of the data path costs in a large cluster.
 *
 *   bun bench/passes.ts [--nodes 1000,5000] [--rounds N] [--json]
 *
 * One node, in namespaces of this process, is told of so many others: the first pass makes everything, the next finds that all is
 * well, then one node comes, then one changes its address, then all but this one go. Both families; times are of this machine.
 */
import { parseArgs } from "node:util";
import { Netns, cidrOf, parseCidr, parseIp } from "@vethwork/linux";
import type { ClusterNode } from "@vethwork/agent/cluster.ts";
import { openDatapath } from "@vethwork/agent/datapath/open.ts";
import { optionsOf } from "@vethwork/agent/datapath/testing/cluster.ts";
import { quantile } from "./figures.ts";

const STEPS = ["first pass", "a pass with nothing to do", "one node comes", "one node moves to another address", "all others go"] as const;
type Step = (typeof STEPS)[number];

/** A node of many, on one wire with all others, each with a subnet of each family. */
const nodeAt = (at: number, shift = 0): ClusterNode => ({
  name: `node-${at}`, zone: "", published: {},
  addresses: [parseIp(`172.16.${(at + shift) >> 8}.${(at + shift) & 255}`), parseIp(`fd50::${(at + shift).toString(16)}`)],
  podSubnets: [parseCidr(`10.${at >> 8}.${at & 255}.0/24`), parseCidr(`fd00:10:${at.toString(16)}::/64`)],
});

function makeHost(): Netns {
  const host = Netns.create();
  host.links.set(host.links.get("lo"), { up: true });
  host.links.add({ kind: "veth", name: "eth0", peer: { name: "wire" } });
  for (const name of ["wire", "eth0"]) host.links.set(host.links.get(name), { up: true });
  const [ip4, ip6] = nodeAt(1).addresses;
  if (ip4 && ip6) for (const [ip, prefix] of [[ip4, 12], [ip6, 64]] as const) host.addrs.add(host.links.get("eth0"), { address: cidrOf(ip, prefix), nodad: true });
  return host;
}

/** Milliseconds of each step. RangeError where a pass did not do what it should. */
function sample(count: number, tunnel: "auto" | "always"): Record<Step, number> {
  using host = makeHost();
  const path = openDatapath(host, optionsOf("node-1", { tunnel }));
  const nodes = Array.from({ length: count }, (_, at) => nodeAt(at + 1));
  const timed = (list: readonly ClusterNode[], expected: (changes: number) => boolean): number => {
    const begun = performance.now();
    const { changes, problems } = path.reconcile(list);
    const ms = performance.now() - begun;
    if (problems.length > 0 || !expected(changes.length)) throw new RangeError(`Cannot measure: ${changes.length} changes, ${problems.slice(0, 3).join("; ")}`);
    return ms;
  };
  const more = [...nodes, nodeAt(count + 1)];
  return {
    "first pass": timed(nodes, (changes) => changes > count),
    "a pass with nothing to do": timed(nodes, (changes) => changes === 0),
    "one node comes": timed(more, (changes) => changes > 0 && changes < 10),
    "one node moves to another address": timed([...nodes, nodeAt(count + 1, 1)], (changes) => changes > 0 && changes < 10),
    "all others go": timed(nodes.slice(0, 1), (changes) => changes > count),
  };
}

const { values } = parseArgs({ options: { nodes: { type: "string", default: "1000,5000" }, rounds: { type: "string", default: "5" }, json: { type: "boolean" } } });
const [counts, rounds] = [values.nodes.split(",").map(Number), Number(values.rounds)];
if (process.getuid?.() !== 0 || ![...counts, rounds].every((number) => Number.isInteger(number) && number > 0) || Math.max(...counts) > 50_000) {
  process.stderr.write("bench: root is wanted, whole numbers of --nodes up to 50000, and of --rounds\n");
  process.exit(2);
}
const rows = counts.flatMap((nodes) => (["auto", "always"] as const).flatMap((tunnel) => {
  const samples = Array.from({ length: rounds }, () => sample(nodes, tunnel));
  return STEPS.map((step) => ({ nodes, way: tunnel === "auto" ? "on one link" : "by VXLAN", step, ms: quantile(samples.map((one) => one[step]), 0.5) }));
}));
if (values.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
else for (const { nodes, way, step, ms } of rows) process.stdout.write(`${String(nodes).padStart(6)} nodes ${way.padEnd(12)} ${step.padEnd(36)} ${ms.toFixed(0).padStart(6)} ms\n`);
