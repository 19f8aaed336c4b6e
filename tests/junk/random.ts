/**
 * Chance that can be had again: the same seed gives the same numbers, on every machine (xorshift32, Marsaglia 2003).
 *
 * Each input has a seed of its own, made of the run's seed, the decoder's name and the input's number. So one input of a
 * million is made again without the others.
 */
export interface Random {
  /** A whole number from 0 to below `end`. */
  below(end: number): number;
  /** True once in `times`. */
  once(times: number): boolean;
  pick<T>(items: readonly [T, ...T[]]): T;
  bytes(length: number): Uint8Array;
}

/** The seed of one input. */
export function seedOf(run: number, name: string, index: number): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(`${run} ${name} ${index}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export function createRandom(seed: number): Random {
  let state = seed === 0 ? 1 : seed; // zero stays zero for ever
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const below = (end: number): number => (end <= 1 ? 0 : next() % end);
  return {
    below,
    once: (times) => below(times) === 0,
    pick: (items) => items[below(items.length)] ?? items[0],
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}
