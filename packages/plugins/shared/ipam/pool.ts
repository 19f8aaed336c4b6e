/**
 * A pool: a run of addresses of one subnet that pods may have. Several pools that stand for one another are a set.
 *
 *     10.244.0.0/24    .0 network   .1 gateway   .2 … .254 pods   .255 broadcast
 *     fd00::/64        ::0 every router (RFC 4291 section 2.6.1)   ::1 gateway   ::2 … the last
 *
 * Pure arithmetic; who has which address stands in ./book.ts.
 */
import { bitsOf, compareIps, lastOf, networkOf, numberOf, plus, sameIp, type Cidr, type Ip } from "@vethwork/linux";

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
  ip.family === pool.subnet.family && compareIps(ip, pool.first) >= 0 && compareIps(ip, pool.last) <= 0;

const isGateway = ({ gateway }: Pool, ip: Ip): boolean => gateway !== undefined && sameIp(gateway, ip);

/** How many pods can have an address. */
export const sizeOf = (pool: Pool): bigint => spanOf(pool) - (pool.gateway && isIn(pool, pool.gateway) ? 1n : 0n);

const spanOf = ({ first, last }: Pool): bigint => numberOf(last) - numberOf(first) + 1n;

/**
 * The first address that `take` takes. Each of the set is offered once, beginning after `previous` and going round: one
 * that was given back rests until all others had their turn.
 */
export function search(set: readonly Pool[], previous: Ip | undefined, take: (ip: Ip) => boolean): Ip | undefined {
  const found = previous ? set.findIndex((pool) => isIn(pool, previous)) : -1;
  const begun = set[found];
  const behind = begun && previous && searchIn(begun, { after: previous, last: begun.last }, take);
  if (behind) return behind;
  for (const pool of begun ? [...set.slice(found + 1), ...set.slice(0, found)] : set) {
    const ip = searchIn(pool, pool, take);
    if (ip) return ip;
  }
  return begun && previous && searchIn(begun, { first: begun.first, last: previous }, take);
}

/** Offers the addresses from `first` on, or those behind `after`, to `last`. */
function searchIn(pool: Pool, run: { first: Ip; last: Ip } | { after: Ip; last: Ip }, take: (ip: Ip) => boolean): Ip | undefined {
  let ip = "after" in run ? run.after : run.first;
  if (!("after" in run) && !isGateway(pool, ip) && take(ip)) return ip;
  while (compareIps(ip, run.last) < 0) {
    ip = plus(ip, 1n);
    if (!isGateway(pool, ip) && take(ip)) return ip;
  }
  return undefined;
}
