/**
 * npm run bench:overlay: what wrapping pods' packets costs, beside not wrapping them, between the same pods on the same wires.
 *
 *   bun bench/overlay.ts [--rounds N] [--seconds S] [--kinds stream,rr] [--json]
 *
 *     pod ── node-1 ═══ wire ═══ node-2 ── pod        all namespaces of this machine; the data path is the agent's
 *
 * Each round takes all ways one after another, the first one shifted by one from round to round. The ratio is of the best of all
 * rounds, since other work on the machine only ever takes away; beside it the median of the ratios taken within each round, which
 * is near it where the machine was quiet. Both ends of what is asked one after another share a processor, so that it is the way that is
 * measured and not the waking up.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { featuresIn, Netns, unless } from "@vethwork/linux";
import { openDatapath } from "@vethwork/agent/datapath/open.ts";
import { createCluster, optionsOf, podIp, type TestNode } from "@vethwork/agent/datapath/testing/cluster.ts";
import { figureOf } from "./figures.ts";
import { kinds, type Counted, type Kind } from "./traffic.ts";

interface Way {
  name: string;
  about: string;
  tunnel: "auto" | "always" | "never";
  /** Rules that translate addresses, and with them conntrack. */
  masquerade: boolean;
  /** Conntrack looks at what carries other packets, too. */
  tracksTunnel?: boolean;
  encrypt?: "none" | "wireguard";
}

const ways: readonly Way[] = [
  { name: "routed", about: "plain routing", tunnel: "never", masquerade: true },
  { name: "vxlan", about: "wrapped in VXLAN", tunnel: "always", masquerade: true },
  { name: "vxlan-tracked", about: "the same, its outer packets tracked by conntrack, too", tunnel: "always", masquerade: true, tracksTunnel: true },
  { name: "routed-untracked", about: "plain routing without conntrack", tunnel: "never", masquerade: false },
  { name: "vxlan-untracked", about: "VXLAN without conntrack", tunnel: "always", masquerade: false },
  ...(hasWireguard() ? [{ name: "wireguard", about: "encrypted by WireGuard", tunnel: "auto", masquerade: true, encrypt: "wireguard" } as const] : []),
];

function hasWireguard(): boolean {
  using netns = Netns.create();
  return unless(["EOPNOTSUPP"], () => (netns.links.add({ kind: "wireguard", name: "wg0" }), true)) ?? false;
}

const UNITS: Readonly<Record<Kind, string>> = { stream: "Gbit/s", rr: "k/s", crr: "k/s", udp: "k/s" };
const TITLES: Readonly<Record<Kind | "small", string>> = {
  stream: "one stream of TCP", small: "the same, in packets of the MTU (no GSO)", rr: "one byte there and back", crr: "a connection for one byte", udp: "datagrams of 64 bytes",
};
type Measure = Kind | "small";

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "1" }, kinds: { type: "string", default: "stream,small,rr,crr,udp" }, json: { type: "boolean" } } });
  const measures = values.kinds.split(",").flatMap((word): Measure[] => (word === "small" ? [word] : kinds.filter((kind) => kind === word)));
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  const isGood = measures.length === values.kinds.split(",").length && Number.isInteger(rounds) && rounds > 0 && seconds > 0;
  if (process.getuid?.() !== 0 || !isGood) {
    process.stderr.write("bench: root is wanted, a whole number of --rounds, --seconds, and --kinds from stream,small,rr,crr,udp\n");
    return 2;
  }
  using cluster = createCluster();
  const nodes = [1, 2].map((at) => cluster.addNode({ at }));
  const samples = await sampled(nodes, measures, { rounds, seconds });
  const rows = measures.flatMap((measure) => ways.map(({ name, about }) => rowOf({ measure, name, about }, samples)));
  process.stdout.write(values.json ? `${JSON.stringify(rows, undefined, 2)}\n` : tableOf(rows));
  return 0;
}

/** All figures, by way and measure, in the order of rounds. */
async function sampled(nodes: readonly TestNode[], measures: readonly Measure[], { rounds, seconds }: { rounds: number; seconds: number }): Promise<Map<string, number[]>> {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-bench."));
  const samples = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      const way = ways[(round + turn) % ways.length];
      if (!way) continue;
      lay(nodes, folder, way);
      for (const measure of measures) {
        if (process.stderr.isTTY) process.stderr.write(`round ${round + 1}: ${way.name} ${measure}    \r`);
        const figure = await measured(nodes, measure, seconds);
        samples.set(`${way.name} ${measure}`, [...(samples.get(`${way.name} ${measure}`) ?? []), figure]);
      }
    }
  }
  rmSync(folder, { recursive: true });
  return samples;
}

