/**
 * Claims: things of which there can be only one, and who asks for them. Mostly it is one service that asks for an address and a port;
 * where two do, the same one has it on every node and after every restart, and the other waits until it goes.
 */
export interface Claims<T> {
  claim(key: string, by: T): void;
  /** Takes one of its claims back. */
  withdraw(key: string, by: T): void;
  /** Who has it. */
  get(key: string): T | undefined;
  keys(): IterableIterator<string>;
  size(): number;
  /** What several ask for, with all of them, who has it first. */
  contested(): { key: string; all: readonly T[] }[];
}

export interface ClaimRules<T> {
  /** Below 0 where the first comes first. */
  compare(a: T, b: T): number;
  /** Another one has it now, or nobody. */
  onChange(key: string, now: T | undefined, before: T | undefined): void;
}

export function createClaims<T>({ compare, onChange }: ClaimRules<T>): Claims<T> {
  const alone = new Map<string, T>();
  const shared = new Map<string, readonly T[]>();
  const allOf = (key: string): readonly T[] => {
    const one = alone.get(key);
    return one === undefined ? shared.get(key) ?? [] : [one];
  };
  const settle = (key: string, before: T | undefined, all: readonly T[]): void => {
    const [first] = all;
    if (first !== undefined && all.length === 1) alone.set(key, first);
    else alone.delete(key);
    if (all.length > 1) shared.set(key, all);
    else shared.delete(key);
    if (first !== before) onChange(key, first, before);
  };
  return {
    claim: (key, by) => {
      const all = allOf(key);
      settle(key, all[0], all.length === 0 ? [by] : [...all, by].sort(compare));
    },
    withdraw: (key, by) => {
      const all = allOf(key);
      const at = all.indexOf(by);
      if (at >= 0) settle(key, all[0], all.toSpliced(at, 1));
    },
    get: (key) => alone.get(key) ?? shared.get(key)?.[0],
    keys: function* keys() {
      yield* alone.keys();
      yield* shared.keys();
    },
    size: () => alone.size + shared.size,
    contested: () => [...shared].map(([key, all]) => ({ key, all })),
  };
}
