/**
 * A pool: the addresses of a subnet that pods may have, and in which order they are tried.
 *
 *     10.244.0.0/24    .0 network   .1 gateway   .2 … .254 pods   .255 broadcast
 *     fd00::/64        ::0 every router (RFC 4291 section 2.6.1)   ::1 gateway   ::2 … the last
 *
 * Pure arithmetic; who has which address stands in ./book.ts.
 */
import { bitsOf, contains, lastOf, networkOf, numberOf, plus, type Cidr, type Ip } from "@vethwork/linux";

export interface Pool {
  subnet: Cidr;
  /** The first address that a pod may have, and the last. */
  first: Ip;
  last: Ip;
}

/** Pods' addresses in `subnet`; RangeError where there is no room for one. */
export function poolOf(subnet: Cidr): Pool {
  const { ip } = networkOf(subnet);
  const longest = bitsOf(subnet.family) - 2;
  if (subnet.prefix > longest) {
    throw new RangeError(`Cannot take addresses from ${subnet}: it is too small (/${longest} or larger is wanted)`);
  }
  return { subnet, first: plus(ip, 2n), last: subnet.family === 4 ? plus(lastOf(subnet), -1n) : lastOf(subnet) };
}

/** How many pods can have an address. */
export const sizeOf = ({ first, last }: Pool): bigint => numberOf(last) - numberOf(first) + 1n;

/** Each address once, beginning after `previous`: one that was given back rests until all others had their turn. */
export function* candidates(pool: Pool, previous?: Ip): Generator<Ip> {
  const size = sizeOf(pool);
  const from = numberOf(pool.first);
  const start = previous && contains(pool.subnet, previous) ? numberOf(previous) - from + 1n : 0n;
  for (let step = 0n; step < size; step++) yield plus(pool.first, (((start + step) % size) + size) % size);
}
