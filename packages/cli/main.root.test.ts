/** What is around the binary, and must not change what it does: variables of its runtime, files in the working directory. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";

const program = join(import.meta.dir, "../../dist/cni-bin/bridge");
const lacks = missing({ files: { [program]: "npm run build" } });

test.skipIf(lacks !== "")(skipped("neither a variable of the runtime nor a file in the working directory makes a plugin run other code", lacks), () => {
  const folder = mkdtempSync(join(tmpdir(), "around-"));
  try {
    const foreign = join(folder, "foreign.js");
    writeFileSync(foreign, "process.stdout.write('foreign'); process.exit(9);");
    writeFileSync(join(folder, ".env"), "CNI_COMMAND=\n");
    writeFileSync(join(folder, "bunfig.toml"), `preload = ["${foreign}"]\n`);
    for (const name of [".env.local", ".env.production", ".env.development"]) writeFileSync(join(folder, name), "CNI_COMMAND=\n");
    for (const name of ["package.json", "tsconfig.json", "jsconfig.json"]) writeFileSync(join(folder, name), "not JSON");
    const preload = `--preload ${foreign}`;
    for (const more of [{}, { BUN_BE_BUN: "1" }, { BUN_OPTIONS: preload }, { NODE_OPTIONS: `--require ${foreign}` }, { BUN_INSPECT_PRELOAD: foreign, BUN_INSPECT: "1" }, { BUN_PRELOAD: foreign }, { BUN_CONFIG_FILE: join(folder, "bunfig.toml") }, { NODE_PATH: folder }, { NODE_ENV: "development" }, { BUN_RUNTIME_TRANSPILER_CACHE_PATH: folder }]) {
      const { exitCode, stdout } = Bun.spawnSync([program], { cwd: folder, env: { CNI_COMMAND: "VERSION", ...more } });
      expect({ more, exitCode, version: JSON.parse(stdout.toString()).cniVersion }).toEqual({ more, exitCode: 0, version: "1.1.0" });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const straceLacks = lacks || missing({ programs: ["strace"] });
test.skipIf(straceLacks !== "")(skipped("nothing in the working directory is as much as looked at", straceLacks), () => {
  const folder = mkdtempSync(join(tmpdir(), "around-"));
  try {
    const trace = join(folder, "trace");
    Bun.spawnSync(["strace", "-f", "-o", trace, "-e", "trace=%file", program], { cwd: folder, env: { CNI_COMMAND: "VERSION" } });
    const looked = readFileSync(trace, "utf8").split("\n").filter((line) => /\((?:AT_FDCWD, )?"/.test(line) && !/\b(?:execve|getcwd)\(/.test(line));
    expect(looked.length).toBeGreaterThan(3);
    expect(looked.filter((line) => line.includes(folder) || !/\((?:AT_FDCWD, )?"(?:\/|")/.test(line))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
