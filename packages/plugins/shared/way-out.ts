/**
 * The way out of a cluster, for a node whose agent knows all others: in `table inet vethwork`, beside what single networks have
 * there (./table.ts).
 *
 *     set kept4, kept6       prefixes towards which pods keep their address: all pods, what was asked for, multicast
 *     set nodes4, nodes6     nodes towards which they do, too
 *     chain out-of-cluster   from this node's pods to anywhere else: the node lends its address
 *     chains untracked-…     what carries other packets is no conversation: conntrack need not remember it
 *
 * A cluster of a thousand nodes is a thousand elements, and a node that comes or goes is one: sets are changed by what is
 * missing and what is too much, in one transaction with the rest. While the kernel's count of changes stands, nothing is read.
 */
import { lastOf, networkOf, sameRule, textOf as textOfRule, words, type Chain, type Change, type Cidr, type Family, type Ip, type Netns, type Nft, type NftSet, type Rule } from "@vethwork/linux";
import { RAW, SRCNAT, TABLE, deleteTableIfUnused, multicast, nodesSet, settleSet } from "./table.ts";

export interface WayOut {
  masquerade: boolean;
  /** Of this node's pods. */
  ownSubnets: readonly Cidr[];
  /** Prefixes towards which they keep their address. They may overlap. */
  kept: readonly Cidr[];
  /** Nodes towards which they do. */
  nodes: readonly Ip[];
  /** UDP ports of tunnels. */
  tunnelPorts: readonly number[];
}

const FAMILIES = [4, 6] as const;

const masqueradeChain: Chain = { table: TABLE, name: "out-of-cluster", base: { type: "nat", hook: "postrouting", priority: SRCNAT } };
const untrackedChains = (["prerouting", "output"] as const).map((hook): Chain => ({ table: TABLE, name: `untracked-${hook}`, base: { type: "filter", hook, priority: RAW } }));
const CHAINS = [masqueradeChain, ...untrackedChains];

const keptSet = (family: Family): NftSet => ({ table: TABLE, name: `kept${family}`, key: family === 4 ? "ipv4_addr" : "ipv6_addr", interval: true });

/** The rules; of a chain that has none nothing is wanted. */
export function wayOutRules({ masquerade, ownSubnets, tunnelPorts }: WayOut): Rule[] {
  const out = ownSubnets.filter(() => masquerade).map((subnet): Rule => {
    const { saddr, daddr } = words.ipOf(subnet.family);
    const elsewhere = [daddr.notIn(keptSet(subnet.family)), daddr.notIn(nodesSet(subnet.family))];
    return { chain: masqueradeChain, words: [saddr.eq(subnet), ...elsewhere, words.counter, words.masquerade], comment: `out of the cluster from ${subnet}` };
  });
  const untracked = tunnelPorts.flatMap((port) => untrackedChains.map((chain): Rule => ({ chain, words: [words.udp.dport.eq(port), words.notrack], comment: "carries other packets" })));
  return [...out, ...untracked];
}

/** What of the rules is missing, in words; nothing where all is well. */
export function wayOutFaults(host: Netns, wanted: WayOut): string[] {
  const rules = wayOutRules(wanted);
  const missing = rules.filter((rule) => !host.nft.rules(rule.chain).some((there) => sameRule(there, rule)));
  return missing.map((rule) => `nft rule "${textOfRule(rule)}" is missing`);
}

export interface WayOutKeeper {
  /** Makes it so; gives what was changed, in lines. */
  ensure(wanted: WayOut): string[];
  /** Takes all of it away, and the table with its last user. */
  delete(): string[];
}

export function createWayOut(host: Netns): WayOutKeeper {
  let settled = "";
  const textOf = (wanted: WayOut, generation: number): string =>
    `${generation} ${wanted.masquerade} ${[wanted.ownSubnets, wanted.kept, wanted.nodes, wanted.tunnelPorts].map((list) => list.join(" ")).join("; ")}`;
  return {
    ensure: (wanted) => {
      if (settled === textOf(wanted, host.nft.generation())) return [];
      let changes: string[] = [];
      const generation = host.nft.update((change, nft) => {
        changes = changeInto(change, nft, wanted);
      });
      settled = textOf(wanted, generation);
      return changes;
    },
    delete: () => {
      settled = "";
      let changes: string[] = [];
      host.nft.update((change, nft) => {
        const there = nft.chains("inet").filter(({ table, name }) => table.name === TABLE.name && CHAINS.some((chain) => chain.name === name));
        const isFilled = (set: NftSet): boolean => nft.elements(set).length > 0;
        const [own, nodes] = [FAMILIES.map(keptSet).filter(isFilled), FAMILIES.map(nodesSet).filter(isFilled)];
        changes = [...there, ...own].map((one) => `delete nft ${"key" in one ? "set" : "chain"} ${one.name}`).concat(nodes.map((set) => `flush nft set ${set.name}`));
        for (const chain of there) change.deleteChain(chain);
        for (const set of own) change.deleteSet(set);
        for (const set of nodes) change.flushSet(set); // a network's rules look into it, too
        deleteTableIfUnused(change, nft, { leaving: there.map(({ name }) => name), nodesGo: true });
      });
      return changes;
    },
  };
}

/** In order: what rules look into, rules, and elements that they look for. */
function changeInto(change: Change, nft: Nft, wanted: WayOut): string[] {
  const rules = wayOutRules(wanted);
  const wrong = CHAINS.filter((chain) => {
    const [mine, there] = [rules.filter((rule) => rule.chain.name === chain.name), nft.rules(chain)];
    if (mine.length === 0) return nft.findChain(chain) !== undefined;
    return mine.length !== there.length || !mine.every((rule, at) => there[at] !== undefined && sameRule(there[at], rule));
  });
  const sets = FAMILIES.flatMap((family) => [
    { set: keptSet(family), wanted: outermost(wanted.kept.filter((one) => one.family === family).concat(multicast(family))) },
    { set: nodesSet(family), wanted: wanted.nodes.filter((one) => one.family === family) },
  ]);
  if (wrong.length > 0) {
    change.ensureTable(TABLE);
    for (const { set } of sets) change.ensureSet(set);
  }
  const lines = wrong.map((chain) => settle(change, chain, { rules: rules.filter((rule) => rule.chain.name === chain.name) }));
  return [...lines, ...sets.flatMap(({ set, wanted: keys }) => settleSet(change, nft, { set, keys }))];
}

function settle(change: Change, chain: Chain, { rules }: { rules: readonly Rule[] }): string {
  if (rules.length === 0) {
    change.deleteChain(chain);
    return `delete nft chain ${chain.name}`;
  }
  change.ensureChain(chain);
  change.flushChain(chain);
  for (const rule of rules) change.addRule(rule);
  return `set nft chain ${chain.name}`;
}

/** Those that lie in no other: a set of intervals takes no two that overlap. */
export function outermost(cidrs: readonly Cidr[]): Cidr[] {
  const keyOf = ({ bytes }: Ip): string => Buffer.from(bytes).toString("hex");
  const inOrder = cidrs.map((cidr) => ({ cidr: networkOf(cidr), first: keyOf(networkOf(cidr).ip), last: keyOf(lastOf(cidr)) }))
    .toSorted((a, b) => (a.first === b.first ? a.cidr.prefix - b.cidr.prefix : a.first < b.first ? -1 : 1));
  let end = "";
  return inOrder.flatMap(({ cidr, first, last }) => {
    if (first <= end) return [];
    end = last;
    return [cidr];
  });
}
