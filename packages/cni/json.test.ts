/** JSON byte for byte as Go writes it, and read as forgivingly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { encode, encodeSorted, find, isObject, parseJson } from "./index.ts";

test("keys in byte order: upper case first, numbers by their digits, letters beyond the basic plane last", () => {
  const object: unknown = JSON.parse('{"b":1,"9":1,"B":1,"10":1,"\u{1F600}":1,"\uFF5E":1,"é":1,"_":1}');
  assert.equal(encodeSorted(object), '{"10":1,"9":1,"B":1,"_":1,"b":1,"é":1,"\uFF5E":1,"\u{1F600}":1}');
});

test("indented JSON has Go's spaces, and nothing inside empty brackets", () => {
  assert.equal(encodeSorted({ b: [], a: { c: [1, {}] } }, 4),
    '{\n    "a": {\n        "c": [\n            1,\n            {}\n        ]\n    },\n    "b": []\n}');
});

test("letters that could end a script in a web page are escaped", () => {
  assert.equal(encode({ a: "<&>\u2028" }), '{"a":"\\u003c\\u0026\\u003e\\u2028"}');
  assert.equal(encodeSorted({ "<": "" }), '{"\\u003c":""}');
});

test("a key is found in any case; the last one that is not null counts", () => {
  assert.equal(find({ Type: 1, type: 2, TYPE: null }, "type"), 2);
  assert.equal(find({ type: 1, tYpe: 2 }, "type"), 2);
  assert.equal(find({ "\u017Ftatus": 1 }, "status"), 1); // Go folds the long s, too
  assert.equal(find({ types: 1 }, "type"), undefined);
  assert.equal(find(Object.create({ type: 1 }), "type"), undefined);
});

test("an error about JSON is one line", () => {
  for (const text of ["", " \n", "{\n\n", "[1,\n\n x]", '"a\nb"', "\uFEFF{}"]) {
    assert.throws(() => parseJson(text), (error) => error instanceof SyntaxError && !/[\r\n]/.test(error.message), text);
  }
});

test("written in any order and read back, a value is the same", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.constantFrom(0, 4), (value, indent) => {
    const plain: unknown = JSON.parse(JSON.stringify(value)); // -0 becomes 0
    assert.deepEqual(JSON.parse(encodeSorted(plain, indent)), plain);
    assert.deepEqual(JSON.parse(encode(plain, indent)), plain);
  }));
});

test("a key is found exactly when Go would find it, whatever the object", () => {
  fc.assert(fc.property(fc.dictionary(fc.constantFrom("k", "K", "kk", "__proto__"), fc.option(fc.integer())), (object) => {
    const read: unknown = JSON.parse(JSON.stringify(object));
    assert.ok(isObject(read));
    const last = Object.entries(read).filter(([key, value]) => key.toLowerCase() === "k" && value !== null).at(-1);
    assert.equal(find(read, "k"), last?.[1]);
  }));
});
