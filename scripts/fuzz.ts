/**
 * npm run fuzz: junk to every decoder for as long as one likes (tests/junk), each in a process of its own, so that one that hangs
 * or dies is found, too. What it finds goes to tests/junk/regressions.ts.
 *
 *   npm run fuzz -- [--decoder NAME]… [--seconds N] [--seed N] [--json]
 *   npm run fuzz -- --decoder NAME --seed N --at N          one input again, shown
 *   npm run fuzz -- --list
 *
 * Exit code 0: nothing was found; 1: something was; 2: no such option or decoder; 130: stopped by Ctrl-C, with what came of it so far.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decoders } from "../tests/junk/decoders.ts";
import { complaintOf, inputOf, type Decoder } from "../tests/junk/trial.ts";

/** Found: by which input, and what was wrong. */
interface Outcome {
  decoder: string;
  inputs: number;
  at?: number;
  complaint?: string;
}

/** A decoder that says nothing for so long hangs. */
const SILENT_MS = 15_000;
const usage = "npm run fuzz -- [--decoder NAME]… [--seconds N, each; 20] [--seed N] [--at N] [--json] [--list]";

process.exitCode = await main();

async function main(): Promise<number> {
  const values = asked();
  if (!values) return 2;
  if (values.help) return told(usage);
  if (values.list) return told(decoders.map(({ name }) => name).join("\n"));
  const [seconds, seed, at] = [Number(values.seconds), Number(values.seed ?? Date.now() % 2 ** 31), Number(values.at ?? 0)];
  const chosen = decoders.filter(({ name }) => !values.decoder || values.decoder.includes(name));
  const strange = values.decoder?.find((name) => !decoders.some((one) => one.name === name));
  if (strange !== undefined) return refused(`no decoder "${strange}" (one of --list is wanted)`);
  if (!(seconds > 0) || ![seed, at].every((number) => Number.isInteger(number) && number >= 0)) return refused(`--seconds ${values.seconds} --seed ${seed} --at ${at} (numbers are wanted, whole ones as seed and place)`);
  const [only] = chosen;
  if (values.place !== undefined && only) return inside(only, { seconds, seed, place: values.place });
  if (values.at !== undefined) return only && chosen.length === 1 ? again(only, seed, at) : refused("--at wants one --decoder");
  return playAll(chosen, { seconds, seed, json: values.json });
}

function asked() {
  try {
    return parseArgs({ options: {
      decoder: { type: "string", multiple: true }, seconds: { type: "string", default: "20" }, seed: { type: "string" }, at: { type: "string" },
      json: { type: "boolean", default: false }, list: { type: "boolean", default: false }, help: { type: "boolean", default: false }, place: { type: "string" },
    } }).values;
  } catch (error) {
    refused(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function told(text: string): number {
  console.log(text);
  return 0;
}

function refused(why: string): number {
  console.error(`fuzz: ${why}\n${usage}`);
  return 2;
}

/** One input again: its bytes, and what comes of them. */
async function again(decoder: Decoder, seed: number, at: number): Promise<number> {
  const input = inputOf(decoder, seed, at);
  console.log(`${input.length} bytes: ${JSON.stringify(new TextDecoder().decode(input))}\nbase64: ${Buffer.from(input).toString("base64")}`);
  const complaint = await complaintOf(decoder, input);
  console.log(complaint ?? "a value, or an error in words of our own");
  return complaint === undefined ? 0 : 1;
}

/** In the process of one decoder: `place` always holds the number of the input that is being played. */
async function inside(decoder: Decoder, { seconds, seed, place }: { seconds: number; seed: number; place: string }): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let index = 0;
  for (; performance.now() < end; index++) {
    writeFileSync(place, String(index));
    const complaint = await complaintOf(decoder, inputOf(decoder, seed, index));
    if (complaint === undefined) continue;
    console.log(JSON.stringify({ decoder: decoder.name, inputs: index + 1, at: index, complaint } satisfies Outcome));
    return 1;
  }
  console.log(JSON.stringify({ decoder: decoder.name, inputs: index } satisfies Outcome));
  return 0;
}

async function playAll(chosen: readonly Decoder[], { seconds, seed, json }: { seconds: number; seed: number; json: boolean }): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-fuzz-"));
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
  const outcomes: Outcome[] = [];
  console.error(`${chosen.length} decoders, ${seconds} s each, seed ${seed}`);
  for (const { name } of chosen) {
    if (stop.signal.aborted) break;
    const outcome = await playOne(name, { seconds, seed, place: join(folder, "place"), signal: stop.signal });
    outcomes.push(outcome);
    console.error(`${outcome.complaint === undefined ? "✔" : "✘"} ${name}: ${outcome.inputs} inputs${outcome.complaint === undefined ? "" : `\n  ${outcome.complaint}\n  npm run fuzz -- --decoder "${name}" --seed ${seed} --at ${outcome.at}`}`);
  }
  rmSync(folder, { recursive: true });
  const found = outcomes.filter(({ complaint }) => complaint !== undefined).length;
  const inputs = outcomes.reduce((sum, one) => sum + one.inputs, 0);
  console.log(json ? JSON.stringify({ seed, stopped: stop.signal.aborted, outcomes }) : `${stop.signal.aborted ? "stopped: " : ""}${inputs} inputs to ${outcomes.length} of ${chosen.length} decoders with seed ${seed}: ${found === 0 ? "nothing found" : `${found} took one badly`}`);
  return found > 0 ? 1 : stop.signal.aborted ? 130 : 0;
}

async function playOne(name: string, { seconds, seed, place, signal }: { seconds: number; seed: number; place: string; signal: AbortSignal }): Promise<Outcome> {
  writeFileSync(place, "0");
  const child = Bun.spawn([process.execPath, import.meta.path, "--decoder", name, "--seconds", String(seconds), "--seed", String(seed), "--place", place], { stdout: "pipe", stderr: "pipe", detached: true });
  const stopChild = (): void => child.kill("SIGKILL");
  signal.addEventListener("abort", stopChild);
  let hangs = false;
  let last = "";
  const watch = setInterval(() => {
    const now = readFileSync(place, "utf8");
    hangs = now === last;
    last = now;
    if (hangs) stopChild();
  }, SILENT_MS);
  try {
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (stdout !== "") return JSON.parse(stdout);
    const at = Number(readFileSync(place, "utf8"));
    if (signal.aborted) return { decoder: name, inputs: at };
    return { decoder: name, inputs: at + 1, at, complaint: hangs ? `hangs: nothing for ${SILENT_MS / 1000} s` : `its process died: ${child.signalCode ?? child.exitCode} ${stderr.trim()}` };
  } finally {
    clearInterval(watch);
    signal.removeEventListener("abort", stopChild);
  }
}
