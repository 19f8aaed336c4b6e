/**
 * npm run check: everything that is known without root and without the kernel, in seconds, before each commit.
 *
 *   bun scripts/check.ts [types] [lint] [shell] [house] [unit]      (all of them, if none is named)
 *
 * All run at once; each tells its time, and what it printed when it found something. Exit code 1 if any did.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const bin = (name: string) => join(root, "node_modules/.bin", name);

/** Long enough on a busy machine: what hangs is found all the same. */
const limit = "--timeout=60000";

/** Name and command; a command is looked for when its turn comes, and undefined when it cannot be had here. */
const checks: Readonly<Record<string, () => readonly string[] | undefined>> = {
  types: () => [bin("tsc"), "-p", root],
  lint: () => [bin("oxlint"), "--quiet"],
  shell: () => Bun.which("shellcheck") === null ? undefined : ["shellcheck", ...shellScripts()],
  house: () => [process.execPath, "test", "--only-failures", limit, "./tests/house/"],
  unit: () => [process.execPath, "test", "--only-failures", limit, ...unitTests()],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`no check "${unknown.join(", ")}" (${Object.keys(checks).join(", ")})`);
  process.exit(2);
}
const chosen = Object.entries(checks).filter(([name]) => asked.length === 0 || asked.includes(name));
const results = await Promise.all(chosen.map(([name, command]) => run(name, command())));
if (results.includes(false)) {
  console.error("check: something is not right, see above");
  process.exit(1);
}

async function run(name: string, command: readonly string[] | undefined): Promise<boolean> {
  if (command === undefined) {
    console.error(`– ${name}: its program is not installed`);
    return true;
  }
  const begun = performance.now();
  const { NODE_EXTRA_CA_CERTS: _extra, ...env } = process.env;
  const child = Bun.spawn({ cmd: [...command], cwd: root, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const ok = code === 0;
  console.error(`${ok ? "✔" : "✘"} ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  if (!ok) console.error(`${stdout}${stderr}`.trimEnd().replace(/^/gm, "  | "));
  return ok;
}

/** Shell scripts have no common ending: their first line tells. */
function shellScripts(): string[] {
  const found = Bun.spawnSync({ cmd: ["git", "grep", "--untracked", "-lE", "^#!.*[ /](ba)?sh$"], cwd: root });
  return found.stdout.toString().split("\n").filter((path) => path !== "");
}

/** A test that needs the kernel has "root" in its name and is npm test's business. */
function unitTests(): string[] {
  return ["packages", "scripts", "bench"].flatMap((folder) =>
    [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync({ cwd: root })]
      .filter((path) => !path.includes(".root.test.") && !path.includes("node_modules/") && !path.includes("dist/"))
      .map((path) => `./${path}`));
}
