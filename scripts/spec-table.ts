/**
 * Makes tests/conformance/spec.md: each demand of the CNI specification beside the tests that show it.
 *
 *   bun scripts/spec-table.ts            writes the table
 *   bun scripts/spec-table.ts --check    says whether it is fresh; exit code 1 where it is not, or a test is missing
 *
 * The demands are in tests/conformance/spec.ts.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { requirements, type Requirement } from "../tests/conformance/spec.ts";

const root = join(import.meta.dir, "..");
const table = "tests/conformance/spec.md";

/** Tests that are named and are not there, as "file: title". */
export function missingTests(rows: readonly Requirement[]): string[] {
  const named = rows.flatMap(({ tests }) => tests);
  return named.filter(([file, title]) => !textOf(file).includes(title)).map(([file, title]) => `${file}: ${title}`);
}

export function tableOf(rows: readonly Requirement[]): string {
  const sections = Map.groupBy(rows, ({ section }) => section);
  const parts = [...sections].map(([section, some]) => `## ${section}\n\n| | who | what | shown by |\n|---|---|---|---|\n${some.map(rowOf).join("\n")}\n`);
  const count = (level: string): number => rows.filter((row) => row.level === level).length;
  return `# The CNI specification 1.1.0, and the tests that show it

Made by \`bun scripts/spec-table.ts\` from [spec.ts](spec.ts): ${count("MUST")} times MUST, ${count("SHOULD")} times SHOULD, in our own words.

${parts.join("\n")}`;
}

/** True where the table says what spec.ts says. */
export const isFresh = (): boolean => textOf(table) === tableOf(requirements);

function rowOf({ level, who, says, tests }: Requirement): string {
  const links = tests.map(([file, title]) => `[${title.replaceAll("${type}: ", "").replaceAll("|", "\\|")}](${posix.relative(posix.dirname(table), file)})`);
  return `| ${level} | ${who} | ${says.replaceAll("|", "\\|")} | ${links.join("; ")} |`;
}

function textOf(path: string): string {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : "";
}

if (import.meta.main) {
  const missing = missingTests(requirements);
  for (const test of missing) console.error(`there is no test ${test}`);
  if (!process.argv.includes("--check")) writeFileSync(join(root, table), tableOf(requirements));
  if (!isFresh()) console.error(`${table} is stale: bun scripts/spec-table.ts`);
  process.exitCode = missing.length > 0 || !isFresh() ? 1 : 0;
}
