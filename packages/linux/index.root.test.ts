/** The README's example does what it says. */
import { expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kernelTest } from "./testing/room.ts";

kernelTest("the example runs, and prints a cable that is up and a chain", () => {
  const [, code = ""] = /^```ts\n([\s\S]+?)^```/m.exec(readFileSync(join(import.meta.dir, "README.md"), "utf8")) ?? [];
  const folder = mkdtempSync(join(import.meta.dir, ".example-")); // here, where the package's name leads to it
  try {
    writeFileSync(join(folder, "example.ts"), code);
    const { stdout, stderr } = Bun.spawnSync([process.execPath, join(folder, "example.ts")]);
    expect({ out: stdout.toString(), err: stderr.toString() }).toEqual({ out: "true 1\n", err: "" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
