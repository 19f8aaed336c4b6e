/**
 * The sampler: runs inside a node of namespaces, starts plugins as a runtime does, and tells how long each took.
 *
 * What is timed is a whole process, from its start to the end of its output: what a pod waits for. Each side has a node
 * and a sampler of its own, the same program, so what starting costs the runtime is in both figures alike, and neither
 * finds the other's rules in its way. Namespaces are made before and deleted after all rounds, since the kernel goes on
 * clearing one away for a while, and holds the lock that ADD needs.
 *
 * Reads tasks as lines of JSON, answers each with a line, and ends when there are no more.
 */
import { mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Netns, forgetContent } from "@vethwork/linux";
import { hostEndName } from "@vethwork/plugins/shared/attachment.ts";
import type { Side } from "./cases.ts";
import { NETNS, startsOf, type Start } from "./starts.ts";

export type Task =
  | { what: "prepare"; pods: string[] }
  /** VERSION, ADD or DEL of one pod. */
  | { what: "call"; command: string; pod: string }
  /** The same of many at once. */
  | { what: "crowd"; command: string; pods: string[] }
  | { what: "clear"; pods: string[] }
  /** Takes so many addresses, or host ports. */
  | { what: "take"; count: number };

/** Of `call` and `crowd` the time; of `call` also the processor's, and the most that the process had resident. */
export interface Sample {
  ms: number;
  /** Of all processors, in programs and in the kernel for them; with those of processes that were started and waited for. */
  busyMs: number;
  mebibytes: number;
}

/** A plugin did not do its work: a time without the work would be no figure. */
class SampleFailure extends Error {
  override readonly name = "SampleFailure";
}

const nothing: Sample = { ms: 0, busyMs: 0, mebibytes: 0 };

async function perform(side: Sided, task: Task): Promise<Sample> {
  if (task.what === "call") return side.kernelOnly && task.command === "DEL" ? deleteCable(side, task.pod) : call(side, task.command, task.pod);
  if (task.what === "crowd") return crowd(side, task.command, task.pods);
  if (task.what === "take") return side.type === "portmap" ? takePorts(side, task.count) : takeAddresses(task.count);
  task.pods.forEach(task.what === "prepare" ? makeNamespace : deleteNamespace);
  return nothing;
}

interface Sided extends Side {
  startOf(command: string, pod: string): Start;
}

function call(side: Sided, command: string, pod: string): Sample {
  const { argv, env, stdin, failed } = side.startOf(command, pod);
  const begun = performance.now();
  const { exitCode, stdout, stderr, resourceUsage } = Bun.spawnSync(argv, { env, stdin, stdout: "pipe", stderr: "pipe" });
  const ms = performance.now() - begun;
  if (failed(exitCode, stdout.toString())) throw failure(side, command, `${stdout}${stderr}`);
  return { ms, busyMs: Number(resourceUsage?.cpuTime.total ?? 0) / 1000, mebibytes: (resourceUsage?.maxRSS ?? 0) / 1024 / 1024 };
}

/** Times the kernel; the plugin then gives the address back. */
function deleteCable(side: Sided, pod: string): Sample {
  using host = Netns.host();
  const name = hostEndName({ containerId: pod, ifname: "eth0" });
  host.links.get(name); // the socket is open now
  const begun = performance.now();
  host.links.delete(name);
  const ms = performance.now() - begun;
  call(side, "DEL", pod);
  return { ...nothing, ms };
}

async function crowd(side: Sided, command: string, pods: readonly string[]): Promise<Sample> {
  const starts = pods.map((pod) => side.startOf(command, pod));
  const begun = performance.now();
  const children = starts.map(({ argv, env, stdin }) => Bun.spawn(argv, { env, stdin, stdout: "pipe", stderr: "ignore" }));
  await Promise.all(children.map(async (child, at) => {
    const said = await child.stdout.text();
    if (starts[at]?.failed(await child.exited, said)) throw failure(side, command, said);
  }));
  return { ...nothing, ms: performance.now() - begun };
}

function failure({ type }: Side, command: string, said: string): SampleFailure {
  return new SampleFailure(`Cannot measure: ${command} of ${type} failed: ${said.trim()}`);
}

function takePorts(side: Sided, count: number): Sample {
  for (let number = 1; number <= count; number++) call(side, "ADD", `taken-${number}`);
  return nothing;
}

/** Fills host-local's folder, as so many ADDs would. The first of the range stay free for the search to find at once, as in a range that is used in a circle. */
function takeAddresses(count: number): Sample {
  const folder = "/var/lib/cni/networks/bench";
  mkdirSync(folder, { recursive: true });
  for (let number = 1; number <= count; number++) {
    const address = `10.250.${(number >> 8) + 10}.${number & 0xff}`;
    writeFileSync(join(folder, address), `taken-${number}\r\neth0`);
  }
  return nothing;
}

function makeNamespace(pod: string): void {
  mkdirSync(NETNS, { recursive: true });
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

/**
 * How the kernel holds a program, page by page or in large pieces, is a matter of who read it first, and a sixth of a start
 * (docs/decisions/0025-a-program-is-read-in-one-go.md): so each side's are read in one go before.
 */
function readPrograms(bin: string): void {
  for (const program of new Set(readdirSync(bin).map((name) => realpathSync(join(bin, name))))) {
    forgetContent(program);
    readFileSync(program);
  }
}

if (import.meta.main) {
  const given: Side = JSON.parse(process.argv[2] ?? "");
  readPrograms(given.bin);
  const side: Sided = { ...given, startOf: startsOf(given) };
  for await (const line of console) console.log(JSON.stringify(await perform(side, JSON.parse(line))));
}
