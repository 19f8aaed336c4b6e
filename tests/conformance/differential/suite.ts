/**
 * A table as tests, one for each row. A row has its plays all at once, and no other row beside it; one that fails shows a
 * diff of what the reference has and ours has not.
 */
import { test } from "bun:test";
import { referenceLacks } from "../../../packages/plugins/testing/reference.ts";
import { stageLacks } from "../../../packages/plugins/testing/stage.ts";
import { kernelLacks } from "../node/kernel.ts";
import { missing, skipped } from "../node/needs.ts";
import { verdictOn } from "./compare.ts";
import type { DifferenceName } from "./differences.ts";
import { playsOf } from "./plays.ts";
import { needsOf, type Row, type Table } from "./table.ts";

/** The rows were not played alike. */
class Different extends Error {
  override name = "Different";
}

const AT_ONCE = 1;
/** Rows wait for their turn, and that counts. */
const LIMIT_MS = 900_000;
const lacks = stageLacks || referenceLacks || missing({ programs: ["bridge", "tc", "iptables-save"] });

export function playTable(table: Table): void {
  const seen = new Set<DifferenceName>();
  const rows = Object.entries(table.rows);
  let played = 0;
  const playRow = async (row: Row): Promise<void> => {
    const verdict = await inTurn(async () => verdictOn(table, row, await playsOf(table, row)));
    for (const name of verdict.seen) seen.add(name);
    played += 1;
    if (verdict.faults.length > 0) throw new Different(verdict.faults.join("\n"));
  };
  for (const [name, row] of rows.filter(([, one]) => !isElsewhere(table, one))) {
    const reason = lacks || table.reference?.lacks || kernelLacks(...needsOf(table, row));
    test.concurrent.skipIf(reason !== "")(skipped(`${table.type}: ${name}`, reason), () => playRow(row), LIMIT_MS);
  }
  if (rows.some(([, row]) => lacks !== "" || (table.reference?.lacks ?? "") !== "" || kernelLacks(...needsOf(table, row)) !== "" || isElsewhere(table, row))) return;
  test(`${table.type}: each difference that the table names is seen in one of its rows`, () => {
    const unseen = (table.differences ?? []).filter((name) => !seen.has(name));
    if (played === rows.length && unseen.length > 0) throw new Different(`not to be seen: ${unseen.join(", ")}`);
  });
}

/** The virtual machine leaves to others what they can do faster. */
const isElsewhere = (table: Table, row: Row): boolean => process.env["VETHWORK_VM"] !== undefined && needsOf(table, row).length === 0;

let running = 0;
const waiting: (() => void)[] = [];

/** Lets so many at once, in the order in which they came. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}
