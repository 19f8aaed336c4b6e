/**
 * Feeds junk to plugins for as long as one likes, and stops at the first answer that is neither a result nor a well-formed
 * error, with the request and the seed that leads there again.
 *
 *   bun scripts/junk.ts [--inputs N] [--seed S]                        the frame, in this process; 1,000,000 unless given
 *   bun scripts/junk.ts --type TYPE --config JSON [--inputs N]         the built plugin, a process each; 2,000 unless given
 *
 * The second runs in a room of its own (scripts/room.sh), because the plugin is real. The test beside skel.ts asks for
 * fifty thousand of the first kind at every run.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as fc from "fast-check";
import { respond } from "@vethwork/cni";
import { assertAnswer, goodConfig, junk, takesEverything, type JunkRequest } from "../packages/cni/testing/junk.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  options: { inputs: { type: "string" }, seed: { type: "string" }, type: { type: "string" }, config: { type: "string", default: "{}" }, inside: { type: "boolean", default: false } },
});
process.exitCode = values.type !== undefined && !values.inside ? inRoom() : feed();

function inRoom(): number {
  const left = `${process.env["TMPDIR"] ?? "/tmp"}/vethwork-junk-${process.pid}`;
  const { exitCode } = Bun.spawnSync([join(root, "scripts/room.sh"), left, process.execPath, import.meta.path, "--inside", ...process.argv.slice(2)], { stdio: ["ignore", "inherit", "inherit"] });
  Bun.spawnSync(["rm", "-f", left]);
  return exitCode;
}

function feed(): number {
  const { type, config } = values;
  const inputs = Number(values.inputs ?? (type === undefined ? 1_000_000 : 2_000));
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  if (!Number.isInteger(inputs) || inputs < 1 || !Number.isInteger(seed)) {
    console.error(`junk: --inputs ${values.inputs} --seed ${values.seed} (whole numbers are wanted)`);
    return 2;
  }
  const good: Record<string, unknown> = type === undefined ? goodConfig : { type, ...JSON.parse(config) };
  const answer = type === undefined ? byFrame : byProcess(join(root, "dist/cni-bin", type));
  const begun = performance.now();
  const details = fc.check(fc.property(junk(good), (request) => assertAnswer(answer(request))), { numRuns: inputs, seed });
  if (details.failed) console.error(fc.defaultReportMessage(details));
  else console.log(`${inputs} inputs with seed ${seed} in ${((performance.now() - begun) / 1000).toFixed(1)} s: a result or a well-formed error each`);
  return details.failed ? 1 : 0;
}

function byFrame({ env, stdin }: JunkRequest) {
  return respond(takesEverything, { env, stdin: () => stdin, isOwnNetns: () => false });
}

/** A plugin that does not answer within ten seconds hangs, and is killed; exit code -1 is then no answer. */
function byProcess(program: string) {
  return ({ env, stdin }: JunkRequest) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([program], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env }, stdin, timeout: 10_000, killSignal: "SIGKILL" });
    return { exitCode: exitCode ?? -1, stdout: stdout.toString(), stderr: stderr.toString() };
  };
}
