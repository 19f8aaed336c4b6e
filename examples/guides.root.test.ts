/**
 * The guides' commands do what they say: each is run as it stands, in a copy of the repository, in a room of its own
 * (scripts/room.sh), which also tells what a guide leaves behind.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { missing, skipped } from "../tests/conformance/node/needs.ts";
import { listPaths, root } from "../tests/house/files.ts";

const lacks = missing({ root: true, programs: ["unshare", "nsenter", "ip", "nft", "ping", "git"] });
const folder = mkdtempSync(join(tmpdir(), "vethwork-guides-"));
const copy = join(folder, "vethwork");

/** Files, and links to what is installed; but a package of ours is the copy's own. */
beforeAll(() => {
  if (lacks !== "") return;
  for (const path of listPaths()) {
    mkdirSync(join(copy, dirname(path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { preserveTimestamps: true }); // scripts/setup.sh goes by them
  }
  symlinkSync(join(root, ".cache"), join(copy, ".cache"));
  mkdirSync(join(copy, "node_modules/@vethwork"), { recursive: true });
  for (const name of readdirSync(join(copy, "packages"))) symlinkSync(`../../packages/${name}`, join(copy, "node_modules/@vethwork", name));
  for (const name of readdirSync(join(root, "node_modules"))) if (name !== "@vethwork") symlinkSync(join(root, "node_modules", name), join(copy, "node_modules", name));
  expect(Bun.spawnSync(["sh", "-ec", "git init -q && git add -A"], { cwd: copy }).exitCode).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** All commands of a guide, top to bottom. */
const commandsOf = (guide: string): string =>
  [...readFileSync(join(root, guide), "utf8").matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block).join("\n");

async function follow(guide: string): Promise<{ code: number; said: string; left: string }> {
  const report = join(folder, `${basename(guide)}.left`);
  const { NODE_EXTRA_CA_CERTS: _extra, ...env } = process.env;
  const script = `exec 2>&1\n${commandsOf(guide)}`;
  const room = Bun.spawn([join(root, "scripts/room.sh"), report, "bash", "-euo", "pipefail", "-c", script], {
    cwd: copy, env: { ...env, TMPDIR: folder }, stdin: "ignore", stdout: "pipe", stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([room.stdout.text(), room.stderr.text(), room.exited]);
  return { code, said: `${out}${err}`, left: readFileSync(report, "utf8") };
}

for (const [guide, says] of [
  ["docs/write-a-plugin.md", /"supportedVersions":\[.*"1\.1\.0"/],
  ["docs/add-a-plugin.md", /✔ house[\s\S]*4 passed, 0 failed, 0 skipped\n[\s\S]*what the interface's label says[\s\S]*alias blue: web, db/i],
  ["examples/plugin-minimal/README.md", /"mtu": 1300/],
  ["examples/attach/README.md", /10\.244\.1\.\d+\/32[\s\S]* 0% packet loss/],
  ["docs/lab.md", /✔ every pod reaches every pod[\s\S]* 0% packet loss/],
  ["packages/plugins/README.md", /default via 169\.254\.1\.1/],
] as const) {
  test.skipIf(lacks !== "")(skipped(`${guide}: its commands work as they stand, and leave nothing`, lacks), async () => {
    const { code, said, left } = await follow(guide);
    expect({ code, said }).toEqual({ code: 0, said: expect.stringMatching(says) });
    expect(left).toBe("");
  }, 180_000);
}
