import { expect, test } from "bun:test";
import { isTypeScript, listFiles } from "./files.ts";
import { againstArrows, badSpecifiers, bunInCni, ffiElsewhere, importsOf, packageCycles } from "./imports.ts";

const files = listFiles().filter(isTypeScript);
const file = (path: string, text: string) => ({ path, text });

test("imports follow the arrows", () => {
  expect(againstArrows(files)).toEqual([]);
});

test("an import against the arrows is reported, whatever its form", () => {
  const bad = [
    file("packages/cni/skel.ts", 'import type { Ip } from "@vethwork/linux/ip.ts";'),
    file("packages/linux/links.ts", 'const x = await import("../cni/json.ts");'),
    file("packages/plugins/main.ts", 'export { up } from "../lab/up.ts";'),
    file("packages/agent/loop.ts", 'import "@vethwork/plugins/bridge/bridge.ts";'),
    file("packages/lab/up.ts", 'import { main } from "../cli/main.ts";'),
    file("packages/novel/x.ts", ""),
  ];
  expect(againstArrows(bad)).toHaveLength(bad.length);
});

test("imports along the arrows, of oneself and in prose are none of its business", () => {
  expect(againstArrows([
    file("packages/agent/loop.ts", 'import { a } from "@vethwork/plugins/shared/state.ts"; import { b } from "./b.ts";'),
    file("packages/cli/main.ts", 'import { a } from "../lab/a.ts"; import { b } from "../linux/b.ts";'),
    file("packages/cni/skel.ts", '// import { a } from "../linux/a.ts";\nconst text = `from "../linux/a.ts"`;'),
  ])).toEqual([]);
});

test("no package imports itself through others", () => {
  expect(packageCycles(files)).toEqual([]);
});

test("a cycle through three packages is reported", () => {
  expect(packageCycles([
    file("packages/lab/a.ts", 'import "@vethwork/agent/a.ts";'),
    file("packages/agent/a.ts", 'import "@vethwork/plugins/a.ts";'),
    file("packages/plugins/a.ts", 'import "@vethwork/lab/a.ts";'),
  ])).toHaveLength(3);
});

test("only linux/libc.ts imports bun:ffi", () => {
  expect(ffiElsewhere(files)).toEqual([]);
});

test("bun:ffi elsewhere is reported, in a test too", () => {
  expect(ffiElsewhere([file("packages/linux/netns.test.ts", 'import { ptr } from "bun:ffi";')])).toHaveLength(1);
});

test("cni knows no bun", () => {
  expect(bunInCni(files)).toEqual([]);
});

test("bun in cni is reported, as a module and as a global", () => {
  expect(bunInCni([file("packages/cni/invoke.ts", 'import { $ } from "bun";\nBun.spawnSync([]);')])).toHaveLength(2);
});

test("own files are imported with their ending", () => {
  expect(badSpecifiers(files)).toEqual([]);
});

test("an import without its ending is reported", () => {
  expect(badSpecifiers([file("a.ts", 'import { b } from "./b";')])).toEqual(['a.ts:1: "./b" lacks its ending .ts']);
});

test("an import is found with its line and what it leads to", () => {
  expect(importsOf(file("packages/lab/x/a.ts", '\nimport { b } from "../b.ts";'))).toEqual(
    [{ from: "packages/lab/x/a.ts", line: 2, specifier: "../b.ts", ours: "lab/b.ts" }]);
});
