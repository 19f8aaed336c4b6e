/**
 * A limit as the kernel's token bucket (tbf) is told it.
 *
 *     8 Mbit/s, 800 kbit at once  →  1,000,000 bytes a second, 125,000 bytes may wait, 1,562,500 ticks to fill 100,000 bytes
 *
 * The numbers are the reference plugin's. Where its arithmetic leaves 32 bits, or the bucket would not hold a single packet,
 * they are what was meant.
 */
import { TICK_NS, type NewTbf, type Tbf } from "@vethwork/linux";
import type { Limit } from "./options.ts";

export type Bucket = Pick<NewTbf, "rate" | "limit" | "bucket">;

const U32 = 2 ** 32 - 1;
/** How long a packet may wait beyond what the bucket holds. */
const LATENCY_US = 25_000;
/**
 * A pod's annotation names a rate and no burst, and the plugin wants one: runtimes write the largest number that they have
 * (the kubelet of old, containerd, CRI-O). As a bucket that is generous; as a queue it would hold up to 4 GiB of the node's
 * memory for each pod, and packets for minutes. So many bytes may wait then, a few large packets:
 */
const NO_BURST: readonly number[] = [2 ** 31 - 1, 2 ** 32 - 1, (2 ** 32 - 1) * 8 - 1];
const QUEUE_WITHOUT_BURST = 256 * 1024;
/** What a link's MTU leaves out (linux/if_ether.h, ETH_HLEN). */
const ETHERNET_HEADER = 14;

/** The bucket for a link of that MTU. */
export function bucketOf({ rate: bitRate, burst: bits }: Limit, mtu: number): Bucket {
  const frame = mtu + ETHERNET_HEADER;
  const rate = Math.floor(bitRate / 8);
  const bytes = Math.max(Math.floor(bits / 8), frame);
  const queue = NO_BURST.includes(bits) ? QUEUE_WITHOUT_BURST : bytes;
  const ticks = Math.floor((Math.floor((bytes * 1e6) / rate) * 1000) / TICK_NS);
  // Rounded down twice, ticks may be too few for one packet; at low rates a large bucket takes more of them than fit.
  const holdsOne = (ticks * TICK_NS * rate) / 1e9 >= frame;
  return {
    rate,
    limit: Math.min(Math.floor((rate * LATENCY_US) / 1e6) + queue, U32),
    bucket: holdsOne && ticks <= U32 ? { ticks } : { bytes },
  };
}

/** What is not as it should be about a bucket that the kernel told, in words. `whose` is the link's name. */
export function bucketFaults(whose: string, told: Tbf, { rate, limit, bucket }: Bucket): string[] {
  const wanted = "ticks" in bucket ? bucket.ticks : Math.floor((bucket.bytes * 1e9) / rate / TICK_NS);
  // The kernel turns bytes into time by a reciprocal of 31 bits, and tells the lower 32 bits of the ticks.
  const room = "ticks" in bucket ? 0 : Math.ceil(wanted / 2 ** 31) + 1;
  const apart = Math.abs(told.buffer - (wanted % 2 ** 32));
  return [
    ...(told.rate === rate ? [] : [`Rate doesn't match: "${whose}" lets ${told.rate} bytes a second pass (${rate} are wanted)`]),
    ...(told.limit === limit ? [] : [`Limit doesn't match: ${told.limit} bytes may wait at "${whose}" (${limit} are wanted)`]),
    ...(Math.min(apart, 2 ** 32 - apart) <= room ? [] : [`Buffer doesn't match: the bucket of "${whose}" takes ${told.buffer} ticks to fill (${wanted % 2 ** 32} are wanted)`]),
  ];
}
