/** What is known of faults in the packages that are installed: asked of the registry, where it tells. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { skipped } from "../node/needs.ts";

const { stdout } = Bun.spawnSync(["npm", "audit", "--json"], { cwd: join(import.meta.dir, "../../.."), timeout: 20_000 });
const told = answerIn(stdout.toString());
const vulnerable = told["vulnerabilities"];
const lacks = isObject(vulnerable) ? "" : "a package registry that tells of advisories";

function answerIn(text: string): JsonObject {
  try {
    const json = parseJson(text);
    return isObject(json) ? json : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {}; // nothing was answered in time
    throw error;
  }
}

test.skipIf(lacks !== "")(skipped("no package that is installed has a known fault", lacks), () => {
  expect(vulnerable).toEqual({});
});
