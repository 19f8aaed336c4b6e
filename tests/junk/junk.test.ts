/** Junk to every decoder: what was found once, and some thousand inputs from a seed of their own each. `npm run fuzz` plays on. */
import { describe, expect, test } from "bun:test";
import { decoders } from "./decoders.ts";
import { regressions } from "./regressions.ts";
import { complaintOf, inputOf, isForeseen } from "./trial.ts";

const SEED = 1;
const INPUTS = 800;

describe("a value, or an error in words of our own", () => {
  test.each(decoders.map((decoder) => [decoder.name, decoder] as const))("%s", async (name, decoder) => {
    for (let index = 0; index < (decoder.inputs ?? INPUTS); index++) {
      const input = inputOf(decoder, SEED, index);
      const complaint = await complaintOf(decoder, input);
      if (complaint !== undefined) throw new TypeError(`npm run fuzz -- --decoder "${name}" --seed ${SEED} --at ${index}: ${complaint}`);
    }
  });
  test("the seeds themselves are taken, too", async () => {
    for (const decoder of decoders) for (const seed of decoder.seeds) expect(await complaintOf(decoder, seed)).toBeUndefined();
  });
});

test("what was found once is not found again", async () => {
  for (const { decoder: name, input } of regressions) {
    const decoder = decoders.find((one) => one.name === name);
    expect([name, decoder && (await complaintOf(decoder, input))]).toEqual([name, undefined]);
    expect(decoder).toBeDefined();
  }
});

describe("the verdict", () => {
  const verdict = (decode: () => unknown) => complaintOf({ name: "x", seeds: [new Uint8Array()], words: [], decode }, new Uint8Array());
  test("finds what the engine throws", async () => {
    const nothing: { name: string }[] = JSON.parse("[null]");
    expect(await verdict(() => nothing[0]?.name.length ?? nothing.map(({ name }) => name))).toContain("TypeError");
    expect(await verdict(() => "x".repeat(-1))).toContain("RangeError");
    const deep = (): number => 1 + deep();
    expect(await verdict(deep)).toContain("RangeError");
    expect(await verdict(() => JSON.parse("{"))).toContain("SyntaxError");
  });
  test("finds errors of no class of ours, and those that only look so", async () => {
    expect(await verdict(() => Promise.reject(new URIError("x")))).toContain("URIError");
    expect(isForeseen(new RangeError("Cannot read x (y is wanted)"))).toBe(false); // made here, in no line of a package
  });
});

test("an input is the same whenever it is asked for", () => {
  for (const decoder of decoders) expect(inputOf(decoder, 7, 3)).toEqual(inputOf(decoder, 7, 3));
  expect(new Set(Array.from({ length: 200 }, (_, index) => Buffer.from(decoders[0] ? inputOf(decoders[0], 7, index) : []).toString("hex"))).size).toBeGreaterThan(150);
});
