/**
 * Makes docs/parity.md: for each plugin how many rows of the differential table hold it against the reference's, and which
 * of its options they give.
 *
 *   bun scripts/parity-table.ts            writes the table
 *   bun scripts/parity-table.ts --check    says whether it is fresh; exit code 1 where it is not
 *
 * The rows are in tests/conformance/differential/rows.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPlugin, types } from "../packages/plugins/registry.ts";
import { configsOf, missingOptions, optionsOf } from "../tests/conformance/differential/coverage.ts";
import { needsOf, type Row, type Table } from "../tests/conformance/differential/table.ts";
import { tables, withoutTable } from "../tests/conformance/differential/tables.ts";

const page = "docs/parity.md";
const path = join(import.meta.dir, "..", page);

export function pageOf(all: readonly Table[]): string {
  const rows = all.map((table) => ({ table, rows: Object.values(table.rows) }));
  const total = rows.reduce((sum, one) => sum + one.rows.length, 0);
  const lines = rows.map(({ table, rows: some }) => {
    const count = (holds: (row: Row) => boolean): number => some.filter(holds).length;
    const refused = count((row) => row.refused !== undefined);
    const onlyOne = count((row) => row.refusedBy !== undefined);
    const crossed = count((row) => row.refused === undefined && row.refusedBy === undefined && row.noCrossing === undefined);
    const inVm = count((row) => needsOf(table, row).length > 0);
    const options = optionsOf(findPlugin(table.type)?.config ?? { options: {} });
    const given = options.length - missingOptions(options, configsOf(all, table.type)).length;
    return `| ${table.type} | ${some.length} | ${crossed} | ${refused} | ${onlyOne} | ${inVm} | ${given} of ${options.length} |`;
  });
  const absent = types.filter((type) => type in withoutTable).map((type) => `- \`${type}\`: ${withoutTable[type]}`);
  return `# Beside the reference plugins

Made by \`bun scripts/parity-table.ts\` from the [differential table](../tests/conformance/differential/README.md): ${total} rows.
In each, the reference's plugins and ours get the same configuration on stages of the same kind, and everything that is
there afterwards is compared; what differs by intention has a name in [differences](differences.md).

| plugin | rows | both ways across | refused by both | by one of them | in the virtual machine | options given |
|---|---|---|---|---|---|---|
${lines.join("\n")}

Without rows:

${absent.join("\n")}
`;
}

/** True where the page says what the rows say. */
export const isFresh = (): boolean => existsSync(path) && readFileSync(path, "utf8") === pageOf(tables);

if (import.meta.main) {
  if (!process.argv.includes("--check")) writeFileSync(path, pageOf(tables));
  if (!isFresh()) console.error(`${page} is stale: bun scripts/parity-table.ts`);
  process.exitCode = isFresh() ? 0 : 1;
}
