/** What becomes of every connection of the table, by the rules that would be written: no kernel is asked. */
import { describe, expect, test } from "bun:test";
import { sameIp } from "@vethwork/linux";
import { createNft } from "@vethwork/linux/nft/nft.ts";
import { nobodyWaits, rulesInMemory } from "@vethwork/linux/testing/rules.ts";
import { follow, serviceRules } from "./follow.ts";
import { createKeeper } from "./keeper.ts";
import { createPlanner, type Surroundings } from "./planner.ts";
import { masqueradedRows, rows, said, type Row } from "./testing/rows.ts";
import { addressOf, made, surroundings, wordsOfServices } from "./testing/world.ts";

function rulesFor(where: Surroundings) {
  const nft = createNft(rulesInMemory().socket, nobodyWaits);
  const planner = createPlanner();
  planner.place(where);
  for (const words of wordsOfServices) planner.put(words.name, made(words));
  createKeeper(nft, planner).settle(planner.take());
  return serviceRules(nft, (ip) => where.node.addresses.some((own) => sameIp(own, ip)));
}

const told = (text: string, ends: readonly string[]): string => `${text.split(" ").slice(0, 4).join(" ")} ${ends.toSorted().join(" ")}`;

describe.each([["as usual", surroundings, rows], ["with everything masqueraded", { ...surroundings, node: { ...surroundings.node, masqueradeAll: true } }, masqueradedRows]] as const)("connections, %s", (_name, where, table) => {
  const rules = rulesFor(where);
  const sections = Map.groupBy<string, Row>(table, ({ section }) => section);
  test.each([...sections])("%s", (_section, some) => {
    const happened = some.map((row) => told(row.text, [...new Set(follow(rules, { ...row, from: addressOf(row.from, row.family) }).map(said))]));
    expect(happened).toEqual(some.map((row) => told(row.text, row.outcome)));
  });
});

test("there are rows for every kind of service, of both families", () => {
  expect(rows.length).toBeGreaterThan(300);
  const [four, six] = ([4, 6] as const).map((family) => rows.filter((row) => row.family === family).length);
  expect(four).toBe(six ?? 0);
});
