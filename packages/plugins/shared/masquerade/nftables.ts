/**
 * Masquerade by nftables, in the reference plugins' own table.
 *
 *     table inet cni_plugins_masquerade {
 *       chain masq_checks { ip saddr 10.1.2.5 ip daddr != 10.1.2.0/24 masquerade comment "…" }     one rule an address
 *       chain postrouting { type nat hook postrouting priority srcnat; not to multicast; goto masq_checks }
 *     }
 *
 * The rules are the reference's, so that it takes away what we made, and we what it made. The table goes with the last
 * rule; the reference leaves it.
 */
import { commentOf as commentIn, networkOf, parseCidr, sameRule, words, type Chain, type Change, type Cidr, type Netns, type Nft, type Rule } from "@vethwork/linux";
import type { Owner } from "../attachment.ts";
import { hasTable } from "../nftables.ts";
import { commentOf, networkMark, ownerMark } from "../names.ts";

const TABLE = { family: "inet", name: "cni_plugins_masquerade", comment: "Masquerading for plugins from github.com/containernetworking/plugins" } as const;
const CHECKS: Chain = { table: TABLE, name: "masq_checks", comment: "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet" };
const SRCNAT = 100; // as every other masquerade: table.ts here, kube-proxy, iptables' POSTROUTING
const POSTROUTING: Chain = { table: TABLE, name: "postrouting", base: { type: "nat", hook: "postrouting", priority: SRCNAT } };

/** Whom masquerade is not for, and then whom it is for. */
const frameRules = (): Rule[] => [
  { chain: POSTROUTING, words: [words.ip.daddr.eq(parseCidr("224.0.0.0/4")), words.goBack] },
  { chain: POSTROUTING, words: [words.ip6.daddr.eq(parseCidr("ff00::/8")), words.goBack] },
  { chain: POSTROUTING, words: [words.goto(CHECKS)] },
];

/** One rule for each address, which keeps its prefix: inside its subnet nobody's address is changed. */
export const rulesOf = (owner: Owner, addresses: readonly Cidr[]): Rule[] => addresses.map((address): Rule => {
  const { saddr, daddr } = words.ipOf(address.family);
  return { chain: CHECKS, words: [saddr.eq(address.ip), daddr.ne(networkOf(address)), words.masqueradeInOrder], comment: commentOf(owner) };
});

/** Makes the owner's rules these and no others. */
export function ensureRules(host: Netns, owner: Owner, addresses: readonly Cidr[]): void {
  host.nft.update((change, nft) => {
    const wanted = rulesOf(owner, addresses);
    const there = nft.rules(CHECKS).filter((rule) => commentIn(rule).startsWith(ownerMark(owner)));
    ensureFrame(change, nft);
    for (const rule of there) if (!wanted.some((one) => sameRule(rule, one))) change.deleteRule(CHECKS, rule.handle);
    for (const rule of wanted) if (!there.some((one) => sameRule(one, rule))) change.addRule(rule);
  });
}

function ensureFrame(change: Change, nft: Nft): void {
  const there = nft.rules(POSTROUTING);
  const frame = frameRules();
  if (nft.findChain(CHECKS) && there.length === frame.length && frame.every((rule, at) => isSame(there[at], rule))) return;
  change.ensureTable(TABLE);
  change.ensureChain(CHECKS);
  change.ensureChain(POSTROUTING);
  change.flushChain(POSTROUTING);
  for (const rule of frame) change.addRule(rule);
}

const isSame = (one: Parameters<typeof sameRule>[0] | undefined, rule: Rule): boolean => one !== undefined && sameRule(one, rule);

/** Takes the owner's rules away, whatever addresses they are for. */
export const deleteRules = (host: Netns, owner: Owner): void => deleteWhere(host, (comment) => comment.startsWith(ownerMark(owner)));

/** Takes away the network's rules of everyone else. */
export function collectRules(host: Netns, network: string, keep: readonly Owner[]): void {
  const marks = keep.map(ownerMark);
  deleteWhere(host, (comment) => comment.startsWith(networkMark(network)) && !marks.some((mark) => comment.startsWith(mark)));
}

function deleteWhere(host: Netns, isStale: (comment: string) => boolean): void {
  if (!hasTable(host, TABLE)) return;
  host.nft.update((change, nft) => {
    const there = nft.rules(CHECKS);
    const stale = there.filter((rule) => isStale(commentIn(rule)));
    if (stale.length > 0 && stale.length === there.length) change.deleteTable(TABLE);
    else for (const { handle } of stale) change.deleteRule(CHECKS, handle);
  });
}

/** What is missing, in words. */
export function ruleFaults(host: Netns, owner: Owner, addresses: readonly Cidr[]): string[] {
  const there = host.nft.rules(CHECKS);
  const posted = host.nft.rules(POSTROUTING);
  const lost = rulesOf(owner, addresses).filter((rule) => !there.some((one) => sameRule(one, rule)));
  const isWhole = addresses.length === 0 || frameRules().every((rule) => posted.some((one) => sameRule(one, rule)));
  return [
    ...lost.map((_, at) => `the rule that masquerades ${addresses[at]?.ip} is missing`),
    ...(isWhole ? [] : [`chain "${POSTROUTING.name}" of table "${TABLE.name}" is not as it should be`]),
  ];
}
