import { expect, test } from "bun:test";
import { listFiles, listLinks } from "./files.ts";
import { badNames, downloadHosts, lonelyTests, machinePaths, pathsOf, trickCharacters, unfinished } from "./names.ts";

const files = listFiles();
const paths = pathsOf(files);
const file = (path: string, text: string) => [{ path, text }];
const join = (...parts: string[]) => parts.join("/");

test("files and folders are called after things of the network", () => {
  expect(badNames(paths)).toEqual([]);
});

test("a name that says nothing is reported", () => {
  const bad = ["packages/cni/utils.ts", "packages/lab/helpers/a.ts", "packages/cni/src/a.ts", "packages/cni/spec/index.ts", "packages/cni/skelPlugin.ts"];
  expect(badNames(bad)).toHaveLength(bad.length);
  expect(badNames(["packages/cni/index.ts", "packages/plugins/host-local/store.ts", "packages/linux/uapi/if_link.ts"])).toEqual([]);
});

test("tests lie beside what they test", () => {
  expect(lonelyTests(paths)).toEqual([]);
});

test("a test without its subject is reported", () => {
  expect(lonelyTests(["packages/cni/a.ts", "packages/cni/b.test.ts"])).toHaveLength(1);
  expect(lonelyTests(["packages/cni/a.ts", "packages/cni/a.root.test.ts", "packages/cni/a.race.test.ts", "packages/linux/nft/rule.ts",
    "packages/linux/nft.test.ts", "packages/linux/nft/nft.test.ts"])).toEqual([]);
});

test("nothing is announced as unfinished", () => {
  expect(unfinished(files)).toEqual([]);
});

test("an announcement is reported", () => {
  expect(unfinished(file("a.ts", `// TO${"DO"} later\nconst toDo = 1;\nmktemp X${"XXXXX"}`))).toHaveLength(1);
});

test("no path of one machine stands in the repository", () => {
  expect(machinePaths(files)).toEqual([]);
});

test("a machine's path is reported, an ordinary one is not", () => {
  const bad = [join("", "work", "main"), join("", "root", ".cache"), join("", "tmp", "x"), join("", "home", "me")];
  expect(machinePaths(file("a.md", bad.map((path) => `see ${path}`).join("\n")))).toHaveLength(bad.length);
  expect(machinePaths(file("a.md", "/run/netns, $HOME/work/x, network/tmp/x, /usr/lib/cni, https://x.org/work/y, /tmpfs"))).toEqual([]);
});

test("no link is in the repository: a pull that brings one takes the folder away that had its name", () => {
  expect(listLinks()).toEqual([]);
});

test("no download address stands in the repository", () => {
  expect(downloadHosts(files)).toEqual([]);
});

test("a registry and a resolved lock file are reported", () => {
  expect(downloadHosts(file("package-lock.json", `"resolved"${": "}"https://x"\n${["registry.npmjs", "org"].join(".")}`))).toHaveLength(2);
});

test("no character reads otherwise than it runs", () => {
  expect(trickCharacters(files)).toEqual([]);
});

test("direction marks, hidden spaces and foreign letters in code are reported", () => {
  const text = `const ${"\u0430"} = 1; // ${"\u202e"}\n"${"\u200b"}${"\u0007"}"`;
  expect(trickCharacters(file("a.ts", text)).map((line) => line.replace(/.*U/, "U"))).toEqual(["U+202E", "U+200B", "U+0007", "U+0430 in code"]);
});

test("pictures and signs in comments and strings are welcome", () => {
  expect(trickCharacters(file("a.ts", '// ┌──┐ → ✔ „ß“\nconst a = "✘ …";'))).toEqual([]);
});
