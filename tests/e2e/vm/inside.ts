/**
 * Runs test files inside the virtual machine, two at a time, each as npm test would run it, and prints a report of each as
 * soon as it is there: a line "@@ FILE SECONDS", then JUnit's XML.
 *
 *   bun tests/e2e/vm/inside.ts [FILE [TESTS]]…      TESTS: a regular expression, or "" for all
 */
import { join } from "node:path";
import { junitOf } from "../../../scripts/junit.ts";
import { Runner } from "../../../scripts/runner.ts";

const root = join(import.meta.dir, "../../..");
/** A test that takes a second elsewhere. */
const TEST_LIMIT_MS = 300_000;
const FILE_LIMIT_MS = 900_000;

const given = process.argv.slice(2);
const waiting = Array.from({ length: given.length / 2 }, (_, at) => ({ file: given[at * 2] ?? "", tests: given[at * 2 + 1] ?? "" }));

// The one gives way to the other, which has the longest file: a test that waits for its processor runs into its limit.
await Promise.all([runAll([]), runAll(["nice", "-n", "10"])]);

async function runAll(as: readonly string[]): Promise<void> {
  await using runner = new Runner();
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { file, tests } = next;
    const { outcomes, output, ms } = await runner.run({
      name: file,
      command: (report) => ({
        cmd: [...as, process.execPath, "test", `--timeout=${TEST_LIMIT_MS}`, ...(tests === "" ? [] : ["--test-name-pattern", tests]), "--reporter=junit", `--reporter-outfile=${report}`, `./${file}`],
        env: { VETHWORK_VM: "yes" },
      }),
      cwd: root, limitMs: FILE_LIMIT_MS, mayBeEmpty: false,
    });
    const wanted = outcomes.filter(({ title, verdict }) => verdict !== "skipped" || new RegExp(tests).test(title));
    process.stdout.write(`@@ ${file} ${(ms / 1000).toFixed(1)}\n${junitOf(wanted)}`);
    if (wanted.some(({ verdict }) => verdict === "failed")) process.stderr.write(`${file}:\n${output.trimEnd()}\n`);
  }
}
