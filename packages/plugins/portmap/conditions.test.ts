/** Conditions in nft's words: what they become, and what is said of those that do not read. */
import { expect, test } from "bun:test";
import { conditionsOf } from "./conditions.ts";

const read = (family: 4 | 6, ...given: string[]): string[] => conditionsOf("conditionsV4", family, given).map((one) => one.map(({ text }) => text).join(" "));

test("words are read whichever way they are cut", () => {
  expect(read(4)).toEqual([""]);
  for (const given of [["ip", "saddr", "!=", "10.0.0.0/8"], ["ip saddr != 10.0.0.0/8"], ["ip saddr", "ne 10.0.0.0/8"]]) expect(read(4, ...given)).toEqual(["ip saddr != 10.0.0.0/8"]);
  expect(read(6, "ip6 daddr == fd00::1 iifname \"eth0\"")).toEqual(['ip6 daddr fd00::1 iifname "eth0"']);
  expect(read(4, "meta mark & 0x10 == 0x10", "fib saddr type != local", "meta l4proto tcp", "th sport 53", "mark 7", "meta oifname", "veth*")).toEqual([
    'meta mark & 0x00000010 == 0x00000010 fib saddr type != local meta l4proto tcp th sport 53 meta mark 0x00000007 oifname "veth*"',
  ]);
});

test("one of several is an alternative each, none of several is one", () => {
  expect(read(4, "ip saddr { 10.0.0.1, 10.0.0.2 }", "iifname", "{", "eth0,", "eth1", "}")).toEqual([
    'ip saddr 10.0.0.1 iifname "eth0"', 'ip saddr 10.0.0.2 iifname "eth0"', 'ip saddr 10.0.0.1 iifname "eth1"', 'ip saddr 10.0.0.2 iifname "eth1"',
  ]);
  expect(read(4, "ip saddr != {10.0.0.1,10.0.0.2} tcp dport 80")).toEqual(["ip saddr != 10.0.0.1 ip saddr != 10.0.0.2 tcp dport 80"]);
});

test("what does not read is named, with what would", () => {
  for (const [given, message] of [
    ["ct state new", /^Cannot use conditionsV4 "ct state new": "ct" is not understood \(one of ip saddr, .* is wanted\)$/],
    ["ip saddr", /"ip saddr" is followed by "" \(an IPv4 address or prefix is wanted\)/],
    ["ip saddr fd00::1", /"ip saddr" is followed by "fd00::1" \(an IPv4 address or prefix is wanted\)/],
    ["ip saddr { 10.0.0.1", /"ip saddr" is followed by "\{ 10\.0\.0\.1"/],
    ["ip saddr {}", /"ip saddr" is followed by "\{ \}"/],
    ["ip6 saddr fd00::1", /no IPv4 packet has "ip6 saddr"/],
    ["iifname a/b", /a device's name is wanted/], ["tcp dport 70000", /a port from 0 to 65535 is wanted/],
    ["meta mark 0x100000000", /a number of 32 bits is wanted/], ["ip saddr & 255 == 1", /is followed by/], ["jump x", /"jump" is not understood/],
    ["fib saddr type nonsense", /one of local, unicast, broadcast, multicast is wanted/],
  ] as const) expect(() => read(4, given)).toThrow(message);
});
