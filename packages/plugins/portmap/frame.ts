/**
 * The rules that every host port shares: `table inet vethwork-hostports`, one for the node. Which ports there are stands in
 * maps and sets alone (./nftables.ts), so a pod's ADD writes elements and no rule.
 *
 *     prerouting, output ── to an address of this machine? ──► dnat4, dnat6
 *     dnat4    ip saddr . ip daddr . meta l4proto . th dport @hostip-masquerade4   its answer would get lost: mark it
 *              dnat ip to ip daddr . meta l4proto . th dport map @hostip-hostports4
 *              ip saddr . meta l4proto . th dport @masquerade4                     (the same for all addresses)
 *              dnat ip to meta l4proto . th dport map @hostports4
 *     postrouting   marked, or from 127.0.0.1 to a pod: masquerade
 *     guard         127.0.0.0/8 from outside: drop; its own story is in ./localhost.ts
 *
 * A port of one address comes before the same port of all. A network with conditions, or with a mark of its own, has these
 * chains, maps and sets once more under names that end with its own, and they run first: its conditions are nobody else's.
 *
 * The reference's table, `cni_hostport`, is not ours to use: its ADD flushes the chains that lead to the ports and fills
 * them with the conditions of the network that came last.
 */
import { parseCidr, parseIp, sameRule, words, type Chain, type Change, type Family, type Nft, type NftSet, type Rule, type Table } from "@vethwork/linux";
import { digestOf } from "../shared/attachment.ts";
import type { Alternative } from "./conditions.ts";

export const TABLE: Table = { family: "inet", name: "vethwork-hostports" };
export const isOurs = ({ family, name }: Table): boolean => family === TABLE.family && name === TABLE.name;
const DSTNAT = -100; // as the reference's, kube-proxy's and iptables' PREROUTING
const SRCNAT = 100;
const FAMILIES = [4, 6] as const;
export const LOOPBACK = parseCidr("127.0.0.0/8");

/** Whose rules they are: everybody's, or one network's. */
export interface Scope {
  /** "" for everybody's, "-mynet" for a network's own. */
  suffix: string;
  /** By family: what must hold of a packet, each alternative a rule. */
  conditions: Readonly<Record<Family, readonly Alternative[]>>;
  /** The bit of a packet's mark that says that it is to be masqueraded. */
  markBit: number;
}

/** What names of a network's own end with. */
export const suffixOf = (network: string): string => `-${network.length <= 64 ? network : digestOf(network)}`;

const addressType = (family: Family) => (family === 4 ? "ipv4_addr" : "ipv6_addr");

/** What holds a scope's ports of a family: of all the node's addresses, and of single ones. */
export interface Holders {
  ports: NftSet;
  hostIpPorts: NftSet;
  masquerade: NftSet;
  hostIpMasquerade: NftSet;
}

export function holdersOf(suffix: string, family: Family): Holders {
  const address = addressType(family);
  const of = (name: string, rest: Omit<NftSet, "table" | "name">): NftSet => ({ table: TABLE, name: `${name}${family}${suffix}`, ...rest });
  const value = [address, "inet_service"] as const;
  return {
    ports: of("hostports", { key: ["inet_proto", "inet_service"], value }),
    hostIpPorts: of("hostip-hostports", { key: [address, "inet_proto", "inet_service"], value }),
    masquerade: of("masquerade", { key: [address, "inet_proto", "inet_service"], interval: true }),
    hostIpMasquerade: of("hostip-masquerade", { key: [address, address, "inet_proto", "inet_service"], interval: true }),
  };
}

function chainsOf(suffix: string) {
  const named = (name: string, base?: Chain["base"]): Chain => ({ table: TABLE, name: `${name}${suffix}`, ...(base && { base }) });
  const priority = suffix === "" ? DSTNAT : DSTNAT - 1;
  return {
    prerouting: named("prerouting", { type: "nat", hook: "prerouting", priority }),
    output: named("output", { type: "nat", hook: "output", priority }),
    postrouting: named("postrouting", { type: "nat", hook: "postrouting", priority: SRCNAT }),
    dnat: { 4: named("dnat4"), 6: named("dnat6") },
  };
}

