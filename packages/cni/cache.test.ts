import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { cacheFile } from "./cache.ts";
import { CniError } from "./errors.ts";

const good = { network: "mynet", containerId: "c1", ifname: "eth0" };
const bad = ["../../x", "a/b", "/etc/passwd", "a\\..\\b", "x\0y", "", "/", "..", ".", "x\ny", "$(touch x)", "\"", "日本語", "x".repeat(10_000)];

test("an attachment's file is in the folder of results, whatever it is called by, or there is none", () => {
  for (const key of ["network", "containerId", "ifname"] as const) {
    for (const value of bad) {
      const { network, ...runtime } = { ...good, [key]: value };
      const isRefused = value === "" || /[/\\\0]/.test(value);
      const file = (): string => cacheFile("/var/lib/cni", network, { ...runtime, netns: "" });
      if (isRefused) assert.throws(file, CniError);
      else assert.equal(dirname(file()), "/var/lib/cni/results");
    }
  }
});
