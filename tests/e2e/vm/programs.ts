/**
 * The tests that the virtual machine runs: those that skip on a kernel without this or that. The slow ones are listed, with
 * what of them is wanted; any other that asks for a link's kind (lacksLink) is found by its text. The house rules find a test
 * that may skip for its kernel and is not here.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tables } from "../../conformance/differential/tables.ts";
import { needsOf } from "../../conformance/differential/table.ts";

export interface VmProgram {
  file: string;
  /** Of which of its tests, by a regular expression; of all unless given. */
  tests?: string;
  /** Tests that must have run, beside whatever else the file holds. */
  titles: readonly string[];
}

const root = join(import.meta.dir, "../../..");

/** The longest first: two run at a time. */
const listed: readonly VmProgram[] = [
  { file: "packages/plugins/vrf/vrf.root.test.ts", titles: [] },
  ...tables.flatMap((table): VmProgram[] => {
    const rows = Object.entries(table.rows).filter(([, row]) => needsOf(table, row).length > 0);
    return rows.length === 0 ? [] : [{ file: `tests/conformance/differential/${table.type}.root.test.ts`, titles: rows.map(([name]) => `${table.type}: ${name}`) }];
  }),
  { file: "packages/plugins/shared/subinterface.root.test.ts", titles: [] },
  { file: "packages/plugins/bridge/bridge.options.root.test.ts", tests: "VLAN", titles: [] },
  { file: "packages/linux/vlans.root.test.ts", titles: [] },
];

/** Not there, since thousands of starts on an emulated processor take hours: who has a kernel with these links runs them at home. */
export const tooLong: readonly string[] = ["tests/reliability/faults.root.test.ts"];

/** Of files that hold more than what asks for the kernel. */
const partOf: Readonly<Record<string, string>> = { "packages/agent/datapath/open.root.test.ts": "encrypted" };

const found = [...new Bun.Glob("packages/*/**/*.root.test.ts").scanSync({ cwd: root })]
  .filter((file) => !file.includes("node_modules") && /\blacksLink\(/.test(readFileSync(join(root, file), "utf8")))
  .filter((file) => !listed.some((one) => one.file === file)).toSorted()
  .map((file): VmProgram => ({ file, titles: [], ...(partOf[file] !== undefined && { tests: partOf[file] }) }));

export const programs: readonly VmProgram[] = [...listed, ...found];
