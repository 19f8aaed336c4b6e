/**
 * The tests that the virtual machine runs: those that skip on a kernel without this or that. The house rules find a test
 * that may skip for its kernel and is not here.
 */
import { tables } from "../../conformance/differential/tables.ts";
import { needsOf } from "../../conformance/differential/table.ts";

export interface VmProgram {
  file: string;
  /** Of which of its tests, by a regular expression; of all unless given. */
  tests?: string;
  /** Tests that must have run, beside whatever else the file holds. */
  titles: readonly string[];
}

/** The longest first: two run at a time. */
export const programs: readonly VmProgram[] = [
  { file: "packages/plugins/vrf/vrf.root.test.ts", titles: [] },
  ...tables.flatMap((table): VmProgram[] => {
    const rows = Object.entries(table.rows).filter(([, row]) => needsOf(table, row).length > 0);
    return rows.length === 0 ? [] : [{ file: `tests/conformance/differential/${table.type}.root.test.ts`, titles: rows.map(([name]) => `${table.type}: ${name}`) }];
  }),
  { file: "packages/plugins/shared/subinterface.root.test.ts", titles: [] },
  { file: "packages/plugins/bridge/bridge.options.root.test.ts", tests: "VLAN", titles: [] },
  { file: "packages/linux/vlans.root.test.ts", titles: [] },
];
