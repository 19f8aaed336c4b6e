/**
 * A pool: a run of addresses of one subnet that pods may have. Several pools that stand for one another are a set.
 *
 *     10.244.0.0/24    .0 network   .1 gateway   .2 … .254 pods   .255 broadcast
 *     fd00::/64        ::0 every router (RFC 4291 section 2.6.1)   ::1 gateway   ::2 … the last
 *
 * Pure arithmetic; who has which address stands in ./book.ts.
 */
import { bitsOf, lastOf, networkOf, numberOf, plus, sameIp, type Cidr, type Ip } from "@vethwork/linux";

export interface Pool {
  subnet: Cidr;
  /** The first address that a pod may have, and the last. */
  first: Ip;
  last: Ip;
  /** Somebody else's, though it may lie between the two. */
  gateway?: Ip;
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

/** True where a pod may have that address. */
export const isIn = (pool: Pool, ip: Ip): boolean =>
  ip.family === pool.subnet.family && numberOf(ip) >= numberOf(pool.first) && numberOf(ip) <= numberOf(pool.last);

const isGateway = ({ gateway }: Pool, ip: Ip): boolean => gateway !== undefined && sameIp(gateway, ip);

/** How many pods can have an address. */
export const sizeOf = (pool: Pool): bigint => spanOf(pool) - (pool.gateway && isIn(pool, pool.gateway) ? 1n : 0n);

const spanOf = ({ first, last }: Pool): bigint => numberOf(last) - numberOf(first) + 1n;

/**
 * Each address of the set once, beginning after `previous` and going round: one that was given back rests until all
 * others had their turn.
 */
export function* candidates(set: readonly Pool[], previous?: Ip): Generator<Ip> {
  const found = previous ? set.findIndex((pool) => isIn(pool, previous)) : -1;
  const start = set[Math.max(0, found)];
  if (!start) return;
  const skipped = previous && found >= 0 ? numberOf(previous) - numberOf(start.first) + 1n : 0n;
  const others = [...set.slice(Math.max(0, found) + 1), ...set.slice(0, Math.max(0, found))];
  yield* within(start, skipped, spanOf(start));
  for (const pool of others) yield* within(pool, 0n, spanOf(pool));
  yield* within(start, 0n, skipped);
}

function* within(pool: Pool, from: bigint, to: bigint): Generator<Ip> {
  for (let step = from; step < to; step++) {
    const ip = plus(pool.first, step);
    if (!isGateway(pool, ip)) yield ip;
  }
}
