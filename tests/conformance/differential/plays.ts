/** The plays of a row, on as many stages, all at once. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { referenceFolders } from "../../../packages/plugins/testing/reference.ts";
import { binFolder } from "../../../packages/plugins/testing/stage.ts";
import type { Plays } from "./compare.ts";
import { stepsOf, type Step } from "./facts.ts";
import { isEmulated, play } from "./play.ts";
import { chainOf, programsOf, type Row, type Table } from "./table.ts";

export async function playsOf(table: Table, row: Row): Promise<Plays> {
  const reference = [...referenceFolders.slice(0, 1), ...(table.reference ? [table.reference.folder] : [])].join(":");
  /** The stage chooses two itself. */
  const given = `02:00:00:00:00:01 02:00:00:00:00:fe ${JSON.stringify(chainOf(table, row))} ${JSON.stringify(row.prevResult)} ${row.args ?? ""} ${row.before ?? ""} ${row.play ?? ""}`.toLowerCase();
  const steps = async (adder: string, other: string): Promise<Step[]> => stepsOf(await play(table, row, { adder, other }), given);
  const crosses = row.noCrossing === undefined && row.refused === undefined && row.refusedBy === undefined;
  const older = crosses && !isEmulated && row.newer === undefined && (row.version ?? "1.0.0") <= "1.0.0" ? olderReference(table, row) : undefined;
  const [theirs, ours, over, back, upgrade] = await Promise.all([
    steps(reference, reference), steps(binFolder, binFolder),
    ...(crosses ? [steps(reference, binFolder), steps(binFolder, reference)] : []),
    ...(older === undefined ? [] : [steps(older, binFolder)]),
  ]);
  return { theirs, ours, ...(over && back && { crossed: { over, back, ...(upgrade && { upgrade }) } }) };
}

/** Debian's own plugins are of another age: from there, too, somebody comes to ours. They end with version 1.0.0. */
function olderReference(table: Table, row: Row): string | undefined {
  const [, older] = referenceFolders;
  return older !== undefined && programsOf(table, row).every((type) => existsSync(join(older, type))) ? older : undefined;
}
