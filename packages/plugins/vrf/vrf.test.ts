/** What vrf decides before it asks the kernel for anything. */
import { expect, test } from "bun:test";
import { parseCidr, parseIp, type Route } from "@vethwork/linux";
import { freeTable, remade } from "./vrf.ts";

test("a vrf without a table gets the lowest that no other vrf has", () => {
  expect(freeTable([])).toBe(1);
  expect(freeTable([{ table: undefined }, { table: 2 }, { table: 1 }, { table: 4 }])).toBe(3);
});

test("routes are made anew without the kernel's own, those to neighbours before those by way of them", () => {
  const to = (dst: string, more: Partial<Route> = {}): Route => ({ dst: parseCidr(dst), type: "unicast", protocol: 3, link: 7, ...more });
  const routes = [
    to("0.0.0.0/0", { via: parseIp("169.254.1.1") }), to("10.9.0.0/24", { protocol: 2 }), to("fd09::/64", { protocol: 2 }), to("169.254.1.1/32", { scope: 253 }),
    to("2001:db8::/32", { via: parseIp("fd09::1"), metric: 7 }), to("192.0.2.0/24", { type: "blackhole" }),
  ];
  expect(remade(routes).map(({ dst }) => String(dst))).toEqual(["169.254.1.1/32", "0.0.0.0/0", "2001:db8::/32"]);
});
