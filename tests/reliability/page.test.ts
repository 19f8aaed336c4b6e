/** docs/reliability.md names every plugin that there is; its figures are held by faults.root.test.ts. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { types } from "../../packages/plugins/registry.ts";
import { page, sectionOf, withSection } from "./page.ts";
import { rows } from "./rows.ts";

const text = readFileSync(page, "utf8");

test("the table has every row, and the rows have every plugin", () => {
  const table = sectionOf(text, "faults");
  expect(rows.filter(({ name }) => !table.includes(`| ${name} |`)).map(({ name }) => name)).toEqual([]);
  const played = new Set(rows.flatMap(({ plugins }) => plugins.map(({ type }) => type)));
  expect(types.filter((type) => !played.has(type))).toEqual([]);
});

test("of both sides of a flood nothing was left", () => {
  const ours = sectionOf(text, "floods").split("\n").filter((line) => line.includes("| ours |"));
  expect(ours.map((line) => line.split("|").slice(5, 9).map((cell) => cell.trim()))).toEqual(ours.map(() => ["0", "0", "0", "0"]));
  expect(ours.length).toBe(2);
});

test("a part that is not there is missed", () => {
  expect(() => withSection("nothing", "faults", "x")).toThrow('has no such part');
});
