import { expect, test } from "bun:test";
import { createFacts } from "./facts.ts";
import { made } from "./testing/world.ts";

const [one, other] = [made({ name: "one", n: 1, slices: [[["web-1"]]] }), made({ name: "other", n: 2, slices: [[["web-2"]]] })];
const slice = one.slices[0];

test("a slice may come before its service, be given to another, and outlive it", () => {
  const facts = createFacts();
  expect([...facts.take(new Map(), new Map([["s", slice]]))]).toEqual(["default/one"]);
  expect(facts.of("default/one")).toBeUndefined();
  facts.take(new Map([["one", one.service], ["default/other", other.service]]), new Map());
  expect(facts.of("default/one")?.slices).toHaveLength(1);
  expect([...facts.take(new Map(), new Map([["s", slice && { ...slice, service: "other" }]]))]).toEqual(["default/one", "default/other"]);
  expect([facts.of("default/one")?.slices.length, facts.of("default/other")?.slices.length]).toEqual([0, 1]);
  expect([...facts.take(new Map([["one", undefined]]), new Map([["s", undefined]]))]).toEqual(["default/one", "default/other"]);
  expect([facts.of("default/one"), facts.of("default/other")?.slices]).toEqual([undefined, []]);
  expect([...facts.ids()]).toEqual(["default/other"]);
});
