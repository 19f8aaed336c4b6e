/** The parts of docs/reliability.md that a program writes, and reads again to hold them against the next run. */
import { join } from "node:path";
import type { Played } from "./play.ts";

export const page = join(import.meta.dir, "../../docs/reliability.md");

const begin = (name: string): string => `<!-- ${name}: written by npm run faults -->`;
const end = (name: string): string => `<!-- end of ${name} -->`;

/** The page with one of its parts written anew. */
export function withSection(text: string, name: string, part: string): string {
  const [from, to] = [text.indexOf(begin(name)), text.indexOf(end(name))];
  if (from < 0 || to < from) throw new RangeError(`Cannot write the part ${JSON.stringify(name)} of docs/reliability.md: it has no such part`);
  return `${text.slice(0, from)}${begin(name)}\n\n${part}\n\n${text.slice(to)}`;
}

/** The part as it stands there. */
export function sectionOf(text: string, name: string): string {
  return text.slice(text.indexOf(begin(name)) + begin(name).length, text.indexOf(end(name))).trim();
}

const HEAD = "| plugin | calls of ADD | failed: undone | failed: went on | killed: cleared | calls of DEL | failed: said so, cleared by the next | failed: cleared all the same |\n|---|---|---|---|---|---|---|---|";

export function playedTable(played: readonly Played[]): string {
  const lines = played.map(({ name, lacks, calls, outcomes }) =>
    lacks === ""
      ? `| ${name} | ${calls.ADD} | ${outcomes.undone} | ${outcomes.wentOn} | ${outcomes.cleared} | ${calls.DEL} | ${outcomes.repeated} | ${outcomes.deleted} |`
      : `| ${name} | not played: the kernel of this run lacks it | | | | | | |`);
  return `${HEAD}\n${lines.join("\n")}`;
}

/** How many calls the page says that a row makes; undefined where it was not played. */
export function statedCalls(text: string, name: string): { ADD: number; DEL: number } | undefined {
  const line = sectionOf(text, "faults").split("\n").find((one) => one.startsWith(`| ${name} |`));
  const cells = line?.split("|").map((cell) => Number(cell.trim())) ?? [];
  const [ADD = Number.NaN, DEL = Number.NaN] = [cells[2], cells[6]];
  return ADD > 0 && DEL > 0 ? { ADD, DEL } : undefined;
}
