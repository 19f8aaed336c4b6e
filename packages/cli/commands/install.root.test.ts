/** `vethwork install` into folders of its own: what it puts there, what it leaves alone, and that a running plugin does not mind. */
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { types } from "@vethwork/plugins/registry.ts";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";

const program = join(import.meta.dir, "../../../dist/vethwork");
const otherBuild = join(import.meta.dir, "../../../dist/test/vethwork");
const lacks = missing({ files: { [program]: "npm run build", [otherBuild]: "npm run build" } });

/** Puts another build there, of the same time, and as long (builds of one version often are). */
function putOther(path: string): void {
  const { atime, mtime } = statSync(program);
  copyFileSync(otherBuild, path);
  truncateSync(path, statSync(program).size);
  utimesSync(path, atime, mtime);
}

function folderTest(title: string, act: (folder: string, install: (...args: string[]) => { code: number; out: string; err: string }) => void): void {
  test.skipIf(lacks !== "")(skipped(title, lacks), () => {
    const folder = mkdtempSync(join(tmpdir(), "bin-"));
    try {
      act(folder, (...args) => {
        const { exitCode, stdout, stderr } = Bun.spawnSync([program, "install", "--bin-dir", join(folder, "bin"), ...args]);
        return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

const version = (file: string): string => Bun.spawnSync([file], { env: { CNI_COMMAND: "VERSION" } }).stdout.toString();

folderTest("an empty folder gets the binary and a link for each type, which answer; a second time nothing is done, unless the binary is another", (folder, install) => {
  const { code, out, err } = install();
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toStartWith(`copy ${program} to ${folder}/bin/vethwork\n`);
  expect(readdirSync(join(folder, "bin")).sort()).toEqual([...types].sort());
  for (const type of types) expect(version(join(folder, "bin", type))).toContain("supportedVersions");
  expect(readlinkSync(join(folder, "bin/bridge"))).toBe("vethwork");
  expect(install().out).toBe(`keep ${folder}/bin/vethwork: it is a copy of this program\n`);
  putOther(join(folder, "bin/vethwork"));
  expect(install().out).toBe(`copy ${program} to ${folder}/bin/vethwork\n`);
});

folderTest("others' plugins stay unless they are named, or all are asked for", (folder, install) => {
  install("loopback");
  expect(readdirSync(join(folder, "bin")).sort()).toEqual(["loopback", "vethwork"]);
  writeFileSync(join(folder, "bin/bridge"), "another's");
  expect(install().out).toContain(`keep ${folder}/bin/bridge: it is another's`);
  expect(readFileSync(join(folder, "bin/bridge"), "utf8")).toBe("another's");
  expect(install("--dry-run", "bridge").out).toContain(`would replace ${folder}/bin/bridge by a link`);
  expect(lstatSync(join(folder, "bin/bridge")).isFile()).toBe(true);
  expect(JSON.parse(install("--json", "bridge").out)).toContainEqual({ verb: "replace", what: `${folder}/bin/bridge by a link to vethwork` });
  expect(readlinkSync(join(folder, "bin/bridge"))).toBe("vethwork");
  writeFileSync(join(folder, "bin/ptp.mine"), "");
  expect(install("--all").code).toBe(0);
  expect(existsSync(join(folder, "bin/ptp.mine"))).toBe(true);
});

folderTest("the binary is replaced while it runs", (folder, install) => {
  install("vethwork");
  copyFileSync(otherBuild, join(folder, "bin/vethwork"));
  const running = Bun.spawn([join(folder, "bin/vethwork")], { env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_NETNS: "/n", CNI_IFNAME: "e", CNI_PATH: "/p" }, stdin: "pipe", stdout: "ignore" });
  expect(install("vethwork")).toMatchObject({ code: 0, err: "" });
  expect(running.exitCode).toBeNull();
  running.kill("SIGKILL");
  expect(readdirSync(join(folder, "bin"))).toEqual(["vethwork"]);
});

folderTest("what is wrong is named, and changes nothing", (folder, install) => {
  expect(install("fly")).toMatchObject({ code: 2, err: expect.stringContaining('there is no plugin "fly"') });
  expect(install("--all", "bridge")).toMatchObject({ code: 2, err: expect.stringContaining("one of --all and TYPE") });
  writeFileSync(join(folder, "bin"), "a file");
  expect(install()).toMatchObject({ code: 1, err: expect.stringContaining("bin") });
});
