/** nftables on a real kernel: what was written is what `nft` lists and what is read back. */
import { expect } from "bun:test";
import { openSocket, parseCidr, parseIp, plus, words, type Netns } from "../index.ts";
import { errnoOf, kernelTest, layCable, outputIn } from "../testing/room.ts";
import { sameElement } from "./elements.ts";
import type { Chain, Element, KernelElement, Key, NftSet, Rule, Table } from "./objects.ts";
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

/** What the set holds, as nft would say it. */
const told = (netns: Netns, set: NftSet): string[] => netns.nft.elements(set).map(saidOf).toSorted();
const saidOf = ({ key, value, comment, note, packets }: KernelElement): string =>
  [key.join(" . "), value && ` : ${valueText(value)}`, comment && ` (${comment})`, note && ` [${note}]`, packets !== undefined && ` ${packets} packets`].filter(Boolean).join("");
const found = (netns: Netns, set: NftSet, key: Key): string | undefined => {
  const element = netns.nft.findElement(set, key);
  return element && saidOf(element);
};
const valueText = (value: NonNullable<Element["value"]>): string =>
  Array.isArray(value) ? value.join(" . ") : typeof value === "object" && "text" in value ? value.text : String(value);

const { ip, ip6, tcp, udp, sctp, th, iifname, oifname, meta, fib, concat } = words;
const places: NftSet = { table, name: "places", key: ["ipv4_addr", "inet_proto", "inet_service"], interval: true };
const ports4: NftSet = { table, name: "ports4", key: ["inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"] };
const ports6: NftSet = { table, name: "ports6", key: ["ipv6_addr", "inet_proto", "inet_service"], value: ["ipv6_addr", "inet_service"] };
const alone4: NftSet = { table, name: "alone4", key: "inet_service", value: "ipv4_addr" };
const verdicts: NftSet = { table, name: "verdicts", key: ["ipv4_addr", "inet_proto", "inet_service"], value: "verdict" };
const devices: NftSet = { table, name: "devices", key: "ifname" };
const counted: NftSet = { table, name: "counted", key: ["inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"], counter: true };
const picked: NftSet = { table, name: "picked", key: ["ipv4_addr", "mark"], value: ["ipv4_addr", "inet_service"], counter: true };
const clients: NftSet = { table, name: "clients", key: ["ipv4_addr", "ipv4_addr", "inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"], timeout: true, size: 1000 };
const clients6: NftSet = { table, name: "clients6", key: ["ipv6_addr", "ipv6_addr", "inet_proto", "inet_service"], value: ["ipv6_addr", "inet_service"], timeout: true, size: 1000 };
const passing: NftSet = { table, name: "passing", key: ["inet_proto", "inet_service"], timeout: true };
const sets = [hosts, nets, where, between, places, ports4, ports6, alone4, verdicts, devices, counted, picked, clients, clients6, passing];

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
  [concat(iifname, oifname).vmap(between)],
  [words.goto(side)],
  [concat(ip.saddr, meta.l4proto, th.dport).in(places), words.mark.set(0x2000)],
  [concat(ip.daddr, meta.l4proto, th.dport).notIn(places), words.mark.become(0x10)],
  [concat(ip.daddr, meta.l4proto, th.dport).vmap(verdicts)],
  [words.mark.eq(0x10), words.accept], [words.mark.ne(0x10), words.accept],
  [words.mark.eq({ value: 0x2000, mask: 0xff00 }), words.accept], [words.mark.ne({ value: 0x2000, mask: 0xff00 }), words.drop],
  [meta.nfproto.eq("ipv4"), fib.daddr.eq("local"), words.jump(side)], [meta.nfproto.ne("ipv6"), words.accept],
  [meta.l4proto.eq("sctp"), words.accept], [meta.l4proto.ne("tcp"), words.accept],
  [sctp.dport.eq(9), sctp.sport.ne(7), words.accept],
  [th.dport.eq(53), words.accept],
  [words.iifgroup.eq(118), words.noWayBack, words.drop], [words.iifgroup.ne(7), words.accept],
  [fib.daddr.eq("local"), words.accept], [fib.saddr.ne("unicast"), words.drop],
  [words.ctStatus("dnat"), words.accept], [words.ctStatus("snat", "seen-reply"), words.accept],
  [words.counter, words.reject],
  ...([[4, clients, ip], [6, clients6, ip6]] as const).map(([family, map, { daddr }]) => {
    const first = words.ctOriginal(family);
    return [words.remember({ map, key: concat(first.saddr, first.daddr, meta.l4proto, first.dport), seconds: 97_261, value: concat(daddr, th.dport) })];
  }),
  [concat(words.ctOriginal(4).daddr, meta.l4proto, words.ctOriginal(4).dport).vmap(verdicts)],
  [iifname.eq("veth*"), words.accept], [iifname.in(devices), ip.daddr.eq(parseCidr("127.0.0.0/8")), words.drop],
];
const rules: Rule[] = everyWord.map((some, at) => ({ chain, words: some, comment: `rule ${at}` }));

