import { expect, test } from "bun:test";
import { numberOf, parseCidr, parseIp, plus } from "@vethwork/linux";
import * as fc from "fast-check";
import { isIn, poolOf, search, sizeOf, type Pool } from "./pool.ts";

const range = (subnet: string, first: string, last: string, gateway?: string): Pool =>
  ({ subnet: parseCidr(subnet), first: parseIp(first), last: parseIp(last), ...(gateway && { gateway: parseIp(gateway) }) });
/** All that a search offers to somebody who takes nothing. */
function texts(set: readonly Pool[], previous?: string): string[] {
  const offered: string[] = [];
  search(set, previous === undefined ? undefined : parseIp(previous), (ip) => offered.push(String(ip)) < 0);
  return offered;
}
const small = range("10.1.2.0/29", "10.1.2.1", "10.1.2.6", "10.1.2.1");

test("a search goes on behind the last address, round to where it began, and leaves the gateway out", () => {
  expect(texts([small])).toEqual(["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"]);
  expect(texts([small], "10.1.2.4")).toEqual(["10.1.2.5", "10.1.2.6", "10.1.2.2", "10.1.2.3", "10.1.2.4"]);
  expect(texts([small], "10.1.2.6")).toEqual(["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"]);
  expect(texts([small], "192.0.2.1")).toEqual(texts([small]));
});

test("from the end of a range it goes on at the start of the next, and from the last at the first", () => {
  const other = range("fd00::/126", "fd00::1", "fd00::3", "fd00::1");
  const second = range("10.9.0.0/30", "10.9.0.1", "10.9.0.2", "10.9.0.1");
  expect(texts([small, second], "10.1.2.5")).toEqual(["10.1.2.6", "10.9.0.2", "10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5"]);
  expect(texts([small, second], "10.9.0.2").slice(0, 2)).toEqual(["10.1.2.2", "10.1.2.3"]);
  expect(texts([other], "fd00::2")).toEqual(["fd00::3", "fd00::2"]);
});

test("every address of a set comes exactly once, wherever the search begins", () => {
  const pools = fc.tuple(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 0, max: 45 }), fc.boolean());
  fc.assert(fc.property(fc.array(pools, { minLength: 1, maxLength: 4 }), fc.nat(), (shapes, pick) => {
    const set = shapes.map(([length, gateway, six], at): Pool => {
      const base = parseIp(six ? `fd00:${at}::1` : `10.${at}.0.1`);
      return { subnet: parseCidr(six ? `fd00:${at}::/64` : `10.${at}.0.0/24`), first: base, last: plus(base, BigInt(length - 1)), gateway: plus(base, BigInt(gateway)) };
    });
    const all = texts(set);
    const size = set.reduce((sum, pool) => sum + sizeOf(pool), 0n);
    expect(BigInt(all.length)).toBe(size);
    expect(new Set(all).size).toBe(all.length);
    const from = texts(set, all[pick % all.length]);
    expect(from.toSorted()).toEqual(all.toSorted());
    expect(from.at(-1)).toBe(all[pick % all.length] ?? "");
    for (const text of all) expect(set.some((pool) => isIn(pool, parseIp(text)))).toBe(true);
  }));
});

test("a subnet's pool leaves out its own address, the gateway's and the broadcast address", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 30 }), fc.boolean(), (prefix, six) => {
    const pool = poolOf(parseCidr(six ? `fd00::/${prefix + 96}` : `10.0.0.0/${Math.max(8, prefix)}`));
    expect(numberOf(pool.first) - numberOf(pool.subnet.ip)).toBe(2n);
    expect(sizeOf(pool) > 0n).toBe(true);
  }));
  expect(() => poolOf(parseCidr("10.0.0.0/31"))).toThrow("too small");
});
