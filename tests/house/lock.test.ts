import { expect, test } from "bun:test";
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { listFiles } from "./files.ts";
import { looseDependencies, looseInLock } from "./lock.ts";

const objectIn = (text: string): JsonObject => {
  const json = parseJson(text);
  return isObject(json) ? json : {};
};
const manifests = listFiles().filter(({ path }) => /(^|\/)package\.json$/.test(path));

test("every package of the lock file has its digest, one version and no address", () => {
  const lock = listFiles().find(({ path }) => path === "package-lock.json");
  expect(looseInLock(objectIn(lock?.text ?? "{}"))).toEqual([]);
});

test("every dependency is one version", () => {
  expect(manifests.length).toBeGreaterThan(5);
  expect(manifests.flatMap(({ path, text }) => looseDependencies(objectIn(text)).map((one) => `${path}: ${one}`))).toEqual([]);
});

test("what is loose is reported", () => {
  const place = "node_modules/x";
  for (const told of [{ version: "1.0.0" }, { version: "1.0.0", integrity: "sha1-x" }, { integrity: "sha512-x" }, { version: "1.0.0", integrity: "sha512-x", resolved: "y" }]) {
    expect(looseInLock({ packages: { [place]: told } })).toHaveLength(1);
  }
  expect(looseInLock({})).toHaveLength(1);
  expect(looseDependencies({ dependencies: { a: "^1.0.0", b: "latest", c: "1.0.0", d: "git+https://x" } })).toHaveLength(3);
});
