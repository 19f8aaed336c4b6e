import { expect, test } from "bun:test";
import { listFiles } from "./files.ts";
import { pluginFaults } from "./plugins.ts";

const file = (path: string, text = "") => ({ path: `packages/plugins/${path}`, text });
const registry = (...lines: string[]) => file("registry.ts", lines.map((line) => `  ${line},\n`).join(""));

test("every plugin is in the registry and in the list of types", () => {
  expect(pluginFaults(listFiles())).toEqual([]);
});

test("one that lacks a place is reported, with what is to be written there", () => {
  const tap = [file("tap/tap.ts"), file("tap/labelled.ts"), file("shared/veth.ts")];
  expect(pluginFaults([...tap, registry(), file("README.md")])).toEqual([
    'packages/plugins/registry.ts: no line tap: () => require("./tap/tap.ts"),', "packages/plugins/README.md: no row | [tap](tap/tap.ts) | what it does for a pod |",
  ]);
  const list = file("README.md", "\n| [tap](tap/tap.ts) | a device |\n");
  expect(pluginFaults([...tap, list, registry('tap: () => require("./tap/tap.ts")')])).toEqual([]);
  expect(pluginFaults([...tap, list, registry('tap: () => require("./tap/tap.ts")', '"host-tap": () => require("./tap/tap.ts")')])).toEqual([
    "packages/plugins/registry.ts: host-tap is ./tap/tap.ts, not ./host-tap/host-tap.ts", "packages/plugins/registry.ts: there is no packages/plugins/host-tap/host-tap.ts",
  ]);
});