/** Words that translate: they want a chain of their own kind. */
const nat: Chain = { table, name: "nat", base: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" } };
const raw: Chain = { table, name: "raw", base: { type: "filter", hook: "prerouting", priority: -300, policy: "accept" } };
const natRules: Rule[] = [
  [words.dnat({ ip: parseIp("10.0.0.1") })], [tcp.dport.eq(7), words.dnat({ ip: parseIp("10.0.0.1"), port: 80 })],
  [words.dnat({ ip: parseIp("fd00::1") })], [udp.dport.eq(7), words.dnat({ ip: parseIp("fd00::1"), port: 80 })],
  [words.dnatBy(concat(meta.l4proto, th.dport), ports4)], [words.dnatBy(concat(ip6.daddr, meta.l4proto, th.dport), ports6)], [words.dnatBy(tcp.dport, alone4)],
  [words.dnatBy(concat(meta.l4proto, th.dport), counted)],
  [words.dnatBy(concat(ip.daddr, words.random(3)), picked)], [words.dnatBy(concat(ip.daddr, words.random(2, 7)), picked)],
  [tcp.dport.eq(8), words.redirect(8080)],
].map((some) => ({ chain: nat, words: some }));
const rawRules: Rule[] = [{ chain: raw, words: [udp.dport.eq(53), words.notrack] }];

function fill(netns: Netns): void {
  netns.nft.transaction((change) => {
    change.ensureTable(table);
    for (const set of sets) change.ensureSet(set);
    for (const one of [chain, side, nat, raw]) change.ensureChain(one);
    change.ensureElements(hosts, [{ key: parseIp("10.0.0.7") }]);
    change.ensureElements(nets, [{ key: parseCidr("10.1.0.0/16") }, { key: parseCidr("10.3.0.0/24") }]);
    change.ensureElements(where, [{ key: parseIp("10.0.0.9"), value: words.jump(side) }, { key: parseIp("10.0.0.10"), value: words.drop }]);
    for (const rule of [...rules, ...natRules, ...rawRules]) change.addRule(rule);
  });
}

kernelTest("a rule of every word is listed by nft as its own text says, and read back the same", (here) => {
  fill(here);
  // nft writes the family out where it has been asked for in front of a key with two fields of it.
  const listed = lines(here).flatMap((line) => [line, line.replace(/^meta nfproto ipv[46] /, "")]);
  for (const rule of [...rules, ...natRules, ...rawRules]) expect(listed).toContain(textOf(rule));
  expect(listed).toContain("type filter hook forward priority filter + 10; policy drop;");
  const back = here.nft.rules(chain);
  expect(back.map((rule, at) => sameRule(rule, rules[at] ?? { chain, words: [] }))).toEqual(rules.map(() => true));
  expect(back.map(commentOf)).toEqual(rules.map(({ comment }) => comment ?? ""));
  expect(here.nft.rules(nat).map((rule, at) => sameRule(rule, natRules[at] ?? { chain, words: [] }))).toEqual(natRules.map(() => true));
  const all = here.nft.rulesOf(table);
  expect([chain, nat, raw, side].map(({ name }) => all.filter((rule) => rule.chain === name).length)).toEqual([rules.length, natRules.length, rawRules.length, 0]);
  expect(back.some((rule) => sameRule(rule, { chain, words: [words.drop] }))).toBe(false);
});

kernelTest("a rule that nft wrote is the same as ours, also where it reads a prefix otherwise", (here) => {
  outputIn(here, "nft", `add table inet t; add chain inet t side; ${rules.slice(0, 7).map((rule) => `add rule inet t side ${textOf(rule)}`).join("; ")}`);
  const back = here.nft.rules(side);
  expect(back.map((rule, at) => sameRule(rule, rules[at] ?? { chain, words: [] }))).toEqual(back.map(() => true));
  const others = [ip.saddr.eq(parseCidr("10.0.0.0/16")), ip.saddr.eq(parseCidr("11.0.0.0/8")), ip.daddr.eq(parseCidr("10.0.0.0/8"))];
  expect(others.map((word) => back.some((rule) => sameRule(rule, { chain, words: [word, words.counter, words.accept], comment: "rule 0" })))).toEqual([false, false, false]);
});

kernelTest("comments of tables and chains are shown by nft", (here) => {
  const named: Table = { family: "inet", name: "named", comment: "whose it is" };
  here.nft.transaction((change) => {
    change.ensureTable(named);
    change.ensureChain({ table: named, name: "c", comment: "what it does" });
  });
  expect(lines(here)).toEqual(expect.arrayContaining(['comment "whose it is"', 'comment "what it does"']));
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
  expect(told(here, hosts)).toEqual(["10.0.0.7", "10.0.0.8"]);
  expect(ruleset(here)).toContain("elements = { 10.0.0.10 : drop }");
  expect(here.nft.elements(nets)).toEqual([]);
  expect(here.nft.elements({ ...hosts, name: "nobody" })).toEqual([]);
});

kernelTest("elements are told as they were put in: concatenations, prefixes, values, verdicts, comments and notes", (here) => {
  fill(here);
  const elements: readonly (readonly [NftSet, readonly Element[], readonly string[]])[] = [
    [hosts, [{ key: parseIp("10.0.0.6"), comment: "whose" }], ["10.0.0.6 (whose)", "10.0.0.7"]],
    [nets, [{ key: parseCidr("10.2.0.0/16"), comment: "next to the first" }, { key: parseCidr("255.255.255.0/24") }], ["10.1.0.0/16", "10.2.0.0/16 (next to the first)", "10.3.0.0/24", "255.255.255.0/24"]],
    [places, [{ key: [parseCidr("10.1.2.0/24"), "tcp", 8080], comment: "mine" }, { key: [parseCidr("0.0.0.0/0"), "udp", 53] }, { key: [parseIp("10.9.0.1"), 99, 1] }], ["0.0.0.0/0 . udp . 53", "10.1.2.0/24 . tcp . 8080 (mine)", "10.9.0.1 . 99 . 1"]],
    [ports4, [{ key: ["tcp", 8080], value: [parseIp("10.1.2.5"), 80], comment: "mine", note: "/run/netns/pod1" }], ["tcp . 8080 : 10.1.2.5 . 80 (mine) [/run/netns/pod1]"]],
    [ports6, [{ key: [parseIp("fd00::1"), "sctp", 8080], value: [parseIp("fd00::5"), 80] }], ["fd00::1 . sctp . 8080 : fd00::5 . 80"]],
    [alone4, [{ key: 80, value: parseIp("10.0.0.1") }], ["80 : 10.0.0.1"]],
    [verdicts, [{ key: [parseIp("10.0.0.1"), "tcp", 80], value: words.goto(side) }, { key: [parseIp("10.0.0.2"), "tcp", 80], value: words.drop }], ["10.0.0.1 . tcp . 80 : goto side", "10.0.0.2 . tcp . 80 : drop"]],
    [picked, [{ key: [parseIp("10.0.0.1"), 2], value: [parseIp("10.1.2.5"), 80], packets: 7n, bytes: 420n }], ["10.0.0.1 . 2 : 10.1.2.5 . 80 7 packets"]],
    [passing, [{ key: ["udp", 53], timeoutSeconds: 3600 }], ["udp . 53"]],
    [devices, [{ key: "cni0", comment: "ours" }, { key: "fifteenletters0" }], ["cni0 (ours)", "fifteenletters0"]],
  ];
  for (const [set, some] of elements) here.nft.transaction((change) => change.ensureElements(set, some));
  for (const [set, , wanted] of elements) expect({ set: set.name, elements: told(here, set) }).toEqual({ set: set.name, elements: [...wanted] });
  const listed = lines(here).join("\n");
  for (const text of ["10.1.2.0/24 . tcp . 8080 comment \"mine\"", "tcp . 8080 comment \"mine\" : 10.1.2.5 . 80 }", "fd00::1 . sctp . 8080 : fd00::5 . 80", "10.0.0.1 . tcp . 80 : goto side", "\"cni0\" comment \"ours\"", "10.0.0.1 . 0x00000002 counter : 10.1.2.5 . 80", "udp . 53 timeout 1h"]) {
    expect(listed).toContain(text);
  }
  expect(listed).not.toContain("/run/netns/pod1");
});

kernelTest("elements are found by what their comments begin with, among many in any number of messages", (here) => {
  fill(here);
  const all = Array.from({ length: 3_000 }, (_, at): Element & { key: readonly [string, number] } => ({ key: ["tcp", at + 1], value: [parseIp("10.1.2.5"), 80], comment: `owner ${at % 100}, ${at}` }));
  here.nft.transaction((change) => change.ensureElements(ports4, [...all, { key: ["udp", 1], value: [parseIp("10.1.2.5"), 80], comment: "no owner 7, " }, { key: ["udp", 2], value: [parseIp("10.1.2.5"), 80] }]));
  const { found, others } = here.nft.elementsOf(ports4, "owner 7, ");
  expect({ found: found.map(saidOf).toSorted(), others }).toEqual({ found: all.filter((_, at) => at % 100 === 7).map(({ key, comment }) => `${key.join(" . ")} : 10.1.2.5 . 80 (${comment})`).toSorted(), others: 2_972 });
  expect(here.nft.elementsOf(ports4, "owner 100")).toEqual({ found: [], others: 3_002 });
  expect(here.nft.elementsOf({ ...ports4, name: "nobody" }, "owner")).toEqual({ found: [], others: 0 });
});

kernelTest("one element is added, found and deleted by its key; the others are neither read nor written", (here) => {
  fill(here);
  const [mine, other] = [{ key: ["tcp", 8080], value: [parseIp("10.1.2.5"), 80], comment: "mine" }, { key: ["udp", 8080], value: [parseIp("10.1.2.6"), 80] }] as const;
  here.nft.transaction((change) => change.addElements(ports4, [mine, other]));
  expect(found(here, ports4, ["tcp", 8080])).toBe("tcp . 8080 : 10.1.2.5 . 80 (mine)");
  expect([found(here, ports4, ["tcp", 8081]), found(here, { ...ports4, name: "nobody" }, ["tcp", 8080])]).toEqual([undefined, undefined]);
  // add fails for a key that is there, whatever it leads to; nothing of the transaction is done.
  for (const value of [mine.value, other.value]) {
    expect(errnoOf(() => here.nft.transaction((change) => change.addElements(ports4, [{ key: ["tcp", 1], value: mine.value }, { ...mine, value }])))).toBe("EEXIST");
  }
  expect(told(here, ports4)).toEqual(["tcp . 8080 : 10.1.2.5 . 80 (mine)", "udp . 8080 : 10.1.2.6 . 80"]);
  here.nft.transaction((change) => change.ensureElements(ports4, [mine]));
  here.nft.transaction((change) => {
    change.deleteElements(ports4, [mine]);
    change.addElements(ports4, [{ ...mine, value: other.value }]);
  });
  expect(told(here, ports4)).toEqual(["tcp . 8080 : 10.1.2.6 . 80 (mine)", "udp . 8080 : 10.1.2.6 . 80"]);
  expect(errnoOf(() => here.nft.transaction((change) => change.deleteElements(ports4, [{ key: ["tcp", 7] }])))).toBe("ENOENT");
  const range = { key: [parseCidr("10.1.2.0/24"), "tcp", 8080] } as const;
  here.nft.transaction((change) => change.addElements(places, [range, { key: [parseCidr("10.1.2.0/24"), "tcp", 8081] }]));
  expect(found(here, places, range.key)).toBe("10.1.2.0/24 . tcp . 8080");
  here.nft.transaction((change) => change.deleteElements(places, [range]));
  expect(told(here, places)).toEqual(["10.1.2.0/24 . tcp . 8081"]);
});

kernelTest("a map says where a flow goes, by address and port, and counts the flows; who is not in it goes on to the next rule", (here, there) => {
  fill(here);
  layCable(here, there, [["10.0.0.1/24", "10.0.0.2/24"], ["fd00::1/64", "fd00::2/64"]]);
  const out: Chain = { table, name: "out", base: { type: "nat", hook: "output", priority: -100 } };
  here.nft.transaction((change) => {
    change.ensureChain(out);
    change.addRule({ chain: out, words: [words.dnatBy(concat(ip6.daddr, meta.l4proto, th.dport), ports6)] });
    change.addRule({ chain: out, words: [words.dnatBy(concat(meta.l4proto, th.dport), counted)] });
    change.ensureElements(counted, [{ key: ["udp", 53], value: [parseIp("10.0.0.2"), 5300], comment: "counts" }]);
    change.ensureElements(ports6, [{ key: [parseIp("fd00::9"), "udp", 53], value: [parseIp("fd00::2"), 5300] }]);
  });
  for (const [family, called, server] of [[4, "10.0.0.9", "10.0.0.2"], [6, "fd00::9", "fd00::2"]] as const) {
    using listener = openSocket(there, { kind: "udp", family });
    listener.bind(parseIp(server), 5300);
    using client = openSocket(here, { kind: "udp", family });
    client.connect({ ip: parseIp(called), port: 53 });
    client.send(Uint8Array.of(7));
    expect({ family, came: listener.wait("in", 5000) }).toEqual({ family, came: true });
    const { bytes, from } = listener.receive();
    listener.send(bytes, from);
    expect({ family, answered: client.wait("in", 5000) }).toEqual({ family, answered: true }); // by the address that was called
  }
  expect(told(here, counted)).toEqual(["udp . 53 : 10.0.0.2 . 5300 (counts) 1 packets"]);
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
  expect(told(here, hosts)).toEqual(["10.0.0.7", "10.0.0.8 (of pod1)"]);
  const [entry] = here.nft.elements(between);
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
  expect(here.nft.chains("inet")).toEqual([chain, side, nat, raw]);
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
