/** What is around the binary, and must not change what it does: variables of its runtime, files in the working directory. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
    const preload = `--preload ${foreign}`;
    for (const more of [{}, { BUN_BE_BUN: "1" }, { BUN_OPTIONS: preload }, { NODE_OPTIONS: `--require ${foreign}` }, { BUN_INSPECT_PRELOAD: foreign, BUN_INSPECT: "1" }]) {
      const { exitCode, stdout } = Bun.spawnSync([program], { cwd: folder, env: { CNI_COMMAND: "VERSION", ...more } });
      expect({ more, exitCode, version: JSON.parse(stdout.toString()).cniVersion }).toEqual({ more, exitCode: 0, version: "1.1.0" });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
