/** Rules on a real kernel, and what `ip rule` says of them. */
import { expect } from "bun:test";
import { cidrOf, parseCidr, parseIp, type Family, type Netns } from "./index.ts";
import { errnoOf, ipJson, kernelTest, outputIn } from "./testing/room.ts";

const source = { 4: parseIp("10.0.0.1"), 6: parseIp("fd00::1") } as const;
const target = { 4: parseCidr("192.0.2.0/24"), 6: parseCidr("2001:db8::/32") } as const;
const told = (netns: Netns, family: Family): string[] => outputIn(netns, "ip", `-${family}`, "rule").trim().split("\n").map((line) => line.replaceAll(/\s+/g, " "));

for (const family of [4, 6] as const) {
  kernelTest(`IPv${family}: a rule is asked before those that were there, is there once, and is gone when deleted`, (here) => {
    const [before, shown] = [here.rules.list({ family }), told(here, family)];
    const rule = { family, from: cidrOf(source[family]), table: 100 };
    here.rules.add(rule);
    expect(errnoOf(() => here.rules.add({ ...rule, priority: 32765 }))).toBe("EEXIST");
    expect(told(here, family)[1]).toBe(`32765: from ${source[family]} lookup 100`);
    expect(here.rules.list({ table: 100 }).map(({ from, priority, ...rest }) => [String(from), priority, rest.family])).toEqual([[String(rule.from), 32765, family]]);
    expect([here.rules.delete(rule), here.rules.delete(rule)]).toEqual([true, false]);
    expect(JSON.stringify(here.rules.list({ family }))).toBe(JSON.stringify(before));
    expect(told(here, family)).toEqual(shown);
  });

  kernelTest(`IPv${family}: a rule has all that was asked for, and what is listed can be deleted`, (here) => {
    here.rules.add({ family, from: cidrOf(source[family]), to: target[family], iif: "lo", oif: "other", priority: 77, table: 70_000 });
    expect(ipJson(here, `-${family}`, "rule", "show", "priority", "77")).toMatchObject([{ priority: 77, src: String(source[family]), dst: String(target[family].ip), dstlen: target[family].prefix, iif: "lo", oif: "other", table: "70000" }]);
    const [rule] = here.rules.list({ family, table: 70_000 });
    expect(JSON.stringify(rule)).toBe(JSON.stringify({ family, table: 70_000, priority: 77, from: cidrOf(source[family]), to: target[family], iif: "lo", oif: "other" }));
    expect(rule && here.rules.delete(rule)).toBe(true);
    expect(here.rules.list({ family, table: 70_000 })).toEqual([]);
  });
}

kernelTest("the kernel's own rules are listed: local, main, default", (here, there) => {
  here.rules.add({ family: 4, table: 5, priority: 5 });
  expect(there.rules.list({ family: 4 }).map(({ priority, table }) => [priority, table])).toEqual([[0, 255], [32766, 254], [32767, 253]]);
  expect(here.rules.list().map(({ family, priority, table }) => [family, priority, table])).toEqual([[4, 0, 255], [4, 5, 5], [4, 32766, 254], [4, 32767, 253], [6, 0, 255], [6, 32766, 254]]);
});
