/** When cards are tested, by a clock that the test winds on, with a data path that answers as it is told. */
import { expect, test } from "bun:test";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import { createCardTests } from "./card-tests.ts";
import type { Datapath, DatapathStatus } from "./datapath/datapath.ts";

const untested: DatapathStatus["offload"] = [{ link: "vxlan4", state: "untested" }];
const off: DatapathStatus["offload"] = [{ link: "vxlan4", state: "off" }];

function play(answer: () => Promise<DatapathStatus["offload"]>) {
  let [now, asked, results] = [0, 0, 0];
  const said: string[] = [];
  const clock: Clock = { now: () => now, after: () => ({ [Symbol.dispose]: () => {} }) };
  const cards = createCardTests({ clock, log: (level, words) => said.push(`${level}: ${words}`), chance: () => 0.5, onResult: () => (results += 1) });
  const datapath: Datapath = { reconcile: () => expect.unreachable(), clear: () => [], testOffload: () => ((asked += 1), answer()) };
  const considered = async (ms: number, offload: DatapathStatus["offload"]): Promise<number> => {
    now = ms;
    cards.consider(datapath, offload);
    cards.consider(datapath, offload);
    await cards.ended();
    return asked;
  };
  return { considered, said, results: () => results, isTesting: cards.isTesting };
}

test("a card that nobody has tested is tested at once, one test at a time, and ever more seldom while nobody answers", async () => {
  const { considered, results } = play(() => Promise.resolve(untested));
  expect([await considered(0, []), await considered(0, off)]).toEqual([0, 0]);
  const times = [1, 2, 20_000, 20_002, 60_001, 60_003, 100_000, 140_004];
  const asked = [];
  for (const ms of times) asked.push(await considered(ms, untested));
  expect(asked).toEqual([1, 1, 1, 2, 2, 3, 3, 4]);
  expect(results()).toBe(4);
});

test("what is found out is told, and so is a test that cannot be made, which is made again later", async () => {
  const found = play(() => Promise.resolve(off));
  await found.considered(0, untested);
  expect([found.said, found.results(), found.isTesting()]).toEqual([["warning: network card was tested"], 1, false]);
  const failed = play(() => Promise.reject(new RangeError("no socket")));
  expect([await failed.considered(0, untested), await failed.considered(30_000, untested)]).toEqual([1, 2]);
  expect(failed.said).toEqual(["warning: network card cannot be tested", "warning: network card cannot be tested"]);
});
