/**
 * What this machine's kernel was built without, tested in a virtual machine with Debian's kernel.
 *
 *   bun tests/e2e/vm/main.ts [--report FILE] [PATTERN…]     the test files of programs.ts whose path has a pattern
 *   bun tests/e2e/vm/main.ts --shell                        a shell in the machine, to look around; exit ends it
 *
 * A test that skips in there, or is not there at all, is a failure: this is where it has to run. `npm run test:e2e` calls
 * this and counts the report's tests among its own.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { junitOf, readJunit, type Outcome } from "../../../scripts/junit.ts";
import { programs, type VmProgram } from "./programs.ts";
import { runInVm, shellInVm, vmLacks } from "./vm.ts";

const LIMIT_MS = 20 * 60_000;
const root = join(import.meta.dir, "../../..");

const { values: flags, positionals: patterns } = parseArgs({ allowPositionals: true, options: { report: { type: "string" }, shell: { type: "boolean", default: false } } });
if (flags.shell) process.exit(await shellInVm());

const chosen = programs.filter(({ file }) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)));
const outcomes = vmLacks === "" ? await runAll(chosen) : chosen.map(({ file }): Outcome => ({ verdict: "skipped", title: `in a virtual machine (needs ${vmLacks})`, file, line: 0, why: `needs ${vmLacks}` }));
if (flags.report !== undefined) writeFileSync(flags.report, junitOf(outcomes));
process.exitCode = outcomes.every(({ verdict }) => verdict !== "failed") && outcomes.length > 0 ? 0 : 1;

async function runAll(wanted: readonly VmProgram[]): Promise<Outcome[]> {
  let lines = "";
  const { code, out, err } = await runInVm([process.execPath, "tests/e2e/vm/inside.ts", ...wanted.flatMap(({ file, tests = "" }) => [file, tests])], {
    timeoutMs: LIMIT_MS,
    hot: [process.execPath, join(root, "dist/vethwork"), ...["bridge", "dummy", "host-local", "ipvlan", "vlan", "vrf"].map((type) => join(root, ".cache/reference-plugins/usr/lib/cni", type))],
    onOutput: (text) => {
      lines += text;
      for (const [, file = "", seconds] of lines.matchAll(/^@@ (\S+) (\S+)$/gm)) console.log(`in the VM: ${file} (${seconds} s)`);
      lines = lines.slice(lines.lastIndexOf("\n") + 1);
    },
  });
  if (err !== "") console.log(err.trimEnd());
  const found = wanted.flatMap((program) => outcomesOf(program, out));
  if (code !== 0) found.push({ verdict: "failed", title: "the virtual machine itself", file: "tests/e2e/vm/inside.ts", line: 0, why: `ended with exit code ${code}` });
  return found;
}

/** Some tests are for a kernel that lacks something: they run outside. */
function isForHere({ verdict, title, why }: Outcome): boolean {
  return verdict !== "skipped" || !/\(needs a kernel without /.test(`${title} (${why})`);
}

/** What must have run, and did not, has failed. */
function outcomesOf({ file, titles }: VmProgram, out: string): Outcome[] {
  const report = out.split(/^@@ /m).find((part) => part.startsWith(`${file} `)) ?? "";
  const found = readJunit(report).map((outcome): Outcome => ({ ...outcome, file: outcome.file === "" ? file : outcome.file }));
  const failed = (title: string, why: string): Outcome => ({ verdict: "failed", title, file, line: 0, why });
  return [
    ...found.filter(isForHere).map((outcome) => (outcome.verdict === "skipped" ? failed(outcome.title, `does not run in the VM: ${outcome.why}`) : outcome)),
    ...titles.filter((title) => !found.some((outcome) => outcome.title === title)).map((title) => failed(title, "was not among the tests in the VM")),
    ...(found.length === 0 ? [failed("the test file itself", "told of no test in the VM")] : []),
  ];
}
