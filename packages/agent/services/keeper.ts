/**
 * Makes the kernel's maps as the planner wants them, by the elements in which they differ.
 *
 *     what may differ ──► elements to delete and to add (./work.ts) ──► transactions of some thousand ──► what is there now (./mirror.ts)
 *
 * All elements of one frontend are in one transaction: a packet finds it as it was, or as it is to be. What frontends look into
 * (chains, who may use them) is there before they are, and goes after them. Between two transactions others may change their rules,
 * and packets pass all the time.
 */
import { isErrno, unless, type Change, type Element, type Nft, type NftSet } from "@vethwork/linux";
import { openChains, type Chains } from "./chains.ts";
import { chainIn, placeFrontend, placeItem, readMirror, type Mirror } from "./mirror.ts";
import { keysIn, type Keys, type Planner } from "./planner.ts";
import { TABLE } from "./table.ts";
import { valueText } from "./texts.ts";
import { frontendUnit, itemUnit, type Operation, type Unit } from "./work.ts";

export interface Keeper {
  /** Makes what may differ so; gives how many elements and chains were written. */
  settle(keys: Keys): number;
  /** With the next settle everything is read and compared: somebody else may have written. */
  distrust(): void;
  /** Takes the table away; true if there was one. */
  clear(): boolean;
}

/** So many elements at a time: some ten milliseconds, for which others wait who want to change rules. */
const PORTION = 4000;

/** What is known of the kernel. */
interface Known {
  mirror: Mirror;
  chains: Chains;
}

export function createKeeper(nft: Nft, planner: Planner): Keeper {
  let known: Known | undefined;

  const settle = (keys: Keys): number => {
    if (known) return differences(known, keys);
    const chains = openChains(nft);
    const written = chains.ensureFrame();
    known = { chains, mirror: readMirror(nft) };
    return written + differences(known, everything(planner, known.mirror));
  };

  const differences = ({ mirror, chains }: Known, keys: Keys): number => {
    let count = 0;
    for (const some of portions(unitsOf(mirror, keys))) {
      const missing = chains.missing(new Set(some.flatMap(({ adds }) => adds.flatMap(({ element }) => chainOf(element) ?? []))));
      nft.transaction((change) => {
        for (const one of missing) chains.fill(change, one);
        operate(change, some);
      });
      chains.filled(missing);
      for (const { done } of some) done();
      count += some.reduce((sum, unit) => sum + sizeOf(unit), missing.length);
    }
    return count + chains.sweep(new Set(mirror.uses.keys()));
  };

  /** In the order in which they are to be written, each worked out when it is its turn: of a cold start there are too many to keep. */
  function* unitsOf(mirror: Mirror, keys: Keys): Generator<Unit> {
    yield* itemUnits(mirror, keys, (wanted) => wanted !== undefined);
    for (const key of keys.frontends) {
      const unit = frontendUnit({ key, wanted: planner.frontend(key), there: mirror.frontends.get(key), ask: nft.findElement, place: (now) => placeFrontend(mirror, key, now) });
      if (unit) yield unit;
    }
    yield* itemUnits(mirror, keys, (wanted) => wanted === undefined);
  }

  function* itemUnits(mirror: Mirror, { items }: Keys, isMeant: (wanted: string | undefined) => boolean): Generator<Unit> {
    for (const [set, keys] of items) {
      for (const key of keys) {
        const wanted = planner.item(set, key);
        const unit = isMeant(wanted) && itemUnit({ set, key, wanted, there: mirror.items.get(set)?.get(key), place: (now) => placeItem(mirror, { set, key }, now) });
        if (unit) yield unit;
      }
    }
  }

  return {
    settle: (keys) => {
      const wasKnown = known !== undefined;
      try {
        return settle(keys);
      } catch (error) {
        known = undefined;
        if (!wasKnown || !isErrno(error, "ENOENT", "EEXIST")) throw error; // else somebody has written since it was read
        return settle(keys);
      }
    },
    distrust: () => void (known = undefined),
    clear: () => {
      known = undefined;
      return deleteTable(nft);
    },
  };
}

/** True if there was one. */
export function deleteTable(nft: Nft): boolean {
  if (!nft.tables().some(({ family, name }) => family === TABLE.family && name === TABLE.name)) return false;
  return unless(["ENOENT"], () => (nft.transaction((change) => change.deleteTable(TABLE)), true)) ?? false;
}

/** What is wanted, and what is there. */
function everything(planner: Planner, { frontends, items }: Mirror): Keys {
  const keys = planner.all();
  for (const key of frontends.keys()) keys.frontends.add(key);
  for (const [set, some] of items) for (const key of some.keys()) keysIn(keys, set).add(key);
  return keys;
}

const chainOf = (element: Element): string | undefined => chainIn(valueText(element));
const sizeOf = ({ deletes, adds }: Unit): number => deletes.length + adds.length;

/** Units together as long as they are not too many. One alone may be larger. */
function* portions(units: Iterable<Unit>): Generator<Unit[]> {
  let some: Unit[] = [];
  let size = 0;
  for (const unit of units) {
    if (size > 0 && size + sizeOf(unit) > PORTION) {
      yield some;
      [some, size] = [[], 0];
    }
    some.push(unit);
    size += sizeOf(unit);
  }
  if (some.length > 0) yield some;
}

/** Deletes come first: an element that is another one now is deleted and added. */
function operate(change: Change, units: readonly Unit[]): void {
  const bySet = (operations: readonly Operation[]): Map<NftSet, Operation[]> => Map.groupBy(operations, ({ set }) => set);
  for (const [set, some] of bySet(units.flatMap(({ deletes }) => deletes))) change.deleteElements(set, some.map(({ element: { key } }) => ({ key })));
  for (const [set, some] of bySet(units.flatMap(({ adds }) => adds))) change.addElements(set, some.map(({ element }) => element));
  for (const [set, some] of bySet(units.flatMap(({ closes }) => closes ?? []))) change.ensureElements(set, some.map(({ element }) => element));
}
