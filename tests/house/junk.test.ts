import { expect, test } from "bun:test";
import { listFiles } from "./files.ts";
import { readersIn, unplayed } from "./junk.ts";

const files = listFiles();
/** "path name" → why no table has it. */
const exceptions = {};

test("who reads what others wrote is given junk", () => expect(unplayed(files, exceptions)).toEqual([]));

test("readers are found by name and form, and there are many", () => {
  expect(readersIn(files).length).toBeGreaterThan(25);
  const product = [{ path: "packages/agent/x.ts", text: "export function parseX(text: string): X {\n}\nexport const labelsIn = (value: unknown): X => y;\nexport function openX(text: string): X {\n}" }];
  expect(readersIn(product).map(({ name }) => name)).toEqual(["parseX", "labelsIn"]);
});

test("one that no table has is reported, and an exception that is not needed", () => {
  const product = { path: "packages/agent/x.ts", text: "export function parseX(text: string): X {\n}\n" };
  const table = { path: "tests/junk/decoders/agent.ts", text: 'import { parseX } from "@vethwork/agent/x.ts";\n' };
  expect(unplayed([product], {})).toHaveLength(1);
  expect(unplayed([product, { ...table, text: 'import { parseX } from "@vethwork/agent/y.ts";\n' }], {})).toHaveLength(1);
  expect(unplayed([product, table], {})).toEqual([]);
  expect(unplayed([product, table], { "packages/agent/x.ts parseX": "because" })).toHaveLength(1);
});