function rulesOf({ suffix, conditions, markBit }: Scope): Rule[] {
  const { prerouting, output, postrouting, dnat } = chainsOf(suffix);
  const bit = 2 ** markBit;
  const entries = FAMILIES.flatMap((family) => conditions[family].map((condition) => entryWords(family, condition, dnat[family])));
  return [
    ...[prerouting, output].flatMap((chain) => entries.map((some): Rule => ({ chain, words: some }))),
    ...FAMILIES.flatMap((family) => dnatWords(holdersOf(suffix, family), family, bit).map((some): Rule => ({ chain: dnat[family], words: some }))),
    { chain: postrouting, words: [words.mark.has(bit), words.masqueradeInOrder] },
    { chain: postrouting, words: [words.ctStatus("dnat"), words.ip.saddr.eq(LOOPBACK), words.oifname.ne("lo"), words.masqueradeInOrder] },
  ];
}

/** ::1 is left out: the kernel routes it nowhere else, and who tries it first is better refused at once, and goes on to 127.0.0.1. */
function entryWords(family: Family, condition: Alternative, to: Chain): words.Word[] {
  const own = [words.meta.nfproto.eq(family === 4 ? "ipv4" : "ipv6"), words.fib.daddr.eq("local")];
  return [...own, ...(family === 6 ? [words.ip6.daddr.ne(parseIp("::1"))] : []), ...condition, words.jump(to)];
}

function dnatWords({ ports, hostIpPorts, masquerade, hostIpMasquerade }: Holders, family: Family, bit: number): words.Word[][] {
  const { saddr, daddr } = words.ipOf(family);
  const port = words.concat(words.meta.l4proto, words.th.dport);
  const hostIpPort = words.concat(daddr, port);
  return [
    [words.concat(saddr, hostIpPort).in(hostIpMasquerade), words.mark.set(bit)],
    [words.dnatBy(hostIpPort, hostIpPorts)],
    [words.concat(saddr, port).in(masquerade), words.mark.set(bit)],
    [words.dnatBy(port, ports)],
  ];
}

/** Rules, and what has to be there before them. */
export interface Layout {
  sets: readonly NftSet[];
  chains: readonly Chain[];
  rules: readonly Rule[];
}

/** The scope's rules, with all that they refer to. */
export function frameOf(scope: Scope): Layout {
  const { prerouting, output, postrouting, dnat } = chainsOf(scope.suffix);
  const sets = FAMILIES.flatMap((family) => Object.values(holdersOf(scope.suffix, family)));
  return { sets, chains: [dnat[4], dnat[6], prerouting, output, postrouting], rules: rulesOf(scope) };
}

/** Makes the chains' rules these and no others. Nothing is written where they are. */
export function ensureLayouts(change: Change, nft: Nft, layouts: readonly Layout[]): void {
  const there = nft.rulesOf(TABLE);
  for (const { sets, chains, rules } of layouts) {
    const faulty = faultyChains(there, rules);
    if (faulty.length === 0) continue;
    change.ensureTable(TABLE);
    for (const set of sets) change.ensureSet(set);
    for (const chain of chains) change.ensureChain(chain);
    for (const chain of chains.filter(({ name }) => faulty.includes(name))) change.flushChain(chain);
    for (const rule of rules.filter((one) => faulty.includes(one.chain.name))) change.addRule(rule);
  }
}

/** What of the rules is not as it should be, in words. */
export const layoutFaults = (nft: Nft, { rules }: Layout): string[] =>
  faultyChains(nft.rulesOf(TABLE), rules).map((name) => `chain "${name}" of table "${TABLE.name}" is not as it should be`);

/** Chains whose rules are not these, in this order. */
function faultyChains(there: ReturnType<Nft["rulesOf"]>, wanted: readonly Rule[]): string[] {
  const names = [...new Set(wanted.map(({ chain }) => chain.name))];
  return names.filter((name) => {
    const [have, want] = [there.filter((rule) => rule.chain === name), wanted.filter(({ chain }) => chain.name === name)];
    return have.length !== want.length || want.some((rule, at) => have[at] === undefined || !sameRule(have[at], rule));
  });
}

/** The suffixes of the scopes that there are. */
export function suffixesIn(nft: Nft): string[] {
  const { name } = chainsOf("").prerouting;
  return nft.chains(TABLE.family).filter(({ table, name: one }) => table.name === TABLE.name && one.startsWith(name)).map((chain) => chain.name.slice(name.length));
}

/** Deletes a network's own chains, maps and sets. */
export function deleteScope(change: Change, suffix: string): void {
  const { prerouting, output, postrouting, dnat } = chainsOf(suffix);
  for (const chain of [prerouting, output, postrouting, dnat[4], dnat[6]]) change.deleteChain(chain);
  for (const family of FAMILIES) for (const set of Object.values(holdersOf(suffix, family))) change.deleteSet(set);
}
