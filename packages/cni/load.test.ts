/** Networks from a folder: which files count, in which order, and what ends the search. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { confFiles, loadNetworkConf, networkConfFromFile } from "./index.ts";

/** A folder with these files, gone when the test is over. */
function withFiles(files: Record<string, unknown>, body: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "vethwork-net.d-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    body(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const network = (name: string, ...types: string[]) => ({ cniVersion: "1.0.0", name, plugins: types.map((type) => ({ type })) });

test("files count by their exact extension, not below the folder, in the order of their names", () => {
  withFiles({ "b.conflist": "", "a.conflist": "", "c.CONFLIST": "", "sub/d.conflist": "", "e.conflist/f": "" }, (dir) => {
    assert.deepEqual(confFiles(dir, [".conflist"]), [join(dir, "a.conflist"), join(dir, "b.conflist")]);
    assert.deepEqual(confFiles(join(dir, "nowhere"), [".conflist"]), []);
  });
});

test("the first list with the name is the network, before any single plugin", () => {
  withFiles({ "1.conf": { name: "pods", type: "ptp" }, "2.conflist": network("pods", "a"), "3.conflist": network("pods", "b") }, (dir) => {
    assert.deepEqual(loadNetworkConf(dir, "pods").plugins.map(({ type }) => type), ["a"]);
  });
});

test("a single plugin's file is a network of one", () => {
  withFiles({ "2.json": { name: "old", type: "ptp", mtu: 9 }, "1.conf": { name: "x", type: "x" } }, (dir) => {
    assert.deepEqual(loadNetworkConf(dir, "old").plugins.map(({ object }) => object), [{ name: "old", type: "ptp", mtu: 9 }]);
  });
});

test("a file that does not parse ends the search, even before the wanted network", () => {
  withFiles({ "1.conflist": "{", "2.conflist": network("pods", "a") }, (dir) => {
    assert.throws(() => loadNetworkConf(dir, "pods"), { code: 6 });
  });
});

test("no network is an error that says whether there were any", () => {
  withFiles({ "1.conflist": network("pods", "a") }, (dir) => {
    assert.throws(() => loadNetworkConf(dir, "x"), { message: `no net configuration with name "x" in ${dir}` });
    assert.throws(() => loadNetworkConf(join(dir, "n"), "x"), { message: `no net configurations found in ${join(dir, "n")}` });
  });
});

test("plugins from the drop-in folder follow the list's own, unless the list wants none", () => {
  const files = { "pods/20.conf": { type: "c" }, "pods/10.conf": { type: "b" }, "pods/30.json": { type: "x" } };
  const types = (list: object): string[] => {
    let found: string[] = [];
    withFiles({ ...files, "1.conflist": list }, (dir) => {
      found = networkConfFromFile(join(dir, "1.conflist")).plugins.map(({ type }) => type);
    });
    return found;
  };
  assert.deepEqual(types(network("pods", "a")), ["a", "b", "c"]);
  assert.deepEqual(types({ name: "pods" }), ["b", "c"]);
  assert.deepEqual(types({ ...network("pods", "a"), loadOnlyInlinedPlugins: true }), ["a"]);
  assert.throws(() => types({ name: "other" }), { message: "no plugin configs found" });
});

test("a drop-in that does not parse is an error that names the folder", () => {
  withFiles({ "1.conflist": network("pods", "a"), "pods/1.conf": "{}" }, (dir) => {
    assert.throws(() => loadNetworkConf(dir, "pods"),
      { message: `failed to read plugin config files in ${join(dir, "pods")}: error parsing configuration: missing 'type'` });
  });
});

test("a file that cannot be read is an I/O failure with its path", () => {
  assert.throws(() => networkConfFromFile("/nowhere/1.conflist"), { code: 5, message: /^error reading \/nowhere\/1\.conflist: / });
});