/** Makes the way between the nodes, and pods' interfaces as large as it allows. */
function lay(nodes: readonly TestNode[], stateFolder: string, { tunnel, masquerade, encrypt = "none", tracksTunnel = false }: Way): void {
  const paths = nodes.map(({ netns, node }) => openDatapath(netns, optionsOf(node.name, { tunnel, masquerade, encrypt, stateFolder: `${stateFolder}/${node.name}` })));
  const published = paths.map((path) => path.reconcile(nodes.map(({ node }) => node)).publish);
  const known = nodes.map(({ node }, at) => ({ ...node, published: published[at] ?? {} }));
  for (const [at, { netns, pod }] of nodes.entries()) {
    const { podMtu = 0, problems = [] } = paths[at]?.reconcile(known) ?? {};
    if (problems.length > 0) throw new RangeError(`Cannot measure: ${problems.join("; ")}`);
    const untracked = netns.nft.chains("inet").filter(({ name }) => name.startsWith("untracked-"));
    if (tracksTunnel || !masquerade) netns.nft.transaction((change) => untracked.forEach((chain) => change.deleteChain(chain)));
    for (const [where, name] of [[netns, "pod"], [pod, "eth0"]] as const) where.links.set(where.links.get(name), { mtu: podMtu });
  }
}

async function measured([from, to]: readonly TestNode[], measure: Measure, forSeconds: number): Promise<number> {
  if (!from || !to) return Number.NaN;
  const kind = measure === "small" ? "stream" : measure;
  for (const name of ["tx-tcp-segmentation", "tx-generic-segmentation"]) featuresIn(from.pod).set(from.pod.links.get("eth0"), name, measure !== "small");
  const apart = kind === "stream";
  const ip = String(podIp(to.spec.at, 4));
  const server = Bun.spawn(inside(to.pod, apart ? 1 : 0, "serve", kind, ip), { stdout: "pipe" });
  const said = server.stdout.getReader();
  await said.read();
  const client = Bun.spawn(inside(from.pod, 0, "drive", kind, ip, String(forSeconds)), { stdout: "pipe" });
  const driven: Counted = JSON.parse(await new Response(client.stdout).text());
  const { value } = await said.read();
  await server.exited;
  const received: Counted = JSON.parse(new TextDecoder().decode(value));
  const { count, seconds } = kind === "stream" || kind === "udp" ? received : driven;
  return kind === "stream" ? (count * 8) / seconds / 1e9 : count / seconds / 1000;
}

const inside = (netns: Netns, cpu: number, ...words: string[]): string[] =>
  ["nsenter", `--net=/proc/${process.pid}/fd/${netns.fd}`, "taskset", "-c", String(cpu), process.execPath, `${import.meta.dir}/traffic.ts`, ...words];

interface Row {
  measure: Measure;
  name: string;
  about: string;
  best: number;
  /** Of the bests. */
  ratio: number;
  /** Of the ratios of each round. */
  median: number;
}

function rowOf(of: Pick<Row, "measure" | "name" | "about">, samples: ReadonlyMap<string, number[]>): Row {
  const [ours, peer] = [of.name, "routed"].map((name) => samples.get(`${name} ${of.measure}`) ?? []);
  const [best, routed] = [Math.max(...(ours ?? [])), Math.max(...(peer ?? []))];
  return { ...of, best, ratio: best / routed, median: figureOf({ ours: ours ?? [], peer: peer ?? [] }).ratio };
}

function tableOf(rows: readonly Row[]): string {
  const line = ({ about, measure, best, ratio, median }: Row): string =>
    `  ${about.padEnd(56)}${`${best.toFixed(1)} ${UNITS[measure === "small" ? "stream" : measure]}`.padStart(14)}${ratio.toFixed(2).padStart(8)}${`(${median.toFixed(2)})`.padStart(8)}`;
  return [...Map.groupBy(rows, ({ measure }) => measure)].map(([measure, some]) => `\n${TITLES[measure]}\n${some.map(line).join("\n")}\n`).join("");
}

process.exitCode = await main();
