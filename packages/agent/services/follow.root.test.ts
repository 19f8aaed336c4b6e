/** What becomes of every connection of the table when packets are sent, by real kernels; and that following the kernel's rules says the same. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sameIp, type Nft } from "@vethwork/linux";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { follow, serviceRules } from "./follow.ts";
import { createKeeper } from "./keeper.ts";
import { createPlanner } from "./planner.ts";
import { setsOf } from "./table.ts";
import { rows, said, type Row } from "./testing/rows.ts";
import { createStar, isPassed, isRefused, type Star } from "./testing/star.ts";
import { addressOf, made, surroundings, wordsOfServices } from "./testing/world.ts";

const lacks = missing({ root: true });
/** So often a connection to several endpoints is begun until each has been seen: that one of three is not is less likely than 10^-17. */
const TRIES = 100;
const PATIENCE_MS = 5000;

let star: Star;
const nft = (): Nft => star.node.nft;

beforeAll(() => {
  if (lacks !== "") return;
  star = createStar();
  const planner = createPlanner();
  planner.place(surroundings);
  for (const words of wordsOfServices) planner.put(words.name, made(words));
  createKeeper(nft(), planner).settle(planner.take());
});
afterAll(() => void star?.[Symbol.dispose]());

/** What becomes of one more connection, as the row would say it. */
function happened({ from: who, family, protocol, to, port, outcome }: Row): string {
  using sent = star.send(who, { from: addressOf(who, family), to, protocol, port });
  const isQuiet = outcome.includes("dropped") || outcome.includes("passed");
  if (isQuiet) star.settle(who, family);
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; ) {
    const found = star.arrival();
    if (outcome.includes("passed")) return isPassed(star.node, sent) ? "passed" : "not passed";
    if (found) return arrived(found, { who, family, outcome });
    if (isRefused(sent)) return "refused";
    if (isQuiet) return "dropped";
  }
  return "nothing";
}

/** From node-1 it looks the same whether it is masqueraded or not. */
function arrived({ who: at, port, from }: NonNullable<ReturnType<Star["arrival"]>>, { who, family, outcome }: Pick<Row, "family" | "outcome"> & { who: Row["from"] }): string {
  const isMasqueraded = who === "node-1" ? outcome.includes(`${at}:${port}*`) : !sameIp(from, addressOf(who, family));
  const seen = isMasqueraded ? addressOf("node-1", family) : addressOf(who, family);
  return `${at}:${port}${isMasqueraded ? "*" : ""}${sameIp(seen, from) ? "" : ` from ${from}`}`;
}

function ends(row: Row): string[] {
  const seen = new Set<string>();
  for (let tries = 0; tries < TRIES && (tries < 3 || row.outcome.some((end) => !seen.has(end))); tries++) {
    seen.add(happened(row));
    nft().transaction((change) => void change.flushSet(setsOf(row.family).affinity));
    if (seen.size === 1 && row.outcome.length === 1) break;
  }
  return [...seen];
}

const sections = Map.groupBy<string, Row>(rows, ({ section }) => section);

describe("packets", () => {
  test.skipIf(lacks !== "").each([...sections])(skipped("%s", lacks), (_section, some) => {
    expect(some.map((row) => told(row.text, ends(row)))).toEqual(some.map((row) => told(row.text, row.outcome)));
  }, 60_000);
});

const told = (text: string, all: readonly string[]): string => `${text.split(" ").slice(0, 4).join(" ")} ${all.toSorted().join(" ")}`;

test.skipIf(lacks !== "")(skipped("following the rules that the kernel has says the same", lacks), () => {
  const rules = serviceRules(nft(), (ip) => surroundings.node.addresses.some((own) => sameIp(own, ip)));
  const followed = rows.map((row) => told(row.text, [...new Set(follow(rules, { ...row, from: addressOf(row.from, row.family) }).map(said))]));
  expect(followed).toEqual(rows.map((row) => told(row.text, row.outcome)));
});
