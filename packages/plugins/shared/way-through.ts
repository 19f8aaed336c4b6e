/**
 * The way through: others' chains on the forward hook that let nothing pass unless a rule of their own says so.
 *
 *     table ip filter {                                     iptables', say, or an administrator's own
 *       chain FORWARD { type filter hook forward priority filter; policy drop;
 *         ip saddr 10.244.0.0/16 counter accept comment "vethwork mynet from pods"      ours, at the head
 *         …
 *
 * An accept ends the chain that it stands in and no other: the packet meets every chain on its hook, and one drop is the
 * end of it. So what is to pass is accepted there, at the head of each such chain, and the rule goes with its last user.
 * Such a chain has the policy drop (Docker sets one, ufw sets one), or a last rule that drops or rejects all that is left.
 *
 * iptables has to be able to read what is put into its chains. A set it leaves out without a word, so that a list of rules
 * saved and restored would accept everything; over a conntrack state it refuses the whole table. Prefixes and marks it knows.
 *
 * What cannot be helped so: a drop or reject with a condition, in a chain that is jumped to, or in xtables of the legacy
 * kind; tables that have an owner, who alone may change them; and a chain that begins to drop later, until the next ADD.
 */
import { commentOf, endsEverything, sameRule, type Change, type Chain, type Family, type KernelRule, type Nft, type Rule } from "@vethwork/linux";

/** A rule that lets packets through, without the chain. */
export interface Accept extends Omit<Rule, "chain"> {
  /** Absent: for both. */
  family?: Family;
  comment: string;
}

/** Puts the rules into every chain that lets nothing pass by default, where they are not there already. */
export function openWay(change: Change, nft: Nft, accepts: readonly Accept[]): void {
  for (const rule of missingAccepts(nft, accepts)) change.insertRule(rule);
}

/** Takes away the rules with such comments, also from chains that have come to let packets pass. */
export function closeWay(change: Change, nft: Nft, isOurs: (comment: string) => boolean): void {
  for (const chain of forwardChains(nft)) {
    for (const rule of nft.rules(chain)) if (isOurs(commentOf(rule))) change.deleteRule(chain, rule.handle);
  }
}

/** Chains that stop packets because a rule is not in them, in words. */
export function wayFaults(nft: Nft, accepts: readonly Accept[]): string[] {
  return missingAccepts(nft, accepts).map(({ chain, comment }) => `chain "${chain.name}" of table "${chain.table.name}" drops what "${comment}" should accept`);
}

function missingAccepts(nft: Nft, accepts: readonly Accept[]): Rule[] {
  return forwardChains(nft).flatMap((chain) => {
    const there = nft.rules(chain);
    if (!dropsByDefault(chain, there)) return [];
    const fitting = accepts.filter(({ family }) => family === undefined || chain.table.family === "inet" || chain.table.family === NAMES[family]);
    return fitting.map(({ words, comment }) => ({ chain, words, comment })).filter((rule) => !there.some((one) => sameRule(one, rule)));
  });
}

const NAMES = { 4: "ip", 6: "ip6" } as const;

const dropsByDefault = ({ base }: Chain, rules: readonly KernelRule[]): boolean =>
  base?.policy === "drop" || rules.slice(-1).some(endsEverything);

/** Where others decide on packets on their way through this node, and let us have a say. Tables of ours let pass what they do not name. */
function forwardChains(nft: Nft): Chain[] {
  const owned = nft.tables().filter(({ owner }) => owner !== undefined);
  return nft.chains().filter(({ table: { family, name }, base }) => {
    const routes = family === "inet" || family === "ip" || family === "ip6";
    const isClosed = name.startsWith("vethwork") || owned.some((one) => one.family === family && one.name === name);
    return routes && base?.hook === "forward" && base.type === "filter" && !isClosed;
  });
}
