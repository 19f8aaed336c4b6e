import { expect, test } from "bun:test";
import { isFresh, missingTests, tableOf } from "../../scripts/spec-table.ts";
import { requirements, type Requirement } from "../conformance/spec.ts";

test("every demand of the specification is shown by a test that is there", () => {
  expect(missingTests(requirements)).toEqual([]);
  expect(requirements.filter(({ tests }) => tests.length === 0)).toEqual([]);
  expect(requirements.length).toBeGreaterThan(30);
});

test("the table of the specification is fresh", () => {
  expect(isFresh()).toBe(true);
});

test("a test that is missing is reported by file and title", () => {
  const absent = ["nobody", "wrote", "this"].join(" ");
  const row = { section: "s", level: "MUST", who: "both", says: "a | b", tests: [["tests/house/spec.test.ts", absent], ["nowhere.test.ts", "x"]] } satisfies Requirement;
  expect(missingTests([row])).toEqual([`tests/house/spec.test.ts: ${absent}`, "nowhere.test.ts: x"]);
  expect(tableOf([row])).toContain("| MUST | both | a \\| b |");
});
