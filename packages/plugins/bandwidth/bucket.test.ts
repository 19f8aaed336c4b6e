/** The numbers of a limit: the reference plugin's, unless those are not what was asked for. */
import { expect, test } from "bun:test";
import { bucketFaults, bucketOf } from "./bucket.ts";

const told = (rate: number, burst: number, mtu = 1500) => bucketOf({ rate, burst }, mtu);

test("rate, limit and ticks are the reference's", () => {
  expect(told(8_000_000, 800_000)).toEqual({ rate: 1_000_000, limit: 125_000, bucket: { ticks: 1_562_500 } });
  expect(told(100_000_000, 12_345_678)).toEqual({ rate: 12_500_000, limit: 312_500 + 1_543_209, bucket: { ticks: Math.floor(123_456 * 15.625) } });
  expect(told(64_000_007, 999_999_999)).toEqual({ rate: 8_000_000, limit: 200_000 + 124_999_999, bucket: { ticks: Math.floor(15_624_999 * 15.625) } });
});

test("a bucket that would hold no packet holds one, and the queue, too", () => {
  for (const burst of [8, 80, 12_000, 12_104]) expect(told(8000, burst)).toEqual({ rate: 1000, limit: 25 + 1514, bucket: { ticks: 23_656_250 } });
  // The reference's two roundings leave 1512 bytes of 1514 at this rate: no full packet would ever pass.
  expect(told(100_000_000, 12_112)).toEqual({ rate: 12_500_000, limit: 312_500 + 1514, bucket: { bytes: 1514 } });
  expect(told(8000, 8, 9000).limit).toBe(25 + 9014);
});

test("what leaves 32 bits is what was meant, and not the rest of a division", () => {
  expect(told(1_000_000, 34_359_738_351)).toEqual({ rate: 125_000, limit: 2 ** 32 - 1, bucket: { bytes: 4_294_967_293 } });
  expect(told(400_000_000_000, 8_000_000)).toEqual({ rate: 50_000_000_000, limit: 1_251_000_000, bucket: { ticks: 312 } });
  expect(told(2 ** 50, 1_000_000_000).limit).toBe(2 ** 32 - 1);
});

test("the burst that runtimes write where there is none is the bucket, but not the queue's length", () => {
  expect(told(10_000_000, 2 ** 32 - 1)).toEqual({ rate: 1_250_000, limit: 31_250 + 2 ** 18, bucket: { bytes: 2 ** 29 - 1 } });
  expect(told(1_000_000_000, 2 ** 31 - 1)).toEqual({ rate: 125_000_000, limit: 3_125_000 + 2 ** 18, bucket: { ticks: Math.floor(2_147_483 * 15.625) } });
  expect(told(1_000_000, 34_359_738_359)).toEqual({ rate: 125_000, limit: 3125 + 2 ** 18, bucket: { bytes: 4_294_967_294 } });
  expect(told(10_000_000, 2 ** 31 - 2).limit).toBe(31_250 + 2 ** 28 - 1);
});

test("each number that is another is named, and a bucket in bytes is known by the lower bits of its ticks", () => {
  const wanted = told(8_000_000, 800_000);
  expect(bucketFaults("veth1", { rate: 1_000_000, limit: 125_000, buffer: 1_562_500 }, wanted)).toEqual([]);
  expect(bucketFaults("veth1", { rate: 1, limit: 2, buffer: 3 }, wanted)).toEqual([
    `Rate doesn't match: "veth1" lets 1 bytes a second pass (1000000 are wanted)`, `Limit doesn't match: 2 bytes may wait at "veth1" (125000 are wanted)`, `Buffer doesn't match: the bucket of "veth1" takes 3 ticks to fill (1562500 are wanted)`,
  ]);
  const large = told(10_000_000, 2 ** 32 - 1); // 429.5 s are 6,710,886,387 ticks
  const buffer = 6_710_886_387 % 2 ** 32;
  for (const near of [-3, 0, 3]) expect(bucketFaults("v", { ...large, buffer: buffer + near }, large)).toEqual([]);
  expect(bucketFaults("v", { ...large, buffer: buffer + 100 }, large)).toHaveLength(1);
});
