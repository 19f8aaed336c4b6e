/**
 * npm test: the unit, kernel and conformance rings, as many test files at once as there are processors, and what came of them.
 *
 *   bun scripts/test.ts [--e2e|--all] [--jobs N] [PATTERN…]      clusters and virtual machines instead, or as well
 *
 * A pattern picks files whose path contains it; one that fits no path picks tests by name, as a regular expression.
 * The last line is always `N passed, N failed, N skipped`, and the exit code is 0 only when something ran and nothing
 * failed. What a test has measured it says in a line that begins with "# ", which is told. Tests of packages/cni run a second
 * time, on Node, for which that package is made as well. With --all a test that skips here and runs in the virtual machine
 * counts once, as what it was there.
 */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, CommandFailed } from "./build.ts";
import type { Outcome } from "./junit.ts";
import { Runner, type TestProgram } from "./runner.ts";

const root = join(import.meta.dir, "..");
const rings = ["packages", "examples", "scripts", "bench", "tests/house", "tests/junk", "tests/conformance", "tests/reliability"];

/** Long enough for a container runtime on a busy machine; a hang is found by the file's own limit anyway. */
const testLimitMs = 60_000;
const fileLimitMs = 600_000;
/** An emulated processor takes thirty times as long. */
const vmLimitMs = 1_300_000;

/** Each file has a room of its own, so they do not meet. More at once than this is too much for a machine's memory, with clusters among them. */
const mostJobs = 4;

const { values: flags, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: { e2e: { type: "boolean", default: false }, all: { type: "boolean", default: false }, jobs: { type: "string", default: String(Math.min(availableParallelism(), mostJobs)) } },
});

const jobs = Number(flags.jobs);
if (!Number.isInteger(jobs) || jobs < 1) {
  console.error(`npm test: --jobs "${flags.jobs}" (how many test files at once is wanted)`);
  process.exit(2);
}

const runner = new Runner();
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  process.once(signal, () => {
    console.error(`stopped by ${signal}`);
    void runner[Symbol.asyncDispose]().then(() => process.exit(code));
  });
}
process.exitCode = await main().finally(() => runner[Symbol.asyncDispose]());

async function main(): Promise<number> {
  const programs = choose(testFiles());
  const begun = performance.now();
  const outcomes = [...await buildOutcomes()];
  if (!runner.isolated) console.log("not in a room of its own (needs root): kernel tests will skip");
  const waiting = programs.values();
  const work = async (): Promise<void> => {
    for (const program of waiting) outcomes.push(...await runAndTell(program));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  console.log(`${programs.length} test programs in ${seconds(performance.now() - begun)}`);
  return summary(flags.all ? withoutSeconds(outcomes) : outcomes);
}

/** A binary that does not build is a failure among the others: the tests that do not need it still say what they know. */
async function buildOutcomes(): Promise<Outcome[]> {
  if (!existsSync(join(root, "packages/cli/main.ts"))) return [];
  try {
    await build({ test: false, force: false });
    await build({ test: true, force: false });
    return [];
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return [{ verdict: "failed", title: "npm run build", file: "scripts/build.ts", line: 0, why: error.message }];
  }
}

function testFiles(): string[] {
  const folders = [...(flags.e2e ? [] : rings), ...(flags.e2e || flags.all ? ["tests/e2e"] : [])];
  return folders.flatMap((folder) =>
    [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync({ cwd: root, onlyFiles: true })]
      .filter((path) => !/(?:^|\/)(?:node_modules|dist)\//.test(path))
      .sort());
}

/** Tests that import node:test are Node's; bun runs those of its own tests alone. */
function runsOnNodeOnly(path: string): boolean {
  return /^import .* from "node:test";/m.test(readFileSync(join(root, path), "utf8"));
}

function choose(files: readonly string[]): TestProgram[] {
  const isPicked = (file: string): boolean => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern));
  const onBun = files.filter((file) => !runsOnNodeOnly(file));
  const onNode = files.filter(runsOnNodeOnly);
  const programs = [...onBun.filter(isPicked).map((file) => bunTest(file, "")), ...(onNode.some(isPicked) ? nodePrograms() : []), ...vmProgram(isPicked)];
  return programs.length > 0 ? programs : onBun.map((file) => bunTest(file, patterns.join("|")));
}

/** Tests of other rings, in the virtual machine: those that skip where the kernel was built without what they need. */
function vmProgram(isPicked: (path: string) => boolean): TestProgram[] {
  const isWanted = (flags.e2e || flags.all) && isPicked("tests/e2e/vm");
  return !isWanted ? [] : [{
    name: "tests/e2e/vm",
    command: (report) => ({ cmd: [process.execPath, "tests/e2e/vm/main.ts", "--report", report] }),
    cwd: root,
    limitMs: vmLimitMs,
    mayBeEmpty: false,
  }];
}

