/** The differential table is whole: every plugin, every option, every difference with its line, every row on some kernel. */
import { expect, test } from "bun:test";
import { findPlugin, types } from "../../packages/plugins/registry.ts";
import { isFresh } from "../../scripts/parity-table.ts";
import { configsOf, missingOptions, optionsOf } from "../conformance/differential/coverage.ts";
import { differences } from "../conformance/differential/differences.ts";
import { tables, withoutTable } from "../conformance/differential/tables.ts";
import { programs, tooLong } from "../e2e/vm/programs.ts";
import { isTest, listFiles } from "./files.ts";

const files = listFiles();
const paths = files.map(({ path }) => path);

test("every plugin has a table of rows, or a reason why not", () => {
  const withTable = tables.map(({ type }) => type);
  expect(types.filter((type) => withTable.includes(type) === type in withoutTable)).toEqual([]);
  expect(withTable.filter((type) => !paths.includes(`tests/conformance/differential/${type}.root.test.ts`))).toEqual([]);
});

test("every option of a plugin is given by a row, or it is said why not", () => {
  const forgotten = tables.map(({ type, without = {} }) => {
    const missing = missingOptions(optionsOf(findPlugin(type)?.config ?? { options: {} }), configsOf(tables, type));
    return { type, missing: missing.filter((option) => !(option in without)), stale: Object.keys(without).filter((option) => !missing.includes(option)) };
  });
  expect(forgotten.filter(({ missing, stale }) => missing.length + stale.length > 0)).toEqual([]);
});

test("every difference that a row may name is a line of docs/differences.md, and every name there is one", () => {
  const page = files.find(({ path }) => path === "docs/differences.md")?.text ?? "";
  const anchors = [...page.matchAll(/^- <a id="([^"]+)"><\/a>\S/gm)].map(([, name = ""]) => name);
  expect(anchors.toSorted()).toEqual(Object.keys(differences).toSorted());
  const named = tables.flatMap((table) => [...(table.differences ?? []), ...Object.values(table.rows).flatMap((row) => [...(row.differences ?? []), ...(row.refusedBy ? [row.refusedBy.difference] : [])])]);
  const everywhere = ["error-codes", "failed-add", "older-reference"];
  expect(Object.keys(differences).filter((name) => !everywhere.includes(name) && !named.some((one) => one === name))).toEqual([]);
});

test("the page about parity is fresh", () => {
  expect(isFresh()).toBe(true);
});

test("a test that may skip for its kernel runs in the virtual machine", () => {
  const asking = files.filter((file) => isTest(file) && /\b(?:kernelLacks|lacksLink)\(|\["CONFIG_/.test(file.text) && !file.path.startsWith("tests/house/")).map(({ path }) => path);
  const inVm = programs.map(({ file }) => file);
  expect(asking.filter((path) => !inVm.includes(path)).toSorted()).toEqual(tooLong.toSorted());
  expect(inVm.filter((path) => !paths.includes(path))).toEqual([]);
});
