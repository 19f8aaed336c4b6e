/**
 * From a configuration to sets of pools, checked against each other before anything is taken.
 *
 *     { "subnet": "10.1.0.0/24" }                      10.1.0.1 … 10.1.0.254, gateway 10.1.0.1 left out
 *     { "subnet": "10.1.0.0/24",
 *       "rangeStart": "10.1.0.100" }                   10.1.0.100 … 10.1.0.254
 *     { "subnet": "fd00::/64" }                        fd00::1 … fd00::ffff:ffff:ffff:ffff, without fd00::1
 *
 * Words of the reference plugin, where it has some: people look for them.
 */
import { CniError, ErrorCode, atLeast } from "@vethwork/cni";
import { bitsOf, contains, lastOf, networkOf, parseCidr, parseIp, plus, sameCidr, type Ip } from "@vethwork/linux";
import { isIn, type Pool } from "../shared/ipam/pool.ts";
import type { Config, Range } from "./options.ts";

/** The sets that a pod gets an address of, in their order: the runtime's, the single range, `ranges`. CniError 7 names what is wrong. */
export function setsOf({ ipam, runtimeConfig, cniVersion }: Config): Pool[][] {
  const { subnet, rangeStart, rangeEnd, gateway } = ipam;
  const single = subnet === undefined ? [] : [[{ subnet, rangeStart, rangeEnd, gateway }]];
  const sets = [...runtimeConfig.ipRanges, ...single, ...ipam.ranges].map(setOf);
  if (sets.length === 0) throw invalid("no IP ranges specified");
  for (const [at, set] of sets.entries()) {
    const other = sets.slice(0, at).findIndex((earlier) => earlier.some((one) => set.some((two) => meet(one, two))));
    if (other >= 0) throw invalid(`range set ${at} overlaps with ${other}`);
  }
  const families = sets.map(([pool]) => pool?.subnet.family);
  if (sets.length > 1 && new Set(families).size < families.length && !atLeast(cniVersion || "0.1.0", "0.3.0")) {
    throw invalid(`CNI version ${cniVersion || "0.1.0"} does not support more than 1 address per family`);
  }
  return sets;
}

/** A set as the reference writes it: "10.1.0.1-10.1.0.9,10.2.0.1-10.2.0.9". */
export const textOf = (set: readonly Pool[]): string => set.map(shown).join(",");

const shown = ({ first, last }: Pool): string => `${first}-${last}`;

function setOf(ranges: readonly Range[], at: number): Pool[] {
  const wrong = (why: string): CniError => invalid(`invalid range set ${at}: ${why}`);
  if (ranges.length === 0) throw wrong("empty range set");
  const pools = ranges.map((range) => poolOf(range, wrong));
  for (const [index, pool] of pools.entries()) {
    const earlier = pools.slice(0, index);
    if (earlier.some(({ subnet }) => subnet.family !== pool.subnet.family)) throw wrong("mixed address families");
    const other = earlier.find((one) => meet(one, pool));
    if (other) throw wrong(`subnets ${shown(other)} and ${shown(pool)} overlap`);
  }
  return pools;
}

function poolOf({ subnet: text, rangeStart, rangeEnd, gateway }: Range, wrong: (why: string) => CniError): Pool {
  const subnet = parseCidr(text);
  const network = networkOf(subnet);
  if (subnet.prefix > bitsOf(subnet.family) - 2) throw wrong(`Network ${subnet} too small to allocate from`);
  if (!sameCidr(subnet, network)) {
    throw wrong(`Network has host bits set. For a subnet mask of length ${subnet.prefix} the network address is ${network.ip}`);
  }
  const router = plus(network.ip, 1n);
  const within = (name: string, given: string | undefined, fallback: Ip): Ip => {
    const ip = given === undefined ? fallback : parseIp(given);
    if (contains(subnet, ip)) return ip;
    throw wrong(`${name} ${ip} not in network ${subnet}`);
  };
  const first = within("RangeStart", rangeStart, router);
  const last = within("RangeEnd", rangeEnd, subnet.family === 4 ? plus(lastOf(subnet), -1n) : lastOf(subnet));
  const pool = { subnet, first, last, gateway: gateway === undefined ? router : parseIp(gateway) };
  if (!isIn(pool, first)) throw wrong(`RangeEnd ${last} is before RangeStart ${first}`);
  return pool;
}

const meet = (a: Pool, b: Pool): boolean => isIn(a, b.first) || isIn(a, b.last) || isIn(b, a.first);
const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);
