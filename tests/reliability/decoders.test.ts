/** Junk for every reader of what others wrote; `npm run fuzz` asks for as long as one likes. */
import { expect, test } from "bun:test";
import { decoders, feed, isTyped } from "./decoders.ts";

for (const decoder of decoders) {
  test(`${decoder.name}: good examples are read, and thousands of bad ones give a value or a typed error`, async () => {
    expect(decoder.seeds.length).toBeGreaterThan(0);
    const read = await Promise.all(decoder.seeds.map(async (seed) => { try { await decoder.read(seed); return ""; } catch (error) { return String(error); } }));
    expect(read).toEqual(read.map(() => ""));
    expect(await feed(decoder, { from: 1, inputs: decoder.name === "host-local folder" ? 150 : 3_000 })).toBeUndefined();
  }, 60_000);
}

test("a reader that throws something else, or goes on for ever, would be found", async () => {
  const careless = { name: "careless", seeds: [new TextEncoder().encode("[1]")], read: (bytes: Uint8Array) => { if (bytes.length % 7 === 3) throw new TypeError("undefined is not an object"); } };
  expect(await feed(careless, { from: 1, inputs: 100 })).toMatchObject({ decoder: "careless", what: expect.stringContaining("undefined is not an object") });
  expect([new TypeError("x is not a function"), new RangeError("Cannot decode"), "text"].map(isTyped)).toEqual([false, true, false]);
});
