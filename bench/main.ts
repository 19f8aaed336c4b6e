/**
 * npm run bench: what Vethwork costs, beside what does the same work, measured in one run on this machine.
 *
 *   bun bench/main.ts [--only NAME] [--measures LIST] [--rounds N] [--json] [--strict] [--list]
 *
 * Each side of a case runs in a node of namespaces of its own, so nothing of it is seen or left on the machine. Only ratios travel
 * from one machine to another: absolute times are those of this one. Progress goes to stderr.
 */
import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isObject, parseJson } from "@vethwork/cni";
import { cases, measures, reference, type Case, type Measure } from "./cases.ts";
import { figureOf, type Figure } from "./figures.ts";
import { measure } from "./rounds.ts";
import { runtimeLacks } from "./starts.ts";

const help = `Usage: npm run bench [-- --only NAME] [--measures LIST] [--rounds N] [--json] [--strict] [--list]

Measures Vethwork's plugins beside the reference's, as whole processes, in turns.

  --only NAME      one case
  --measures LIST  only these: ${measures.join(",")}
  --rounds N       how many rounds; 40
  --json           the figures as JSON on stdout
  --strict         exit code 1 where a figure is over its budget
  --list           the names of the cases
`;

interface Row extends Figure {
  name: string;
  measure: Measure;
  about: string;
  unit: "ms" | "MiB";
  budget: number | null;
}

const CROWD = 100;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" }, measures: { type: "string", default: measures.join(",") }, rounds: { type: "string", default: "40" },
      json: { type: "boolean" }, strict: { type: "boolean" }, list: { type: "boolean" }, help: { type: "boolean" },
    },
  });
  if (values.help || values.list) {
    process.stdout.write(values.help ? help : cases.map(({ name, about }) => `${name.padEnd(20)} ${about}\n`).join(""));
    return 0;
  }
  const wanted = values.measures.split(",");
  const strange = wanted.find((name) => !measures.some((measure) => measure === name));
  if (strange !== undefined) return misuse(`there is no measure "${strange}" (${measures.join(", ")})`);
  const chosen = cases.filter(({ name }) => values.only === undefined || name === values.only).map((one) => only(one, wanted));
  const rounds = Number(values.rounds);
  if (chosen.length === 0) return misuse(`there is no case "${values.only}" (${cases.map(({ name }) => name).join(", ")})`);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 10_000) return misuse(`--rounds "${values.rounds}" (a whole number from 1 to 10000 is wanted)`);
  if (process.getuid?.() !== 0) return misuse("making namespaces needs root");
  const rows: Row[] = [];
  for (const one of chosen) rows.push(...await measured(one, rounds));
  process.stdout.write(values.json ? `${JSON.stringify({ machine: machine(), rows }, undefined, 2)}\n` : tableOf(rows));
  return values.strict && rows.some(isOver) ? 1 : 0;
}

function only(one: Case, wanted: readonly string[]): Case {
  return { ...one, takes: Object.fromEntries(Object.entries(one.takes).filter(([measure]) => wanted.includes(measure))) };
}

function misuse(what: string): number {
  process.stderr.write(`bench: ${what}\n`);
  return 2;
}

async function measured(one: Case, rounds: number): Promise<Row[]> {
  process.stderr.write(`${one.about} … `);
  const lacks = runtimeLacks(one.ours.runtime) || runtimeLacks(one.peer.runtime);
  if (lacks !== "") {
    process.stderr.write(`left out: ${lacks} is missing\n`);
    return [];
  }
  const begun = performance.now();
  const answer = await measure(one, { rounds, crowd: CROWD });
  process.stderr.write(`${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
  return measures.flatMap((name): Row[] => {
    const samples = answer[name];
    if (!samples) return [];
    return [{ name: one.name, measure: name, about: one.about, unit: name === "memory" ? "MiB" : "ms", budget: one.takes[name] ?? null, ...figureOf(samples) }];
  });
}

const TITLES: Readonly<Record<Measure, string>> = {
  version: "VERSION, whole process", add: "ADD, whole process", del: "DEL, whole process",
  addBusy: "ADD, processor time", delBusy: "DEL, processor time",
  adds: `${CROWD} ADDs at once`, dels: `${CROWD} DELs at once`, memory: "resident memory of an ADD",
};

function tableOf(rows: readonly Row[]): string {
  const { kernel, processors, peer, ours } = machine();
  const head = `Vethwork ${ours} beside the reference plugins ${peer}; Linux ${kernel}, ${processors} processors\n`;
  const groups = Map.groupBy(rows, ({ about }) => about);
  const body = [...groups].map(([about, some]) => [`\n${about}`, columns("", "ours", "reference", "ratio", "middle half", "budget"), ...some.map(lineOf)].join("\n"));
  return `${head}${body.join("\n")}\n`;
}

function lineOf(row: Row): string {
  const { measure, ours, peer, ratio, from, to, unit, budget } = row;
  const verdict = budget === null ? "" : `≤ ${budget.toFixed(2)} ${isOver(row) ? "✘" : "✔"}`;
  const value = (number: number): string => `${number.toFixed(number < 100 ? 1 : 0)} ${unit}`;
  return columns(TITLES[measure], value(ours), value(peer), ratio.toFixed(2), `${from.toFixed(2)}–${to.toFixed(2)}`, verdict);
}

const columns = (title: string, ...cells: string[]): string => `  ${title.padEnd(28)}${cells.map((cell) => cell.padStart(13)).join("")}`.trimEnd();
const isOver = ({ ratio, budget }: Row): boolean => budget !== null && ratio > budget;

function machine() {
  const packageFile = parseJson(readFileSync(join(import.meta.dir, "../package.json"), "utf8"));
  const ours = isObject(packageFile) ? String(packageFile["version"]) : "";
  return { kernel: release(), processors: cpus().length, ours, peer: readFileSync(join(reference, ".version"), "utf8").trim() };
}

process.exitCode = await main();
