/**
 * The sampler: runs inside a node of namespaces, starts plugins as a runtime does, and tells how long each took.
 *
 *     ADD ours, DEL ours, ADD peer, DEL peer, ADD peer, DEL peer, ADD ours, …      in turns, the first of a pair alternating
 *
 * What is timed is a whole process, from its start to the end of its output: what a pod waits for. Both sides are started
 * by the same call of the same process, so what starting costs the runtime is in both figures alike. Namespaces are made
 * and deleted outside the time. Reads the order as JSON on stdin, writes samples as JSON on stdout.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, Measure, Side } from "./cases.ts";
import type { Samples } from "./figures.ts";

export interface Order {
  case: Case;
  /** Folder of plugins of each side. */
  bins: { ours: string; peer: string };
  rounds: number;
  /** How many at once, of `adds` and `dels`. */
  crowd: number;
}

export type Answer = Partial<Record<Measure, Samples>>;

/** A plugin did not do its work: a time without the work would be no figure. */
class SampleFailure extends Error {
  override readonly name = "SampleFailure";
}

type Who = "ours" | "peer";
const NETNS = "/run/netns";

function sample(order: Order): Promise<Answer> {
  mkdirSync(NETNS, { recursive: true });
  const answer = alone(order);
  const { takes } = order.case;
  return "adds" in takes || "dels" in takes ? together(order, answer) : Promise.resolve(answer);
}

/**
 * One after the other. A round that is not counted comes first: files are read from disk, tables are made. Namespaces are
 * deleted at the end, since the kernel goes on clearing one away for a while, and holds the lock that ADD needs.
 */
function alone({ case: { ours, peer, takes }, bins, rounds }: Order): Answer {
  const samples = { version: empty(), add: empty(), del: empty(), memory: empty() };
  const podOf = (who: Who, round: number): string => `bench-${who}-${round + 1}`;
  const pods = Array.from({ length: rounds + 1 }, (_, at) => [podOf("ours", at - 1), podOf("peer", at - 1)]).flat();
  pods.forEach(makeNamespace);
  for (let round = -1; round < rounds; round++) {
    for (const who of turns(round)) {
      const side = who === "ours" ? ours : peer;
      const call = { side, bin: bins[who] };
      const pod = podOf(who, round);
      const version = "version" in takes ? timed({ ...call, command: "VERSION", pod }) : undefined;
      const add = timed({ ...call, command: "ADD", pod });
      const del = timed({ ...call, command: "DEL", pod });
      if (round < 0) continue;
      if (version) samples.version[who].push(version.ms);
      samples.add[who].push(add.ms);
      samples.del[who].push(del.ms);
      samples.memory[who].push(add.mebibytes);
    }
  }
  pods.forEach(deleteNamespace);
  return Object.fromEntries(Object.entries(samples).filter(([measure]) => measure in takes));
}

/** A crowd of each side in turns; few rounds, since each is a hundred samples by itself. */
async function together({ case: { ours, peer }, bins, crowd }: Order, answer: Answer): Promise<Answer> {
  const samples = { adds: empty(), dels: empty() };
  for (let round = 0; round < CROWDS; round++) {
    for (const who of turns(round)) {
      const call = { side: who === "ours" ? ours : peer, bin: bins[who] };
      const pods = Array.from({ length: crowd }, (_, at) => `bench-${who}-crowd-${round}-${at}`);
      pods.forEach(makeNamespace);
      samples.adds[who].push(await crowdTimed(pods, (pod) => ({ ...call, command: "ADD", pod })));
      samples.dels[who].push(await crowdTimed(pods, (pod) => ({ ...call, command: "DEL", pod })));
      pods.forEach(deleteNamespace);
    }
  }
  return { ...answer, ...samples };
}

const CROWDS = 5;
const empty = (): Samples => ({ ours: [], peer: [] });
const turns = (round: number): Who[] => (round % 2 === 0 ? ["ours", "peer"] : ["peer", "ours"]);

interface Call {
  side: Side;
  bin: string;
  command: string;
  pod: string;
}

function timed(call: Call): { ms: number; mebibytes: number } {
  const options = optionsOf(call);
  const begun = performance.now();
  const { exitCode, stdout, stderr, resourceUsage } = Bun.spawnSync([join(call.bin, call.side.type)], options);
  const ms = performance.now() - begun;
  if (exitCode !== 0) throw failed(call, `${stdout}${stderr}`);
  return { ms, mebibytes: (resourceUsage?.maxRSS ?? 0) / 1024 / 1024 };
}

async function crowdTimed(pods: readonly string[], callOf: (pod: string) => Call): Promise<number> {
  const calls = pods.map((pod) => ({ call: callOf(pod), options: optionsOf(callOf(pod)) }));
  const begun = performance.now();
  const children = calls.map(({ call, options }) => ({ call, child: Bun.spawn([join(call.bin, call.side.type)], options) }));
  await Promise.all(children.map(async ({ call, child }) => {
    const said = await child.stdout.text();
    if ((await child.exited) !== 0) throw failed(call, said);
  }));
  return performance.now() - begun;
}

function optionsOf({ side, bin, command, pod }: Call) {
  const env = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin", CNI_COMMAND: command, CNI_CONTAINERID: pod, CNI_NETNS: join(NETNS, pod), CNI_IFNAME: "eth0", CNI_PATH: bin,
  };
  return { env, stdin: Buffer.from(JSON.stringify(side.config)), stdout: "pipe", stderr: "ignore" } as const;
}

function failed({ side, command, pod }: Call, said: string): SampleFailure {
  return new SampleFailure(`Cannot measure: ${command} of ${side.type} for "${pod}" failed: ${said.trim()}`);
}

function makeNamespace(pod: string): void {
  writeFileSync(join(NETNS, pod), "");
  run("unshare", `--net=${join(NETNS, pod)}`, "true");
}

function deleteNamespace(pod: string): void {
  run("umount", join(NETNS, pod));
  rmSync(join(NETNS, pod));
}

function run(...argv: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(argv);
  if (exitCode !== 0) throw new SampleFailure(`Cannot run "${argv.join(" ")}": ${stderr.toString().trim()}`);
}

if (import.meta.main) {
  const order: Order = await Bun.stdin.json();
  console.log(JSON.stringify(await sample(order)));
}
