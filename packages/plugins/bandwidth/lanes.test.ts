/** Where each direction goes, and by which filters. */
import { expect, test } from "bun:test";
import { parseCidr } from "@vethwork/linux";
import { inWords, lanesOf } from "./lanes.ts";

const limits = { ingress: { rate: 8000, burst: 80_000 }, egress: { rate: 16_000, burst: 80_000 } };
const lanes = (subnets: readonly string[], { only = false, facesPod = true } = {}) =>
  lanesOf({ ...limits, scope: subnets.length > 0 ? { only, subnets: subnets.map((text) => parseCidr(text)) } : undefined }, { mtu: 1500, facesPod })
    .map(({ direction, bucket, ifb, hook, parent, rules }) => [direction, bucket.rate, ifb, ...(rules.length > 0 ? [hook, parent, ...rules.map((rule) => `${rule.priority} ${inWords(rule)} ${rule.isLimited ? "limited" : "past"}`)] : [])]);

test("without subnets the port holds back what it sends, and an ifb all that it receives; in the pod the other way round", () => {
  expect(lanes([])).toEqual([["ingress", 1000, undefined], ["egress", 2000, "main", "ingress", "ffff:", "1 all limited"]]);
  expect(lanes([], { facesPod: false })).toEqual([["ingress", 1000, "main", "ingress", "ffff:", "1 all limited"], ["egress", 2000, undefined]]);
  expect(lanesOf({ ...limits, egress: undefined, scope: undefined }, { mtu: 1500, facesPod: true })).toHaveLength(1);
});

test("unshaped subnets are compared with the other host's address, pass the bucket by with the questions for neighbours, and the rest goes through", () => {
  const questions = ["1 arp past", "3 ipv6 3a00/ff00 at 4 84000000/fc000000 at 40 past", "3 ipv6 3a00/ff00 at 4 88000000/fe000000 at 40 past"];
  expect(lanes(["10.0.0.0/8", "fd00::/16"])).toEqual([
    ["ingress", 1000, "second", "clsact", "ffff:fff3", ...questions, "2 ip a000000/ff000000 at 12 past", "3 ipv6 fd000000/ffff0000 at 8 past", "4 all limited"],
    ["egress", 2000, "main", "clsact", "ffff:fff2", ...questions, "2 ip a000000/ff000000 at 16 past", "3 ipv6 fd000000/ffff0000 at 24 past", "4 all limited"],
  ]);
});

test("of shaped subnets there are filters alone", () => {
  expect(lanes(["192.0.2.0/24", "::/0"], { only: true, facesPod: false })).toEqual([
    ["ingress", 1000, "main", "clsact", "ffff:fff2", "2 ip c0000200/ffffff00 at 12 limited", "3 ipv6 limited"],
    ["egress", 2000, "second", "clsact", "ffff:fff3", "2 ip c0000200/ffffff00 at 16 limited", "3 ipv6 limited"],
  ]);
});
