import { describe, expect, test } from "bun:test";
import { badTestManners, bareErrors, bytesOutsideWire, closedBeforeUndo, emptyCatches, functionsOf, longFiles } from "./code.ts";
import { longFunctions, silentSkips, switchedOff, withoutHeader } from "./code.ts";
import { listFiles } from "./files.ts";

const files = listFiles();
const file = (path: string, text: string) => [{ path, text }];

/** Path → why a rule may be switched off there. */
const exceptions = {};

describe("bytes are taken apart by linux/wire", () => {
  test("nowhere else", () => expect(bytesOutsideWire(files)).toEqual([]));
  test("a DataView elsewhere is reported", () => {
    expect(bytesOutsideWire(file("packages/linux/netlink.ts", "const v = new DataView(b);\nv.getUint16(0);"))).toHaveLength(2);
    expect(bytesOutsideWire(file("packages/agent/x.ts", "buffer.readUInt16LE(0)"))).toHaveLength(1);
  });
  test("in wire and in prose it is welcome", () => {
    expect(bytesOutsideWire(file("packages/linux/wire/codec.ts", "new DataView(b)"))).toEqual([]);
    expect(bytesOutsideWire(file("packages/linux/ip.ts", "// no DataView here"))).toEqual([]);
  });
});

describe("errors carry facts", () => {
  test("nobody throws a bare Error or a string", () => expect(bareErrors(files)).toEqual([]));
  test("a bare Error is reported, thrown or made, with or without new", () => {
    expect(bareErrors(file("a.ts", 'throw new Error("x");\nreject(Error("y"));\nthrow "z";\nthrow `t`;'))).toHaveLength(4);
  });
  test("typed errors are not", () => {
    expect(bareErrors(file("a.ts", 'class X extends Error {}\nthrow new RangeError("new Error(");'))).toEqual([]);
  });
});

describe("the way back has what it needs", () => {
  const add = (open: string) => file("packages/plugins/x/x.ts", `  add({ undo }) {\n    ${open}\n    undo.defer(() => host.links.delete(a));\n  },\n`);
  test("no deferred step uses what is closed by then", () => expect(closedBeforeUndo(files)).toEqual([]));
  test("a namespace by `using` is reported", () => expect(closedBeforeUndo(add("using host = Netns.host();"))).toHaveLength(1));
  test("one that undo keeps open is not, nor one of another verb", () => {
    expect(closedBeforeUndo(add("const host = undo.use(Netns.host());"))).toEqual([]);
    expect(closedBeforeUndo(file("a.ts", "  del() {\n    using host = f();\n  },\n  add() {\n    undo.defer(() => host.x());\n  }"))).toEqual([]);
  });
});

describe("no failure is ignored in silence", () => {
  test("no catch is empty", () => expect(emptyCatches(files)).toEqual([]));
  test("an empty catch is reported, also with a comment inside and on a promise", () => {
    expect(emptyCatches(file("a.ts", "try { f(); } catch {\n  // fine\n}"))).toEqual(["a.ts:1: an empty catch: say ignore(error, why)"]);
    expect(emptyCatches(file("a.ts", "try { f(); } catch (error) {}\np.catch(() => {}); q.catch((e) => undefined);"))).toHaveLength(3);
  });
  test("a catch that does something is not", () => {
    expect(emptyCatches(file("a.ts", 'try { f(); } catch (error) { ignore(error, "gone is what we want"); }'))).toEqual([]);
  });
});

describe("sizes", () => {
  test("no file is longer than 400 lines", () => expect(longFiles(files)).toEqual([]));
  test("a longer one is reported, but no table of the kernel and no test", () => {
    const long = "x\n".repeat(401);
    expect(longFiles(file("packages/cni/a.ts", long))).toEqual(["packages/cni/a.ts:401: 401 lines (at most 400)"]);
    expect(longFiles([...file("packages/linux/uapi/a.ts", long), ...file("packages/cni/a.test.ts", long)])).toEqual([]);
  });
  test("no function is longer than 80 lines", () => expect(longFunctions(files)).toEqual([]));
  test("a longer one is reported, in each form", () => {
    const body = "  x();\n".repeat(80);
    const forms = ["function f() {\n", "const f = (a: number): void => {\n", "  f(a: string): Map<string, number> {\n"];
    for (const form of forms) {
      const indent = /^ */.exec(form)?.[0] ?? "";
      expect(longFunctions(file("a.ts", `${form}${body}${indent}}\n`))).toEqual(["a.ts:1: a function of 82 lines (at most 80)"]);
    }
  });
  test("a function inside another is counted by itself, and a condition is no function", () => {
    const code = "function f() {\n  const g = () => {\n    x();\n  };\n  if (y) {\n    z();\n  }\n}\n";
    expect(functionsOf(code)).toEqual([{ line: 1, ownLines: 5 }, { line: 2, ownLines: 3 }]);
  });
});

describe("headers", () => {
  test("each source says on top what it is", () => expect(withoutHeader(files)).toEqual([]));
  test("one that does not is reported", () => {
    expect(withoutHeader(file("a.ts", 'import { b } from "./b.ts";\n'))).toHaveLength(1);
    expect(withoutHeader(file("a.sh", "#!/usr/bin/env bash\nset -e\n"))).toHaveLength(1);
  });
  test("a comment after the hash-bang counts", () => {
    expect(withoutHeader(file("a.ts", "#!/usr/bin/env bun\n/** Everything that a pod needs. */\n"))).toEqual([]);
    expect(withoutHeader(file("a.sh", "#!/bin/sh\n# Makes the machine ready for it.\n"))).toEqual([]);
  });
});

describe("no rule is switched off in a comment", () => {
  test("but where an exception is declared", () => expect(switchedOff(files, exceptions)).toEqual([]));
  test("one without is reported, and an exception that is not needed any more", () => {
    const bad = file("a.ts", "// oxlint-disable-next-line no-var\nvar a;");
    expect(switchedOff(bad, {})).toHaveLength(1);
    expect(switchedOff(file("a.ts", "// @ts-expect-error\nf();"), {})).toHaveLength(1);
    expect(switchedOff(bad, { "a.ts": "because", "b.ts": "because" })).toEqual(["b.ts: needs no exception any more"]);
  });
});

describe("tests", () => {
  test("mock nothing, sleep nowhere, and none runs alone or never", () => expect(badTestManners(files)).toEqual([]));
  test("one that does is reported", () => {
    const text = 'test.only("a", f);\ntest.skip("b", f);\nmock.module("x", f);\nawait Bun.sleep(3);\nspyOn(a, "b");';
    expect(badTestManners(file("packages/cni/a.test.ts", text))).toHaveLength(5);
  });
  test("say in their title what they need", () => expect(silentSkips(files)).toEqual([]));
  test("one that skips in silence is reported", () => {
    expect(silentSkips(file("a.test.ts", 'test.skipIf(!root)("joins", f);\ntest.skipIf(f(x))("joins (needs root)", f);')))
      .toEqual(['a.test.ts:1: "joins" does not end in (needs X)']);
  });
});