function bunTest(file: string, namePattern: string): TestProgram {
  const byName = namePattern === "" ? [] : ["--test-name-pattern", namePattern, "--pass-with-no-tests"];
  return {
    name: file,
    command: (report) => ({
      cmd: [
        process.execPath, "test", `--timeout=${testLimitMs}`, ...byName,
        "--reporter=junit", `--reporter-outfile=${report}`, `./${file}`,
      ],
    }),
    cwd: root,
    limitMs: fileLimitMs,
    mayBeEmpty: namePattern !== "",
  };
}

/** Packages with a script `test:node` promise to run on Node; NODE_OPTIONS asks its runner for the same report. */
function nodePrograms(): TestProgram[] {
  const manifest: unknown = JSON.parse(readFileSync(join(root, "packages/cni/package.json"), "utf8"));
  const scripts = typeof manifest === "object" && manifest !== null && "scripts" in manifest ? manifest.scripts : undefined;
  if (typeof scripts !== "object" || scripts === null || !("test:node" in scripts)) return [];
  return [{
    name: "packages/cni on Node",
    command: (report) => ({
      cmd: ["npm", "run", "--silent", "test:node"],
      env: { NODE_OPTIONS: `--test-reporter=junit --test-reporter-destination=${report}` },
    }),
    cwd: join(root, "packages/cni"),
    limitMs: fileLimitMs,
    mayBeEmpty: false,
  }];
}

async function runAndTell(program: TestProgram): Promise<readonly Outcome[]> {
  const ran = await runner.run(program);
  const outcomes = program.mayBeEmpty ? ran.outcomes.filter(wasPicked) : ran.outcomes;
  const { passed, failed, skipped } = count(outcomes);
  const parts = [`${passed} passed`, failed > 0 ? `${failed} FAILED` : "", skipped > 0 ? `${skipped} skipped` : ""];
  console.log(`${program.name} … ${parts.filter((part) => part !== "").join(", ")} (${seconds(ran.ms)})`);
  if (failed > 0) console.log(ran.output.trimEnd().replace(/^/gm, "  | "));
  else for (const [line] of ran.output.matchAll(/^# .*$/gm)) console.log(`  ${line}`);
  return outcomes.map((outcome) => ({ ...outcome, file: outcome.file === "" ? program.name : outcome.file }));
}

/** bun reports the tests that a name pattern leaves out as skipped, too. */
function wasPicked(outcome: Outcome): boolean {
  return outcome.verdict !== "skipped" || patterns.some((pattern) => new RegExp(pattern).test(outcome.title.replaceAll(" > ", " ")));
}

function summary(outcomes: readonly Outcome[]): number {
  const { passed, failed, skipped } = count(outcomes);
  const of = (verdict: Outcome["verdict"]) => outcomes.filter((outcome) => outcome.verdict === verdict);
  if (skipped > 0) console.log(`\nSkipped:\n${of("skipped").map((o) => `  ${place(o)}  ${o.title}${unexplained(o)}`).join("\n")}`);
  if (failed > 0) console.log(`\nFailed:\n${of("failed").map((o) => `  ${place(o)}  ${o.title}: ${o.why}`).join("\n")}`);
  if (passed + failed === 0) console.log("\nNo test ran");
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** Without the tests that skipped here and ran in the virtual machine. */
function withoutSeconds(outcomes: readonly Outcome[]): Outcome[] {
  const nameOf = ({ file, title }: Outcome): string => `${file.replace(`${root}/`, "")} ${title.replace(/ \(needs [^()]*\)$/, "")}`;
  const ran = new Set(outcomes.filter(({ verdict }) => verdict !== "skipped").map(nameOf));
  return outcomes.filter((outcome) => outcome.verdict !== "skipped" || !ran.has(nameOf(outcome)));
}

function unexplained(outcome: Outcome): string {
  if (outcome.why === "") return "  (no reason given)";
  return outcome.title.includes(outcome.why) ? "" : `  (${outcome.why})`;
}

function place(outcome: Outcome): string {
  const file = outcome.file.startsWith(`${root}/`) ? outcome.file.slice(root.length + 1) : outcome.file;
  return outcome.line > 0 ? `${file}:${outcome.line}` : file;
}

function count(outcomes: readonly Outcome[]): Record<Outcome["verdict"], number> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { verdict } of outcomes) total[verdict] += 1;
  return total;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
