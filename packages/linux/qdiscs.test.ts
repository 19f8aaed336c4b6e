/** What is sent for qdiscs and filters, explained by the tables that send it. */
import { expect, test } from "bun:test";
import { createFilters, keysFor } from "./filters.ts";
import { parseCidr } from "./ip.ts";
import { createQdiscs, type NewQdisc } from "./qdiscs.ts";
import { requestsOf } from "./testing/wire.ts";

const link = { index: 7, name: "veth7" };
const added = (qdisc: NewQdisc): string[] => requestsOf((rtnl) => createQdiscs(rtnl).add(link, qdisc));

test("a tbf is asked for with its bucket in ticks, or in bytes, and its rate in as many bits as it needs", () => {
  expect(added({ kind: "tbf", handle: "1:", rate: 1_000_000, limit: 125_000, bucket: { ticks: 1_562_500 } })).toEqual([
    "tcm_family=0 tcm_ifindex=7 tcm_handle=65536 tcm_parent=4294967295 tcm_info=0", 'TCA_KIND (1) "tbf"', "TCA_OPTIONS (2)",
    "  TCA_TBF_PARMS (1) cell_log=0 linklayer=0 overhead=0 mpu=0 rate=1000000 limit=125000 buffer=1562500 mtu=0",
  ]);
  expect(added({ kind: "tbf", rate: 5_000_000_000, limit: 1, bucket: { bytes: 1514 } }).slice(3)).toEqual([
    "  TCA_TBF_PARMS (1) cell_log=0 linklayer=0 overhead=0 mpu=0 rate=4294967295 limit=1 buffer=0 mtu=0", "  TCA_TBF_RATE64 (4) 5000000000", "  TCA_TBF_BURST (6) 1514",
  ]);
});

test("a place for filters is asked for by its kind alone", () => {
  for (const kind of ["ingress", "clsact"] as const) {
    expect(added({ kind })).toEqual(["tcm_family=0 tcm_ifindex=7 tcm_handle=4294901760 tcm_parent=4294967281 tcm_info=0", `TCA_KIND (1) "${kind}"`]);
  }
});

test("a filter is asked for with its selector, its keys and its actions, its priority and protocol in the head", () => {
  const filter = { kind: "u32", parent: "ffff:", priority: 2, protocol: "ip", keys: keysFor("source", parseCidr("10.9.0.0/16")), flowid: "1:1", actions: [{ what: "redirect", to: "egress", link: 9 }] } as const;
  expect(requestsOf((rtnl) => createFilters(rtnl).add(link, filter))).toEqual([
    `tcm_family=0 tcm_ifindex=7 tcm_handle=0 tcm_parent=4294901760 tcm_info=${2 * 65536 + 8}`, 'TCA_KIND (1) "u32"', "TCA_OPTIONS (2)",
    "  TCA_U32_CLASSID (1) 65537",
    "  TCA_U32_SEL (5)", "    flags=1 offshift=0 nkeys=1 offmask=0 off=0 hmask=0", "    - mask=4294901760 val=168361984 off=12 offmask=0",
    "  TCA_U32_ACT (7)", "    - (1)", '      TCA_ACT_KIND (1) "mirred"', "      TCA_ACT_OPTIONS (2)", "        TCA_MIRRED_PARMS (2) index=0 capab=0 action=4 refcnt=0 bindcnt=0 eaction=1 ifindex=9",
  ]);
});

test("an address is compared as far as its prefix goes, four bytes at a time", () => {
  const keys = (text: string) => keysFor("destination", parseCidr(text)).map(({ offset, value, mask }) => `${value.toString(16)}/${mask.toString(16)} at ${offset}`);
  expect(keys("0.0.0.0/0")).toEqual([]);
  expect(keys("10.1.2.3/32")).toEqual(["a010203/ffffffff at 16"]);
  expect(keys("192.168.77.1/22")).toEqual(["c0a84c00/fffffc00 at 16"]);
  expect(keys("::/0")).toEqual([]);
  expect(keys("fd00:db8:abcd:1234:e000::/68")).toEqual(["fd000db8/ffffffff at 24", "abcd1234/ffffffff at 28", "e0000000/f0000000 at 32"]);
  expect(keys("2001:db8::7/128")).toEqual(["20010db8/ffffffff at 24", "0/ffffffff at 28", "0/ffffffff at 32", "7/ffffffff at 36"]);
});
