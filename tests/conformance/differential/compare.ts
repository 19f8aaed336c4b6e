/**
 * Holds the plays of a row against each other. What is not the same has to be a difference that the row names, and every
 * name has to be seen: so a difference neither slips in nor is kept when it is gone.
 *
 *     theirs, ours      step by step: what the verb said, and everything that is there after it
 *     over, back        who comes second answers CHECK and DEL as if it had added itself, and leaves as much
 */
import { differences, type Difference, type DifferenceName } from "./differences.ts";
import { linkOf, type Step } from "./facts.ts";
import type { Row, Table } from "./table.ts";

export interface Plays {
  theirs: readonly Step[];
  ours: readonly Step[];
  /** By who was first; absent where a row does not cross over. */
  crossed?: { over: readonly Step[]; back: readonly Step[]; upgrade?: readonly Step[] };
}

export interface Verdict {
  /** What is wrong, in lines for people; none where all is well. */
  faults: string[];
  /** The differences that were seen. */
  seen: ReadonlySet<DifferenceName>;
}

/** A line that only one side has. */
interface Odd {
  side: "reference" | "ours";
  step: string;
  line: string;
}

/** Errors have other codes in every plugin; what a refusal left is told of each plugin, and is alike. */
const everywhere: readonly DifferenceName[] = ["error-codes"];
const ofOlder: readonly DifferenceName[] = ["older-reference"];
const ofRefusals: readonly DifferenceName[] = ["del-of-refused", "no-folder-for-nothing", "failed-add"];

export function verdictOn(table: Table, row: Row, { theirs, ours, crossed }: Plays): Verdict {
  const own = row.differences ?? [];
  const allowed = [...new Set<DifferenceName>([...(table.differences ?? []), ...own, ...everywhere, ...(row.refused === undefined ? [] : ofRefusals)])];
  const seen = new Set<DifferenceName>();
  const unnamed = (odd: readonly Odd[], crossing: boolean, more: readonly DifferenceName[] = []): Odd[] => withoutRewritten(odd, [...allowed, ...more], seen).filter((one) => {
    const names = [...allowed, ...more].filter((name) => covers(differences[name], one, crossing));
    for (const name of names) seen.add(name);
    return names.length === 0;
  });
  const faults = outcomeFaults(row, theirs, ours);
  if (row.refusedBy) seen.add(row.refusedBy.difference);
  if (faults.length > 0 || row.refusedBy) return { faults, seen };
  faults.push(...told("the reference (-) and ours (+)", unnamed(oddLines(theirs, ours), false)));
  for (const { title, expected, found, more } of [
    { title: "what ours leaves (-), and leaves when the reference added (+)", expected: ours, found: crossed?.over },
    { title: "what the reference leaves (-), and leaves when ours added (+)", expected: theirs, found: crossed?.back },
    { title: "what ours leaves (-), and leaves when Debian's own, older reference added (+)", expected: ours, found: crossed?.upgrade, more: ofOlder },
  ]) {
    if (found) faults.push(...told(title, unnamed(oddLines(afterAdding(expected, found), afterAdding(found, found)), true, more)));
  }
  const unseen = own.filter((name) => !seen.has(name));
  if (faults.length === 0) faults.push(...unseen.map((name) => `the row names the difference "${name}", which is not to be seen`));
  return { faults, seen };
}

/** Where the difference is a part of a line, both have the line but for that part. */
function withoutRewritten(odd: readonly Odd[], allowed: readonly DifferenceName[], seen: Set<DifferenceName>): Odd[] {
  const gone = new Set<Odd>();
  for (const name of allowed) {
    const [pattern, instead = ""] = differences[name].rewrite ?? [];
    if (!pattern) continue;
    for (const one of odd.filter(({ line }) => pattern.test(line))) {
      const other = odd.find(({ side, step, line }) => side !== one.side && step === one.step && line === one.line.replace(pattern, instead));
      if (!other) continue;
      gone.add(one).add(other);
      seen.add(name);
    }
  }
  return odd.filter((one) => !gone.has(one));
}

/** In a crossing play either side may show its own way of doing it: who added left it behind. */
function covers({ reference = [], ours = [], crossing: crossed = [] }: Difference, { side, step, line }: Odd, crossing: boolean): boolean {
  const patterns = crossing ? [...reference, ...ours, ...crossed] : side === "reference" ? reference : ours;
  return patterns.some((pattern) => pattern.test(`${step}: ${line}`));
}

/** Without a word in the row, both succeed at their first verb; where it is refused, both do, and we with that code. */
function outcomeFaults({ refused, refusedBy }: Row, theirs: readonly Step[], ours: readonly Step[]): string[] {
  const [reference, own] = [theirs[0], ours[0]];
  const fails = (step: Step | undefined): boolean => step?.lines.some((line) => / exit: [^0]/.test(line)) ?? true;
  const says = (step: Step | undefined, who: string, wanted: boolean): string[] =>
    fails(step) === wanted ? [] : [`${step?.name} by ${who} ${wanted ? "is not refused" : `fails: ${step?.said.trim()}`}`];
  if (refused === undefined) return [...says(reference, "the reference", refusedBy?.who === "reference"), ...says(own, "ours", refusedBy?.who === "ours")];
  const code = own?.lines.find((line) => / error: /.test(line))?.replace(/.* /, "");
  return [
    ...says(reference, "the reference", true),
    ...(code === String(refused) ? [] : [`${own?.name} is refused by ours with code ${code ?? "0"} (${refused} is in the row): ${own?.said.trim()}`]),
  ];
}

function oddLines(theirs: readonly Step[], ours: readonly Step[]): Odd[] {
  const names = [...new Set([...theirs, ...ours].map(({ name }) => name))];
  return names.flatMap((step) => {
    const [left = [], right = []] = [theirs, ours].map((steps) => steps.find(({ name }) => name === step)?.lines);
    return [
      ...alone(left, right).map((line): Odd => ({ side: "reference", step, line })),
      ...alone(right, left).map((line): Odd => ({ side: "ours", step, line })),
    ];
  });
}

/** The lines of one that are not the other's. Of a link that the other does not have at all one line is enough. */
function alone(lines: readonly string[], others: readonly string[]): string[] {
  const there = new Set(others);
  const odd = new Set(lines.filter((line) => !there.has(line)));
  return [...odd].filter((line) => {
    const link = linkOf(line);
    return link === undefined || link === line || !odd.has(link);
  });
}

/** What can be compared with a crossing play: verbs other than ADD, and of those no more than the play looked at. */
function afterAdding(steps: readonly Step[], looked: readonly Step[]): Step[] {
  return steps.filter(({ name }) => !name.startsWith("ADD")).map((step) => {
    const isWhole = looked.find(({ name }) => name === step.name)?.looked === true;
    return isWhole ? step : { ...step, lines: step.lines.filter((line) => / (?:exit|error): /.test(line)) };
  });
}

/** A diff for people: each line once, with the steps in which it is odd. */
function told(title: string, odd: readonly Odd[]): string[] {
  if (odd.length === 0) return [];
  const lines = Map.groupBy(odd, ({ side, line }) => `${side === "reference" ? "-" : "+"} ${line}`);
  return [`${title}:`, ...[...lines].map(([line, where]) => `  [${where.map(({ step }) => step).join(", ")}] ${line}`)];
}
