import { expect, test } from "bun:test";
import { assert, integer, property, tuple } from "fast-check";
import { durationOf, readGoArguments } from "./goflags.ts";

const OPTIONS = { timeout: { type: "string" }, broadcast: { type: "boolean" } } as const;
const read = (...args: string[]): object => ({ ...readGoArguments(args, OPTIONS).values });

test("options are read in either spelling, with their value behind a sign or behind a space", () => {
  for (const args of [["-timeout", "1s"], ["-timeout=1s"], ["--timeout", "1s"], ["--timeout=1s"]]) expect(read(...args)).toEqual({ timeout: "1s" });
  expect(read("-broadcast", "-timeout=-5")).toEqual({ broadcast: true, timeout: "-5" });
  expect(read("--broadcast=false")).toEqual({});
  expect(read("-broadcast=T")).toEqual({ broadcast: true });
});

test("what is not known, and a truth that is none, are named", () => {
  expect(() => read("-fly")).toThrow("--fly");
  expect(() => read("-broadcast=maybe")).toThrow("--broadcast=maybe is not understood");
});

test("times are Go's", () => {
  for (const [text, ms] of [["10s", 10_000], ["1m2s", 62_000], ["1h0m0s", 3_600_000], ["1.5h", 5_400_000], ["250ms", 250], [".5s", 500], ["0", 0], ["2us", 0.002]] as const) expect(durationOf("t", text)).toBeCloseTo(ms, 9);
  for (const text of ["", "10", "s", "-1s", "1s 2s", "1d", "1s2", "soon"]) expect(() => durationOf("timeout", text)).toThrow("a time is wanted");
  assert(property(tuple(integer({ min: 0, max: 99 }), integer({ min: 0, max: 59 }), integer({ min: 0, max: 59 })), ([h, m, s]) =>
    expect(durationOf("t", `${h}h${m}m${s}s`)).toBe((h * 3600 + m * 60 + s) * 1000)));
});
