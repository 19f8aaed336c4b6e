/** Versions compare by their numbers, and the old ways of leaving them out still count. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allVersions, atLeast, compareVersions, CniError, parseVersion } from "./index.ts";

test("a version has up to three numbers; a missing one is 0, and no version at all is 0.1.0", () => {
  assert.deepEqual(parseVersion("1.12.3"), [1, 12, 3]);
  assert.deepEqual(parseVersion("1"), [1, 0, 0]);
  assert.deepEqual(parseVersion(""), [0, 1, 0]);
});

test("what is no version says which part is wrong", () => {
  const say = (text: string): string => {
    try {
      return parseVersion(text).join(".");
    } catch (error) {
      assert.ok(error instanceof CniError && error.code === 6);
      return error.message;
    }
  };
  assert.equal(say("1.2.3.4"), 'invalid version "1.2.3.4": too many parts');
  assert.equal(say("x.1"), 'failed to convert major version part "x": not a number');
  assert.equal(say("1..1"), 'failed to convert minor version part "": not a number');
  assert.equal(say("1.0.0-rc1"), 'failed to convert micro version part "0-rc1": not a number');
});

test("versions are ordered by number, not by letter", () => {
  assert.ok(compareVersions("0.10.0", "0.9.0") > 0);
  assert.ok(atLeast("1.1", "1.1.0") && !atLeast("", "0.2.0"));
  assert.deepEqual(allVersions.toReversed().sort(compareVersions), allVersions);
});
