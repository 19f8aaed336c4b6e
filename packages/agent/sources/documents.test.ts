/** Texts as people leave them in a folder. */
import { expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { documentsIn } from "./documents.ts";

test("documents are told apart, each with its line, comments and directives left out", () => {
  expect(documentsIn("# all nodes\n%YAML 1.2\n---\na: 1\n---\n\n# second\nb: |\n  text\n  - -- no\n---\n---\n...\n---\nc: 3\n")).toEqual([
    { line: 4, value: { a: 1 } }, { line: 8, value: { b: "text\n- -- no\n" } }, { line: 15, value: { c: 3 } },
  ]);
});

test("a List is its objects, in YAML and in JSON", () => {
  const items = [{ kind: "Node" }, { kind: "Pod" }];
  expect(documentsIn(JSON.stringify({ kind: "List", items }, undefined, "\t"))).toEqual(items.map((value) => ({ line: 1, value })));
  expect(documentsIn("kind: List\nitems:\n- kind: Node\n- kind: Pod\n")).toEqual(items.map((value) => ({ line: 1, value })));
  expect(documentsIn(' \n{"kind":"Node"}')).toEqual([{ line: 1, value: { kind: "Node" } }]);
});

test("a document that does not read says where, and the others are there", () => {
  expect(documentsIn("a: 1\n---\nb: 2\n c: 3\n---\nd: 4\n")).toEqual([{ line: 1, value: { a: 1 } }, { line: 3, problem: "line 4: bad indentation of a mapping entry" }, { line: 6, value: { d: 4 } }]);
  expect(documentsIn("a: 1\na: 2\n")).toEqual([{ line: 1, problem: "line 2: duplicated mapping key" }]);
  expect(documentsIn('{"kind":"Node",\n "metadata":')).toEqual([{ line: 1, problem: expect.stringMatching(/^line \d: /) }]);
});

test("nothing is nothing", () => {
  for (const text of ["", "\n", "---\n", "# only words\n", "---\n---\n", "--- \n# x"]) expect(documentsIn(text)).toEqual([]);
});

test("no text makes it fail", () => {
  assert(property(string({ unit: "binary" }), (text) => Array.isArray(documentsIn(text))), { numRuns: 2000 });
  assert(property(string({ unit: "grapheme-ascii" }), (text) => Array.isArray(documentsIn(text.replaceAll("~", "\n").replaceAll("!", "---\n")))), { numRuns: 2000 });
});
