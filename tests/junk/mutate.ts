/**
 * Inputs that are nearly good: what a decoder takes, with something wrong. Pure noise seldom comes past the first check.
 *
 *     seed ──▶ 1 to 4 of: a bit, a byte, cut, repeated, another seed's middle, a length that lies, a word of the format
 *          └─▶ where it is JSON: a value, a key, or the depth
 */
import type { Random } from "./random.ts";

/** No input is longer. */
export const LONGEST = 64 * 1024;

/** Counts and lengths at which decoders go wrong, beside those of the input itself. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as const;
/** Values that are valid JSON and seldom what is wanted. */
const VALUES: readonly [unknown, ...unknown[]] = [
  null, true, false, 0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, "", " ", "0", "\0", "../..", "10.0.0.0/8", "fd00::/129", "300.1.1.1", "ff:ff", "x".repeat(5000), "\ud800", [], [[]], [null], {}, { a: { b: {} } },
];
const KEYS: readonly [string, ...string[]] = ["__proto__", "constructor", "toString", "hasOwnProperty", "length", "", "0", "NAME", "then"];

/** What mutations draw from. */
export interface Stock {
  seeds: readonly [Uint8Array, ...Uint8Array[]];
  /** Words of the format. */
  words: readonly string[];
}

/** One input. */
export function mutated(random: Random, stock: Stock): Uint8Array {
  if (random.once(50)) return random.bytes(random.below(300));
  let bytes = random.pick(stock.seeds);
  if (random.once(2)) bytes = mutatedJson(random, bytes) ?? bytes;
  for (let left = random.below(5); left > 0; left--) bytes = random.pick(MUTATIONS)(random, bytes, stock);
  return bytes.subarray(0, LONGEST);
}

type Mutation = (random: Random, bytes: Uint8Array, stock: Stock) => Uint8Array;

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const put = (bytes: Uint8Array, at: number, patch: Uint8Array): Uint8Array => join(bytes.subarray(0, at), patch, bytes.subarray(at + patch.length));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Of 1, 2 or 4 bytes, in either order. */
const lie: Mutation = (random, bytes) => {
  const size = random.pick([1, 2, 4]);
  const value = random.once(2) ? random.pick(LENGTHS) : Math.max(0, bytes.length + random.below(9) - 4);
  const little = Uint8Array.from({ length: size }, (_, at) => (value >>> (8 * at)) & 0xff);
  return put(bytes, random.below(bytes.length + 1 - size), random.once(2) ? little : little.toReversed());
};

const repeat: Mutation = (random, bytes) => {
  const at = random.below(bytes.length);
  const piece = bytes.subarray(at, at + 1 + random.below(40));
  const times = random.once(20) ? 2000 : 1 + random.below(4);
  return join(bytes.subarray(0, at), ...Array.from({ length: Math.min(times, Math.ceil(LONGEST / (piece.length || 1))) }, () => piece), bytes.subarray(at));
};

const word: Mutation = (random, bytes, { words: [first = "\n", ...rest] }) => {
  const text = utf8(random.pick([first, ...rest]));
  const at = random.below(bytes.length + 1);
  return random.once(2) ? put(bytes, at, text) : join(bytes.subarray(0, at), text, bytes.subarray(at));
};

const byte: Mutation = (random, bytes) => bytes.with(random.below(bytes.length), random.below(256));

const bit: Mutation = (random, bytes) => {
  const at = random.below(bytes.length);
  return bytes.with(at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
};

const cut: Mutation = (random, bytes) => bytes.subarray(0, random.below(bytes.length));

const gap: Mutation = (random, bytes) => {
  const at = random.below(bytes.length);
  return join(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(20)));
};

const splice: Mutation = (random, bytes, { seeds }) => {
  const other = random.pick(seeds);
  const from = random.below(other.length);
  return join(bytes.subarray(0, random.below(bytes.length)), other.subarray(from, from + random.below(200)), bytes.subarray(random.below(bytes.length)));
};

/** Of nothing only something can be made. */
const grown = (mutation: Mutation): Mutation => (random, bytes, stock) => (bytes.length < 4 ? join(bytes, random.bytes(1 + random.below(8))) : mutation(random, bytes, stock));

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [grown(byte), grown(bit), grown(cut), grown(gap), grown(splice), grown(lie), grown(repeat), grown(word)];

/** The same object with a value, a key or the depth changed; undefined where it is no JSON. */
function mutatedJson(random: Random, bytes: Uint8Array): Uint8Array | undefined {
  const text = new TextDecoder().decode(bytes);
  if (!/^\s*[{[]/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // a seed may be one
    throw error;
  }
  if (random.once(100)) return utf8(random.pick(["[", '{"a":']).repeat(10_000));
  for (let left = 1 + random.below(3); left > 0; left--) value = changedAt(random, value, 0);
  return utf8(JSON.stringify(value) ?? "null");
}

/** Goes down by chance, and changes something there. */
function changedAt(random: Random, value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || (depth > 0 && random.once(4))) return random.once(10) ? { a: value } : random.pick(VALUES);
  if (Array.isArray(value)) {
    if (value.length === 0 || random.once(6)) return [...value, ...value, random.pick(VALUES)];
    const at = random.below(value.length);
    return value.flatMap((item: unknown, place): unknown[] => (place !== at ? [item] : random.once(5) ? [] : [changedAt(random, item, depth + 1)]));
  }
  const entries: [string, unknown][] = Object.entries(value);
  const at = random.below(entries.length);
  const changed = entries.flatMap(([key, item], place): [string, unknown][] => {
    if (place !== at) return [[key, item]];
    if (random.once(6)) return [];
    if (random.once(6)) return [[random.pick(KEYS), item]];
    return [[key, changedAt(random, item, depth + 1)]];
  });
  return Object.fromEntries(random.once(8) ? [...changed, [random.pick(KEYS), random.pick(VALUES)]] : changed);
}
