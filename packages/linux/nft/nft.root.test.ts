/** nftables on a real kernel: what was written is what `nft` lists and what is read back. */
import { expect } from "bun:test";
import { parseCidr, parseIp, plus, words, type Netns } from "../index.ts";
import { kernelTest, outputIn } from "../testing/room.ts";
import { sameElement } from "./elements.ts";
import type { Chain, Element, NftSet, Rule, Table } from "./objects.ts";
import { commentOf, sameRule, textOf } from "./rule.ts";

const table: Table = { family: "inet", name: "t" };
const chain: Chain = { table, name: "c", base: { type: "filter", hook: "forward", priority: 10, policy: "drop" } };
const side: Chain = { table, name: "side" };
const hosts: NftSet = { table, name: "hosts", key: "ipv4_addr" };
const nets: NftSet = { table, name: "nets", key: "ipv4_addr", interval: true };
const where: NftSet = { table, name: "where", key: "ipv4_addr", value: "verdict" };
const between: NftSet = { table, name: "between", key: ["ifname", "ifname"], value: "verdict" };
const ruleset = (netns: Netns): string => outputIn(netns, "nft", "-s", "list", "ruleset");
const lines = (netns: Netns): string[] => ruleset(netns).split("\n").map((line) => line.trim());

const { ip, ip6, tcp, udp, iifname, oifname } = words;
const everyWord: readonly (readonly words.Word[])[] = [
  [ip.saddr.eq(parseCidr("10.0.0.0/8")), words.counter, words.accept],
  [ip.saddr.eq(parseIp("10.0.0.1")), ip.daddr.ne(parseCidr("10.9.0.0/16")), words.drop],
  [ip6.daddr.eq(parseCidr("fd00::/8")), ip6.saddr.ne(parseIp("fd00::1")), words.goBack],
  [tcp.dport.eq(443), words.accept],
  [udp.sport.ne(53), words.drop],
  [iifname.eq("eth0"), oifname.ne("lo"), words.accept],
  [words.ctState("established", "related"), words.accept],
  [ip.saddr.in(hosts), ip.daddr.notIn(nets), words.jump(side)],
  [ip.daddr.vmap(where)],
  [words.mark.has(0x1000), words.mark.set(0x8000_0001)],
  [words.mark.clear(0x1000)],
  [words.devicesVmap(between)],
  [words.goto(side)],
];
const rules: Rule[] = everyWord.map((some, at) => ({ chain, words: some, comment: `rule ${at}` }));

function fill(netns: Netns): void {
  netns.nft.transaction((change) => {
    change.ensureTable(table);
    for (const set of [hosts, nets, where, between]) change.ensureSet(set);
    for (const one of [chain, side]) change.ensureChain(one);
    change.ensureElements(hosts, [{ key: parseIp("10.0.0.7") }]);
    change.ensureElements(nets, [{ key: parseCidr("10.1.0.0/16") }, { key: parseCidr("10.3.0.0/24") }]);
    change.ensureElements(where, [{ key: parseIp("10.0.0.9"), value: words.jump(side) }, { key: parseIp("10.0.0.10"), value: words.drop }]);
    for (const rule of rules) change.addRule(rule);
  });
}

kernelTest("a rule of every word is listed by nft as its own text says, and read back the same", (here) => {
  fill(here);
  const listed = lines(here);
  for (const rule of rules) expect(listed).toContain(textOf(rule));
  expect(listed).toContain("type filter hook forward priority filter + 10; policy drop;");
  const back = here.nft.rules(chain);
  expect(back.map((rule, at) => sameRule(rule, rules[at] ?? { chain, words: [] }))).toEqual(rules.map(() => true));
  expect(back.map(commentOf)).toEqual(rules.map(({ comment }) => comment ?? ""));
  expect(back.some((rule) => sameRule(rule, { chain, words: [words.drop] }))).toBe(false);
});

kernelTest("sets, intervals and maps hold what was put in, lose what was taken out, and are emptied", (here) => {
  fill(here);
  expect(ruleset(here)).toContain("elements = { 10.1.0.0/16, 10.3.0.0/24 }");
  expect(ruleset(here)).toContain("elements = { 10.0.0.9 : jump side, 10.0.0.10 : drop }");
  here.nft.transaction((change) => {
    change.ensureElements(hosts, [{ key: parseIp("10.0.0.7") }, { key: parseIp("10.0.0.8") }]);
    change.deleteElements(where, [{ key: parseIp("10.0.0.9") }]);
    change.flushSet(nets);
  });
  expect(here.nft.elements(hosts).map(String).sort()).toEqual(["10,0,0,7", "10,0,0,8"]);
  expect(ruleset(here)).toContain("elements = { 10.0.0.10 : drop }");
  expect(here.nft.elements(nets)).toEqual([]);
  expect(here.nft.elements({ ...hosts, name: "nobody" })).toEqual([]);
});

