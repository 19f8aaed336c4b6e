/** Answers to VERSION, also those of plugins older than the verb. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseVersionInfo } from "./index.ts";

test("the versions are those of the list", () => {
  assert.deepEqual(parseVersionInfo('{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}\n'), ["0.4.0", "1.0.0"]);
});

test("a plugin of 0.2.0 may leave the list out", () => {
  assert.deepEqual(parseVersionInfo('{"cniVersion":"0.2.0"}'), ["0.1.0", "0.2.0"]);
});

test("other answers are refused with what is missing", () => {
  assert.throws(() => parseVersionInfo("{}"), { code: 6, message: "decoding version info: missing field cniVersion" });
  assert.throws(() => parseVersionInfo('{"cniVersion":"1.0.0"}'), { code: 6, message: "decoding version info: missing field supportedVersions" });
  assert.throws(() => parseVersionInfo(""), { code: 6, message: "decoding version info: unexpected end of JSON input" });
  assert.throws(() => parseVersionInfo('{"cniVersion":"1.0.0","supportedVersions":[1]}'), { code: 6 });
  assert.throws(() => parseVersionInfo("[]"), { code: 6 });
});
