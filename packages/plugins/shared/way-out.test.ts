/** The rules as nft's text, and which prefixes a set can hold; what the kernel makes of them is in the .root.test. */
import { expect, test } from "bun:test";
import { array, assert, integer, property, tuple, uint8Array } from "fast-check";
import { cidrOf, contains, ipFrom, overlaps, parseCidr, parseIp, textOf } from "@vethwork/linux";
import { outermost, wayOutRules } from "./way-out.ts";

const wanted = { masquerade: true, ownSubnets: ["10.244.1.0/24", "fd00:10:244:1::/64"].map(parseCidr), kept: [], nodes: [parseIp("192.0.2.1")], tunnelPorts: [8475] };

test("what leaves this node's pods is masqueraded, but not towards pods, nodes and what is kept; tunnels are not tracked", () => {
  expect(wayOutRules(wanted).map((rule) => `${rule.chain.name}: ${textOf(rule)}`)).toEqual([
    'out-of-cluster: ip saddr 10.244.1.0/24 ip daddr != @kept4 ip daddr != @nodes4 counter masquerade fully-random comment "out of the cluster from 10.244.1.0/24"',
    'out-of-cluster: ip6 saddr fd00:10:244:1::/64 ip6 daddr != @kept6 ip6 daddr != @nodes6 counter masquerade fully-random comment "out of the cluster from fd00:10:244:1::/64"',
    'untracked-prerouting: udp dport 8475 notrack comment "carries other packets"',
    'untracked-output: udp dport 8475 notrack comment "carries other packets"',
  ]);
  expect(wayOutRules({ ...wanted, masquerade: false, tunnelPorts: [] })).toEqual([]);
});

const prefix = tuple(uint8Array({ minLength: 4, maxLength: 4 }), integer({ min: 4, max: 32 })).map(([bytes, length]) => cidrOf(ipFrom(bytes.map((byte) => byte & 0xc3)), length));

test("of prefixes that lie in one another only the outermost are left, and nothing is lost", () => {
  expect(outermost(["10.1.0.0/24", "10.0.0.0/8", "10.1.0.0/24", "10.9.0.0/16", "11.0.0.0/8"].map(parseCidr)).map(String)).toEqual(["10.0.0.0/8", "11.0.0.0/8"]);
  assert(property(array(prefix, { maxLength: 20 }), (prefixes) => {
    const left = outermost(prefixes);
    for (const one of prefixes) expect(left.some((outer) => contains(outer, one))).toBe(true);
    for (const [at, one] of left.entries()) for (const other of left.slice(at + 1)) expect(overlaps(one, other)).toBe(false);
  }));
});
