/** Medians and ratios, on samples whose figures are known. */
import { expect, test } from "bun:test";
import { array, assert, double, integer, property } from "fast-check";
import { figureOf, quantile } from "./figures.ts";

test("one outlier changes neither the medians nor the ratio", () => {
  expect(figureOf({ ours: [1, 1, 1, 1, 90], peer: [2, 2, 2, 2, 2] })).toEqual({ ours: 1, peer: 2, ratio: 0.5, from: 0.5, to: 0.5 });
});

test("a machine that becomes slower during the run changes no ratio", () => {
  const peer = [10, 20, 30, 40];
  expect(figureOf({ ours: peer.map((value) => value / 4), peer }).ratio).toBe(0.25);
});

test("a quantile lies among the values, and the half splits them", () => {
  assert(property(array(integer({ min: 0, max: 1e6 }), { minLength: 1 }), double({ min: 0, max: 1, noNaN: true }), (values, share) => {
    const found = quantile(values, share);
    expect(found).toBeGreaterThanOrEqual(Math.min(...values));
    expect(found).toBeLessThanOrEqual(Math.max(...values));
  }));
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
  expect(quantile([4, 1], 0.5)).toBe(2.5);
  expect(() => quantile([], 0.5)).toThrow(RangeError);
});