kernelTest("an element says for whom it is, to nft and to who reads it back, and its verdict is known", (here) => {
  fill(here);
  const pair: Element = { key: ["eth0", "cni0"], value: words.drop, comment: "nobody" };
  here.nft.transaction((change) => {
    change.ensureElements(hosts, [{ key: parseIp("10.0.0.8"), comment: "of pod1" }]);
    change.ensureElements(between, [pair]);
  });
  expect(ruleset(here)).toContain('10.0.0.8 comment "of pod1"');
  expect(ruleset(here)).toContain('"eth0" . "cni0" comment "nobody" : drop');
  expect(here.nft.entries(hosts).map(({ comment }) => comment).sort()).toEqual(["", "of pod1"]);
  const [entry] = here.nft.entries(between);
  const others: Element[] = [pair, { ...pair, key: ["eth0", "eth0"] }, { ...pair, value: words.accept }, { ...pair, comment: "somebody" }];
  expect(others.map((one) => entry !== undefined && sameElement(entry, between, one))).toEqual([true, false, false, false]);
});

kernelTest("names of devices and marks are listed by nft as they are", (here) => {
  const devices: NftSet = { table, name: "devices", key: "ifname" };
  const marks: NftSet = { table, name: "marks", key: "mark", value: "mark" };
  here.nft.transaction((change) => {
    change.ensureTable(table);
    for (const set of [devices, marks]) change.ensureSet(set);
    change.ensureElements(devices, [{ key: "cni0" }]);
    change.ensureElements(marks, [{ key: 0x1000, value: 0x2000 }]);
  });
  expect(lines(here)).toContain('elements = { "cni0" }');
  expect(lines(here)).toContain("elements = { 0x00001000 : 0x00002000 }");
});

kernelTest("a transaction is done as a whole or not at all, and the error names the operation", (here) => {
  const wrong = (): void => here.nft.transaction((change) => {
    change.ensureTable(table);
    change.ensureChain(chain);
    change.addRule({ chain: { table, name: "nobody" }, words: [words.drop] });
  });
  expect(wrong).toThrow(/^Cannot add rule .*"nobody".*: ENOENT/);
  expect(here.nft.tables()).toEqual([]);
});

kernelTest("rules are put at the head and at the end, and deleted by handle", (here) => {
  fill(here);
  const [first] = here.nft.rules(chain);
  here.nft.transaction((change) => {
    change.insertRule({ chain, words: [words.accept], comment: "head" });
    if (first) change.deleteRule(chain, first.handle);
  });
  expect(here.nft.rules(chain).map(commentOf)).toEqual(["head", ...rules.slice(1).map(({ comment }) => comment ?? "")]);
  here.nft.transaction((change) => change.flushChain(chain));
  expect(here.nft.rules(chain)).toEqual([]);
});

kernelTest("tables and chains are listed with their hooks, found or undefined, and deleted", (here) => {
  fill(here);
  expect(here.nft.tables()).toEqual([table]);
  expect(here.nft.chains("inet")).toEqual([chain, side]);
  expect(here.nft.findChain(side)).toEqual(side);
  expect(here.nft.findChain({ table, name: "nobody" })).toBeUndefined();
  here.nft.transaction((change) => change.deleteTable(table));
  expect(ruleset(here)).toBe("");
});

kernelTest("who decides on what another has changed meanwhile decides again, and the generation counts every change", (here) => {
  fill(here);
  const before = here.nft.generation();
  let decisions = 0;
  const generation = here.nft.update((change, nft) => {
    decisions++;
    const there = nft.rules(side).length;
    if (decisions === 1) outputIn(here, "nft", "add", "rule", "inet", "t", "side", "accept");
    change.addRule({ chain: side, words: [words.drop], comment: `after ${there}` });
  });
  expect(decisions).toBe(2);
  expect(here.nft.rules(side).map(commentOf)).toEqual(["", "after 1"]);
  expect([generation, here.nft.generation()]).toEqual([before + 2, before + 2]);
  expect(here.nft.update(() => {})).toBe(before + 2);
});

kernelTest("ten thousand elements go in one transaction, and come back", (here) => {
  fill(here);
  const all = Array.from({ length: 10_000 }, (_, at) => ({ key: plus(parseIp("10.128.0.0"), BigInt(at)) }));
  here.nft.transaction((change) => change.ensureElements(hosts, all));
  expect(here.nft.elements(hosts)).toHaveLength(10_001);
});

kernelTest("a value that does not fit is refused before it is sent", (here) => {
  const adding = (element: Element) => (): void => here.nft.transaction((change) => change.ensureElements(hosts, [element]));
  expect(adding({ key: parseCidr("10.0.0.0/8") })).toThrow('Cannot put 10.0.0.0/8 into set "hosts": it holds no prefixes');
  expect(adding({ key: parseIp("fd00::1") })).toThrow(RangeError);
  expect(adding({ key: [parseIp("10.0.0.1"), 80] })).toThrow(RangeError);
  expect(here.nft.tables()).toEqual([]);
});
