/**
 * The rounds of a case: two nodes, one for each side, asked in turns.
 *
 *     ADD ours, ADD peer, ADD peer, ADD ours, …     the first of a pair alternates; only one side runs at a time
 */
import { join } from "node:path";
import { startNode, type Node } from "../tests/conformance/node/node.ts";
import type { Case, Measure, Side } from "./cases.ts";
import type { Samples } from "./figures.ts";
import type { Sample, Task } from "./sampler.ts";

export interface RoundsOptions {
  rounds: number;
  /** How many at once, of `adds` and `dels`. */
  crowd: number;
}

export type Answer = Partial<Record<Measure, Samples>>;

type Who = "ours" | "peer";
type Ask = (who: Who, task: Task) => Promise<Sample>;

/** Crowds are few rounds, since each is a hundred samples by itself. */
const CROWDS = 5;
/** A pod that is there all the time: a node with none is the exception, and making it ready for the first is not counted. */
const RESIDENT = "resident";

/** Measures a case. Its nodes are taken down in any case; killed, it takes them along. */
export async function measure(one: Case, { rounds, crowd }: RoundsOptions): Promise<Answer> {
  await using ours = await startSampler(one.ours);
  await using peer = await startSampler(one.peer);
  const ask: Ask = (who, task) => (who === "ours" ? ours : peer).ask(task);
  const wants = (...some: Measure[]): boolean => some.some((measured) => measured in one.takes);
  for (const who of turns(0)) {
    const { taken } = one[who];
    if (taken !== undefined) await ask(who, { what: "take", count: taken });
    await ask(who, { what: "prepare", pods: [RESIDENT] });
    await ask(who, { what: "call", command: "ADD", pod: RESIDENT });
  }
  const samples = {
    ...(wants("version", "add", "del", "addBusy", "delBusy", "memory") && (await alone(ask, rounds, wants("version")))),
    ...(wants("adds", "dels") && (await together(ask, crowd))),
  };
  return Object.fromEntries(Object.entries(samples).filter(([measured]) => measured in one.takes));
}

async function alone(ask: Ask, rounds: number, withVersion: boolean): Promise<Answer> {
  const samples = { version: empty(), add: empty(), del: empty(), addBusy: empty(), delBusy: empty(), memory: empty() };
  const pods = Array.from({ length: rounds }, (_, at) => `bench-${at}`);
  for (const who of turns(0)) await ask(who, { what: "prepare", pods });
  for (const [round, pod] of pods.entries()) {
    for (const who of turns(round)) {
      if (withVersion) samples.version[who].push((await ask(who, { what: "call", command: "VERSION", pod })).ms);
      const add = await ask(who, { what: "call", command: "ADD", pod });
      const del = await ask(who, { what: "call", command: "DEL", pod });
      samples.add[who].push(add.ms);
      samples.memory[who].push(add.mebibytes);
      samples.del[who].push(del.ms);
      samples.addBusy[who].push(add.busyMs);
      samples.delBusy[who].push(del.busyMs);
    }
  }
  for (const who of turns(0)) await ask(who, { what: "clear", pods });
  return samples;
}

async function together(ask: Ask, crowd: number): Promise<Answer> {
  const samples = { adds: empty(), dels: empty() };
  for (let round = 0; round < CROWDS; round++) {
    const pods = Array.from({ length: crowd }, (_, at) => `crowd-${round}-${at}`);
    for (const who of turns(round)) {
      await ask(who, { what: "prepare", pods });
      samples.adds[who].push((await ask(who, { what: "crowd", command: "ADD", pods })).ms);
      samples.dels[who].push((await ask(who, { what: "crowd", command: "DEL", pods })).ms);
      await ask(who, { what: "clear", pods });
    }
  }
  return samples;
}

const empty = (): Samples => ({ ours: [], peer: [] });
const turns = (round: number): Who[] => (round % 2 === 0 ? ["ours", "peer"] : ["peer", "ours"]);

interface Sampler extends AsyncDisposable {
  ask(task: Task): Promise<Sample>;
}

/** The sampler said something that is no sample: its last words. */
class RoundsFailure extends Error {
  override readonly name = "RoundsFailure";
}

async function startSampler(side: Side): Promise<Sampler> {
  const node: Node = await startNode();
  const argv = node.entering([process.execPath, join(import.meta.dir, "sampler.ts"), JSON.stringify(side)]);
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const answers = lines(child.stdout);
  return {
    ask: async (task) => {
      child.stdin.write(`${JSON.stringify(task)}\n`);
      await child.stdin.flush();
      const { value, done } = await answers.next();
      if (done) throw new RoundsFailure(`The sampler of ${side.type} ended: ${(await child.stderr.text()).trim()}`);
      const sample: Sample = JSON.parse(value);
      return sample;
    },
    [Symbol.asyncDispose]: async () => {
      await child.stdin.end();
      await node.stop();
    },
  };
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    const parts = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
