/**
 * The chains of the table: those that are always there, and those that frontends lead to, each while one does.
 *
 * A chain's rules never change: what it is called says what they are. So one that is there with other rules is somebody's doing,
 * and is filled anew. One that nothing leads to any more goes at the end; an older kernel (before 6.2) believes for a moment that
 * something does, and it goes the next time.
 */
import { unless, type Change, type KernelRule, type Nft } from "@vethwork/linux";
import { TABLE, allSets, chainNamed, frame, isFilled, type Filled } from "./table.ts";

export interface Chains {
  /** Makes what is always there right; gives how much was written. */
  ensureFrame(): number;
  /** Those of the chains, and of what they lead to, that are not there as they should be, in an order in which none refers to a later one. */
  missing(names: ReadonlySet<string>): Filled[];
  fill(change: Change, filled: Filled): void;
  /** Notes that they have been written. */
  filled(some: readonly Filled[]): void;
  /** Deletes those that are not among these, nor what these lead to; gives how many. */
  sweep(needed: ReadonlySet<string>): number;
}

/** Looks at what is there. */
export function openChains(nft: Nft): Chains {
  const isOurs = ({ table: { family, name } }: { table: { family: string; name: string } }): boolean => family === TABLE.family && name === TABLE.name;
  const bases = new Map(nft.chains(TABLE.family).filter(isOurs).map((chain) => [chain.name, chain.base]));
  const rules = Map.groupBy<string, KernelRule & { chain: string }>(nft.rulesOf(TABLE), ({ chain }) => chain);
  const present = new Set(bases.keys());
  const right = new Set<string>();

  const isRight = (one: Filled): boolean => {
    const { name, base } = one.chain;
    if (right.has(name)) return true;
    const isSo = present.has(name) && samePlace(bases.get(name), base) && isFilled(one, rules.get(name) ?? []);
    if (isSo) right.add(name);
    return isSo;
  };
  const withNeeds = (names: ReadonlySet<string>): Filled[] => [...new Set([...names].flatMap((name) => chainNamed(name) ?? []).flatMap((one) => [...one.needs, one]))];

  const chains: Chains = {
    ensureFrame: () => {
      const wrong = frame().filter((one) => !isRight(one));
      if (wrong.length === 0) return 0;
      nft.transaction((change) => {
        change.ensureTable(TABLE);
        for (const set of allSets()) change.ensureSet(set);
        for (const { chain } of wrong) if (present.has(chain.name) && !samePlace(bases.get(chain.name), chain.base)) change.deleteChain(chain);
        for (const one of wrong) chains.fill(change, one);
      });
      chains.filled(wrong);
      return wrong.length;
    },
    missing: (names) => withNeeds(names).filter((one) => !isRight(one)),
    fill: (change, { chain, rules: wanted }) => {
      change.ensureChain(chain);
      if (present.has(chain.name)) change.flushChain(chain);
      for (const rule of wanted) change.addRule(rule);
    },
    filled: (some) => {
      for (const { chain } of some) {
        present.add(chain.name);
        right.add(chain.name);
      }
    },
    sweep: (needed) => {
      const kept = new Set([...frame(), ...withNeeds(needed)].map(({ chain }) => chain.name).concat(...needed));
      const stale = [...present].filter((name) => !kept.has(name));
      // Those that lead to others first.
      return stale.toSorted((a, b) => (chainNamed(b)?.needs.length ?? 0) - (chainNamed(a)?.needs.length ?? 0)).filter((name) => {
        const isGone = unless(["EBUSY"], () => (nft.transaction((change) => change.deleteChain({ table: TABLE, name })), true)) ?? false;
        if (isGone) for (const names of [present, right]) names.delete(name);
        return isGone;
      }).length;
    },
  };
  return chains;
}

type Base = Filled["chain"]["base"];

const samePlace = (a: Base, b: Base): boolean => a?.hook === b?.hook && a?.priority === b?.priority && a?.type === b?.type;
