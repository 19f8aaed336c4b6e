/**
 * Runs one test program by itself: in a room of its own when root (scripts/room.sh), with a temporary folder of its
 * own, and with a report that is believed only together with the exit code. One process per test file, because a
 * kernel test may crash the runtime or leave it in another namespace, and the next file must not inherit that.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, readJunit } from "./junit.ts";

const room = join(import.meta.dir, "room.sh");

/** How long what a program that was stopped had started may take to clear up (room.sh waits for less). */
const windDownMs = 10_000;

/** A program that writes a JUnit report. */
export interface TestProgram {
  /** What it is called in the listing; of a bun test its file. */
  readonly name: string;
  /** Given the path that the report is to be written to. */
  readonly command: (report: string) => { cmd: readonly string[]; env?: Record<string, string> };
  readonly cwd: string;
  /** Killed after this time; a test's own limit is much shorter. */
  readonly limitMs: number;
  /** An empty report is no failure: a filter by name may leave nothing of a file. */
  readonly mayBeEmpty: boolean;
}

/** What came of it. */
export interface Ran {
  readonly outcomes: readonly Outcome[];
  /** What it printed, both streams. */
  readonly output: string;
  readonly ms: number;
}

/** Runs test programs, several at once where asked to. Dispose it to be rid of what it holds, also in the middle of a run, which then never returns. */
export class Runner implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "vethwork-test-"));
  readonly #isolated = canIsolate(this.#folder);
  readonly #running = new Set<Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">>();
  #isStopped = false;

  /** False when this user may not make namespaces: tests that need them skip, and nothing watches for leftovers. */
  get isolated(): boolean {
    return this.#isolated;
  }

  async run(program: TestProgram): Promise<Ran> {
    const own = mkdtempSync(join(this.#folder, "run-"));
    const report = join(own, "report.xml");
    const leftovers = join(own, "leftovers");
    const temporary = join(own, "tmp");
    mkdirSync(temporary);

    const begun = performance.now();
    const { cmd, env } = program.command(report);
    const child = Bun.spawn({
      cmd: this.#isolated ? [room, leftovers, ...cmd] : [...cmd],
      cwd: program.cwd,
      env: { ...cleanEnvironment(), ...env, TMPDIR: temporary },
      stdin: this.#isolated ? "pipe" : "ignore", stdout: "pipe", stderr: "pipe", // the room's life
      timeout: program.limitMs,
      killSignal: "SIGKILL",
    });
    this.#running.add(child);
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    this.#running.delete(child);
    if (this.#isStopped) await Promise.withResolvers<never>().promise;

    const outcomes = readJunit(read(report));
    const trouble = [
      ...left(leftovers, temporary).map((thing) => `left behind: ${thing}`),
      ...ending(child.exitCode, child.signalCode, outcomes, program),
    ];
    rmSync(own, { recursive: true, force: true });
    return {
      outcomes: [...outcomes, ...trouble.map((why) => failureOf(program.name, why))],
      output: stdout + stderr,
      ms: performance.now() - begun,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#running].map(async (running) => {
      running.stdin?.end();
      const patience = setTimeout(() => running.kill("SIGKILL"), windDownMs); // its whole room goes with it
      await running.exited;
      clearTimeout(patience);
    }));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What the exit says beyond the report: a crash, a file that does not load, a runner that found nothing to run. */
function ending(code: number | null, signal: NodeJS.Signals | number | null, outcomes: readonly Outcome[], program: TestProgram): string[] {
  if (signal !== null) return [`killed by ${signal} (after ${program.limitMs / 1000} s a test program is killed)`];
  if (code !== 0 && !outcomes.some((outcome) => outcome.verdict === "failed")) return [`ended with exit code ${code}`];
  if (outcomes.length === 0 && !program.mayBeEmpty) return ["holds no test"];
  return [];
}

function failureOf(file: string, why: string): Outcome {
  return { verdict: "failed", title: "the test program itself", file, line: 0, why };
}

function left(leftovers: string, temporary: string): string[] {
  const named = read(leftovers).split("\n").filter((line) => line !== "");
  return [...named, ...readdirSync(temporary).map((name) => `temporary file ${name}`)];
}

function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** A list of extra certificates costs every process that starts some milliseconds, and no test speaks TLS. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _extra, ...rest } = process.env;
  return rest;
}

function canIsolate(folder: string): boolean {
  if (process.getuid?.() !== 0) return false;
  const probe = join(folder, "probe");
  const done = Bun.spawnSync({ cmd: [room, probe, "true"], stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  rmSync(probe, { force: true });
  return done.exitCode === 0;
}
