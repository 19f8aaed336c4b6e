/** The rules as nft's text, without a kernel; what the kernel makes of them is tested where the plugins are. */
import { expect, test } from "bun:test";
import { parseCidr, textOf } from "@vethwork/linux";
import { rulesOf } from "./table.ts";

const rulesFor = (networks: readonly string[], masquerade = true): string[] =>
  rulesOf({ name: "mynet", networks: networks.map(parseCidr), masquerade, sourceCheck: false }).map(textOf);

test("what leaves the network is masqueraded, but not towards nodes and not multicast", () => {
  expect(rulesFor(["10.244.0.0/16"])).toEqual([
    'ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 ip daddr != 224.0.0.0/4 ip daddr != @nodes4 counter masquerade fully-random comment "mynet: out of 10.244.0.0/16"',
  ]);
});

test("a network of two prefixes of one family keeps addresses between them, too", () => {
  const rules = rulesFor(["10.244.0.0/16", "10.250.0.0/16", "fd00::/48"]);
  expect(rules).toHaveLength(3);
  for (const rule of rules.slice(0, 2)) {
    expect(rule).toContain("ip daddr != 10.244.0.0/16");
    expect(rule).toContain("ip daddr != 10.250.0.0/16");
    expect(rule).not.toContain("fd00");
  }
});

test("a network that is not masqueraded has no rule", () => expect(rulesFor(["10.244.0.0/16"], false)).toEqual([]));

test("who sends is asked once for all families: is there a way back to it by the cable that it came by", () => {
  expect(rulesOf({ name: "mynet", networks: [parseCidr("10.244.0.0/16"), parseCidr("fd00::/48")], masquerade: false, sourceCheck: true }).map(textOf)).toEqual([
    'iifgroup 118 fib saddr . iif oif missing counter drop comment "mynet: another\'s address"',
  ]);
});
