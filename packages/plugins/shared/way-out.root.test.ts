/** The way out on a real kernel: what `nft` lists, that a node more is an element more, and that nobody else's rules go with ours. */
import { expect } from "bun:test";
import { parseCidr, parseIp, type Netns } from "@vethwork/linux";
import { newsOf } from "@vethwork/linux/testing/news.ts";
import { kernelTest, outputIn } from "@vethwork/linux/testing/room.ts";
import { deleteRules, ensureRules } from "./table.ts";
import { createWayOut, type WayOut } from "./way-out.ts";

const wanted = (count: number, over: Partial<WayOut> = {}): WayOut => {
  const at = Array.from({ length: count }, (_, number) => number);
  return {
    masquerade: true, ownSubnets: [parseCidr("10.0.0.0/24")], tunnelPorts: [8475],
    kept: at.map((number) => parseCidr(`10.${number >> 8}.${number & 255}.0/24`)), nodes: at.map((number) => parseIp(`172.16.${number >> 8}.${number & 255}`)), ...over,
  };
};
const ruleset = (netns: Netns): string => outputIn(netns, "nft", "-s", "list", "ruleset");
const MESSAGES = { element: 10 * 256 + 12, generation: 10 * 256 + 15 } as const; // NFT_MSG_NEWSETELEM, NFT_MSG_NEWGEN

kernelTest("what was asked for is what nft lists, and asked for again nothing is written", (here) => {
  const wayOut = createWayOut(here);
  expect(wayOut.ensure(wanted(3, { kept: [parseCidr("10.0.0.0/16"), parseCidr("10.0.9.0/24"), parseCidr("203.0.113.7/32"), parseCidr("fd00::/48")] })).length).toBeGreaterThan(3);
  const lines = ruleset(here).split("\n").map((line) => line.trim());
  expect(lines).toContain('ip saddr 10.0.0.0/24 ip daddr != @kept4 ip daddr != @nodes4 counter masquerade fully-random comment "out of the cluster from 10.0.0.0/24"');
  expect(lines.filter((line) => line.includes("notrack"))).toEqual(Array(2).fill('udp dport 8475 notrack comment "carries other packets"'));
  expect(ruleset(here)).toMatch(/set kept4 \{[^}]*elements = \{ 10\.0\.0\.0\/16, 203\.0\.113\.7,\s+224\.0\.0\.0\/4 \}/);
  expect(ruleset(here)).toMatch(/set kept6 \{[^}]*elements = \{ fd00::\/48,\s+ff00::\/8 \}/);
  const again = wanted(3, { kept: [parseCidr("10.0.0.0/16"), parseCidr("203.0.113.7/32"), parseCidr("fd00::/48")] });
  expect(newsOf(here, () => expect([wayOut.ensure(again), createWayOut(here).ensure(again)]).toEqual([[], []]))).toEqual([]);
});

kernelTest("one node more among a thousand is two elements, and so is one less", (here) => {
  const wayOut = createWayOut(here);
  wayOut.ensure(wanted(1000));
  const told = (work: () => string[], lines: string[]): void =>
    expect(newsOf(here, () => expect(work()).toEqual(lines)).filter((type) => type !== MESSAGES.generation).length).toBeLessThanOrEqual(3); // an interval may be told by its two ends
  told(() => wayOut.ensure(wanted(1001)), ["add 10.3.232.0/24 to nft set kept4", "add 172.16.3.232 to nft set nodes4"]);
  told(() => wayOut.ensure(wanted(1000)), ["delete 10.3.232.0/24 from nft set kept4", "delete 172.16.3.232 from nft set nodes4"]);
});

kernelTest("what is switched off goes, and what others have in the table stays", (here) => {
  const network = { name: "mynet", networks: [parseCidr("10.244.0.0/16")], masquerade: true, sourceCheck: true };
  ensureRules(here, network);
  const alone = ruleset(here);
  const wayOut = createWayOut(here);
  wayOut.ensure(wanted(2));
  wayOut.ensure(wanted(2, { masquerade: false, tunnelPorts: [] }));
  expect(ruleset(here)).not.toMatch(/out-of-cluster|untracked/);
  wayOut.ensure(wanted(2));
  deleteRules(here, "mynet");
  expect(ruleset(here)).toMatch(/chain out-of-cluster/);
  ensureRules(here, network);
  expect(wayOut.delete()).toEqual([
    "delete nft chain out-of-cluster", "delete nft chain untracked-prerouting", "delete nft chain untracked-output", "delete nft set kept4", "delete nft set kept6", "flush nft set nodes4",
  ]);
  expect(ruleset(here)).toBe(alone);
  deleteRules(here, "mynet");
  expect([ruleset(here), wayOut.delete()]).toEqual(["", []]);
});
