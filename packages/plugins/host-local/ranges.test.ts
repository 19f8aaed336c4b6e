import { expect, test } from "bun:test";
import { isObject, parseConfig, type JsonObject } from "@vethwork/cni";
import { contains, parseIp } from "@vethwork/linux";
import * as fc from "fast-check";
import { isIn } from "../shared/ipam/pool.ts";
import { options } from "./options.ts";
import { setsOf, textOf } from "./ranges.ts";
import { requestsOf } from "./requested.ts";

const parsed = (ipam: JsonObject, more: JsonObject = {}) => parseConfig(options, { cniVersion: "1.1.0", name: "mynet", type: "bridge", ipam: { type: "host-local", ...ipam }, ...more });
const sets = (ipam: JsonObject, more: JsonObject = {}) => setsOf(parsed(ipam, more));

test("a subnet alone gives every address but its own, the gateway's and the broadcast address", () => {
  const [set = []] = sets({ subnet: "10.1.2.0/24" });
  expect(textOf(set)).toBe("10.1.2.1-10.1.2.254");
  expect(String(set[0]?.gateway)).toBe("10.1.2.1");
  expect(textOf(sets({ ranges: [[{ subnet: "FD00::/64" }]] })[0] ?? [])).toBe("fd00::1-fd00::ffff:ffff:ffff:ffff");
});

test("sets come in order: the runtime's, the single range, `ranges`", () => {
  const all = sets(
    { subnet: "10.2.0.0/24", rangeStart: "10.2.0.10", rangeEnd: "10.2.0.20", gateway: "10.2.0.254", ranges: [[{ subnet: "10.3.0.0/24" }, { subnet: "10.4.0.0/24" }]] },
    { runtimeConfig: { ipRanges: [[{ subnet: "10.1.0.0/24" }]] } },
  );
  expect(all.map(textOf)).toEqual(["10.1.0.1-10.1.0.254", "10.2.0.10-10.2.0.20", "10.3.0.1-10.3.0.254,10.4.0.1-10.4.0.254"]);
  expect(String(all[1]?.[0]?.gateway)).toBe("10.2.0.254");
});

test("what cannot be is refused in the reference's words", () => {
  const rows: readonly [JsonObject, string][] = [
    [{}, "no IP ranges specified"],
    [{ ranges: [[]] }, "invalid range set 0: empty range set"],
    [{ subnet: "10.1.2.0/31" }, "invalid range set 0: Network 10.1.2.0/31 too small to allocate from"],
    [{ subnet: "fd00::/127" }, "Network fd00::/127 too small"],
    [{ subnet: "10.1.2.3/24" }, "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0"],
    [{ subnet: "10.1.2.0/24", rangeStart: "10.1.3.5" }, "RangeStart 10.1.3.5 not in network 10.1.2.0/24"],
    [{ subnet: "10.1.2.0/24", rangeEnd: "fd00::1" }, "RangeEnd fd00::1 not in network 10.1.2.0/24"],
    [{ subnet: "10.1.2.0/24", rangeStart: "10.1.2.9", rangeEnd: "10.1.2.8" }, "RangeEnd 10.1.2.8 is before RangeStart 10.1.2.9"],
    [{ ranges: [[{ subnet: "10.1.2.0/24" }, { subnet: "fd00::/64" }]] }, "mixed address families"],
    [{ ranges: [[{ subnet: "10.1.0.0/16" }, { subnet: "10.1.2.0/24" }]] }, "subnets 10.1.0.1-10.1.255.254 and 10.1.2.1-10.1.2.254 overlap"],
    [{ ranges: [[{ subnet: "10.1.0.0/16" }], [{ subnet: "10.1.2.0/24" }]] }, "range set 1 overlaps with 0"],
    [{ subnet: "no" }, 'invalid option "ipam.subnet"'],
    [{ ranges: [[{}]] }, 'missing option "ipam.ranges[0][0].subnet"'],
  ];
  for (const [ipam, words] of rows) expect(() => sets(ipam), JSON.stringify(ipam)).toThrow(words);
  expect(() => sets({ ranges: [[{ subnet: "10.1.0.0/24" }], [{ subnet: "10.2.0.0/24" }]] }, { cniVersion: "0.2.0" }))
    .toThrow("CNI version 0.2.0 does not support more than 1 address per family");
});

test("two ranges of one subnet that do not meet are two ranges", () => {
  expect(sets({ ranges: [[{ subnet: "10.1.2.0/24", rangeEnd: "10.1.2.9" }, { subnet: "10.1.2.0/24", rangeStart: "10.1.2.20" }]] })).toHaveLength(1);
});

test("any JSON at all gives sets whose addresses lie in their subnets, or an error that says why", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("10.1.2.0", "10.1.2.77", "fd00::", ""), fc.string());
  const prefix = fc.oneof(address, fc.tuple(fc.constantFrom("10.1.2.0", "10.0.0.0", "fd00::"), fc.integer({ min: -1, max: 130 })).map(([ip, bits]) => `${ip}/${bits}`));
  const range = fc.record({ subnet: prefix, rangeStart: address, rangeEnd: address, gateway: address }, { requiredKeys: [] });
  const ipam = fc.oneof(fc.record({ ranges: fc.array(fc.array(range, { maxLength: 3 }), { maxLength: 3 }) }), range, fc.jsonValue().filter(isObject));
  fc.assert(fc.property(ipam, (value) => {
    try {
      for (const set of sets(isObject(value) ? value : {})) for (const pool of set) {
        expect(contains(pool.subnet, pool.first) && contains(pool.subnet, pool.last) && isIn(pool, pool.last)).toBe(true);
      }
    } catch (error) {
      expect(error).toMatchObject({ name: "CniError", code: 7 });
    }
  }), { numRuns: 500 });
});

test("each address that is asked for finds its set, and one too many is refused", () => {
  const two = sets({ ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00::/64" }]] });
  const asked = (...texts: string[]): string[] => requestsOf(two, texts).map(String);
  expect(asked("fd00::9")).toEqual(["undefined", "fd00::9"]);
  expect(asked("10.1.2.9/24", "fd00:0::9/64", "10.1.2.9")).toEqual(["10.1.2.9", "fd00::9"]);
  expect(() => asked("10.1.2.9", "10.1.2.10")).toThrow("failed to allocate all requested IPs: 10.1.2.10");
  expect(() => asked("192.0.2.1")).toThrow("failed to allocate all requested IPs: 192.0.2.1");
  expect(() => asked("10.1.2.1")).toThrow("requested ip 10.1.2.1 is subnet's gateway");
  expect(() => asked("10.1.2.9,10.1.2.10")).toThrow("cannot understand ip");
  expect(String(parseIp("fd00:0::9"))).toBe("fd00::9");
});
