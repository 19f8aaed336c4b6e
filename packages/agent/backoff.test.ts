import { expect, test } from "bun:test";
import { pauseAfter } from "./backoff.ts";

const pauses = { firstMs: 250, mostMs: 30_000 };

test("pauses double up to the longest, and are nobody else's", () => {
  expect([1, 2, 3, 8, 50, 5000].map((failures) => pauseAfter(failures, pauses, 0.5))).toEqual([250, 500, 1000, 30_000, 30_000, 30_000]);
  expect([pauseAfter(3, pauses, 0), pauseAfter(3, pauses, 1)]).toEqual([500, 1500]);
});
