/**
 * D-Bus values: bytes under a signature (D-Bus Specification, sections "Type System" and "Marshaling").
 *
 *     "sb"     05 00 00 00 h e l l o 00 .. ..  01 00 00 00        a text: length, bytes, a zero; then a boolean
 *     "as"     a list of texts;  "a{sv}" texts, each with a value of any kind;  "(su)" a struct of both
 *
 * Each value begins at a multiple of its own size, counted from the message's beginning, and structs at a multiple of 8.
 * Both byte orders are read, since a bus hands messages on in their sender's; written is little-endian. Messages, which
 * are made of such values, are in ./busmessage.ts.
 */
import { viewOf } from "./codec.ts";

/** A value of a kind that is decided at run time. */
export interface Variant {
  signature: string;
  value: BusValue;
}

/** Arrays, structs and entries of dictionaries are lists; 64 bits are a bigint; a dictionary is a list of pairs. */
export type BusValue = number | bigint | boolean | string | Variant | readonly BusValue[];

/** A type of fixed size. `put` gives false where the value is none of the type's. */
interface Plain {
  size: number;
  get(view: DataView, at: number, littleEndian: boolean): number | bigint | boolean;
  put(view: DataView, value: BusValue | undefined): boolean;
}

type Get<T> = (view: DataView, at: number, littleEndian: boolean) => T;
type Put<T> = (view: DataView, value: T) => void;

/** What was written is read again, so that a number out of range is noticed. */
const number = (size: number, get: Get<number>, put: Put<number>): Plain =>
  ({ size, get, put: (view, value) => typeof value === "number" && (put(view, value), Object.is(get(view, 0, true), value)) });
const large = (get: Get<bigint>, put: Put<bigint>): Plain =>
  ({ size: 8, get, put: (view, value) => typeof value === "bigint" && (put(view, value), get(view, 0, true) === value) });
const boolean: Plain = {
  size: 4,
  get: (view, at, littleEndian) => {
    const found = view.getUint32(at, littleEndian);
    if (found > 1) throw wrong(`a boolean is ${found} at ${at}`);
    return found === 1;
  },
  put: (view, value) => typeof value === "boolean" && (view.setUint32(0, Number(value), true), true),
};

const PLAIN: Readonly<Record<string, Plain>> = {
  y: number(1, (v, at) => v.getUint8(at), (v, x) => v.setUint8(0, x)),
  b: boolean,
  n: number(2, (v, at, le) => v.getInt16(at, le), (v, x) => v.setInt16(0, x, true)),
  q: number(2, (v, at, le) => v.getUint16(at, le), (v, x) => v.setUint16(0, x, true)),
  i: number(4, (v, at, le) => v.getInt32(at, le), (v, x) => v.setInt32(0, x, true)),
  u: number(4, (v, at, le) => v.getUint32(at, le), (v, x) => v.setUint32(0, x, true)),
  h: number(4, (v, at, le) => v.getUint32(at, le), (v, x) => v.setUint32(0, x, true)), // a descriptor's place beside the message
  x: large((v, at, le) => v.getBigInt64(at, le), (v, x) => v.setBigInt64(0, x, true)),
  t: large((v, at, le) => v.getBigUint64(at, le), (v, x) => v.setBigUint64(0, x, true)),
  d: number(8, (v, at, le) => v.getFloat64(at, le), (v, x) => v.setFloat64(0, x, true)),
};

const LARGEST_ARRAY = 64 * 1024 * 1024;
const DEEPEST = 64; // of arrays, structs and variants in one another

const ALIGNMENTS: Readonly<Record<string, number>> = { s: 4, o: 4, g: 1, a: 4, "(": 8, "{": 8, v: 1 };
const alignmentOf = (type: string): number => ALIGNMENTS[type[0] ?? ""] ?? PLAIN[type]?.size ?? 1;

export const wrong = (what: string): RangeError => new RangeError(`Cannot read D-Bus: ${what}`);

/** The complete types of a signature: "sa{sv}" is "s" and "a{sv}". RangeError where it is none. */
export function typesIn(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at, 0);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, at: number, depth: number): number {
  const first = signature[at] ?? "";
  if (depth > DEEPEST) throw wrong(`the signature is nested more than ${DEEPEST} times`);
  if (first in PLAIN || first === "s" || first === "o" || first === "g" || first === "v") return at + 1;
  if (first === "a" && signature[at + 1] === "{") {
    const key = endOfType(signature, at + 2, depth + 1);
    const end = endOfType(signature, key, depth + 1);
    if (signature[end] === "}" && key === at + 3 && signature[at + 2] !== "v") return end + 1;
  } else if (first === "a") return endOfType(signature, at + 1, depth + 1);
  if (first === "(") {
    let end = at + 1;
    while (end < signature.length && signature[end] !== ")") end = endOfType(signature, end, depth + 1);
    if (end > at + 1 && signature[end] === ")") return end + 1;
  }
  throw wrong(`"${signature}" is no signature (at ${at})`);
}

/** What is inside a struct or an entry of a dictionary. */
const insideOf = (type: string): string => type.slice(1, -1);
export const aligned = (at: number, to: number): number => Math.ceil(at / to) * to;

/** Values under a signature as bytes, little-endian. `at` is where they will stand, which decides on the padding. */
export function encodeValues(signature: string, values: readonly BusValue[], at = 0): Uint8Array {
  const out = createOut(at);
  putAll(out, signature, values);
  return Uint8Array.from(out.bytes);
}

/** Where bytes are collected. */
interface Out {
  bytes: number[];
  /** Fills up to a multiple. */
  align(to: number): void;
  place(): number;
}

function createOut(begin: number): Out {
  const bytes: number[] = [];
  const place = (): number => begin + bytes.length;
  return {
    bytes,
    place,
    align: (to) => {
      while (place() % to !== 0) bytes.push(0);
    },
  };
}

function put(out: Out, type: string, value: BusValue | undefined): void {
  const [kind = ""] = type;
  out.align(alignmentOf(type));
  if (kind === "a") putArray(out, type.slice(1), listOf(type, value));
  else if (kind === "(" || kind === "{") {
    putAll(out, insideOf(type), listOf(type, value));
  } else if (kind === "v") {
    if (typeof value !== "object" || !("signature" in value)) throw unfit(type, value);
    put(out, "g", value.signature);
    put(out, value.signature, value.value);
  } else if (kind in PLAIN) out.bytes.push(...plainBytes(kind, value));
  else putText(out, kind, value);
}

function putAll(out: Out, signature: string, values: readonly BusValue[]): void {
  const types = typesIn(signature);
  if (types.length !== values.length) throw new TypeError(`Cannot write D-Bus: ${values.length} values (${types.length} are wanted for "${signature}")`);
  types.forEach((type, at) => put(out, type, values[at]));
}

function putArray(out: Out, type: string, items: readonly BusValue[]): void {
  const length = out.bytes.length;
  out.bytes.push(0, 0, 0, 0);
  out.align(alignmentOf(type)); // not counted in the length, and there also where the array is empty
  const begin = out.bytes.length;
  for (const item of items) put(out, type, item);
  plainBytes("u", out.bytes.length - begin).forEach((byte, at) => (out.bytes[length + at] = byte));
}

function putText(out: Out, kind: string, value: BusValue | undefined): void {
  if (typeof value !== "string" || value.includes("\0")) throw unfit(kind, value);
  const text = new TextEncoder().encode(value);
  out.bytes.push(...(kind === "g" ? [text.length] : plainBytes("u", text.length)), ...text, 0);
}

function plainBytes(kind: string, value: BusValue | undefined): Uint8Array {
  const plain = PLAIN[kind] ?? boolean;
  const bytes = new Uint8Array(plain.size);
  if (!plain.put(viewOf(bytes), value)) throw unfit(kind, value);
  return bytes;
}

function listOf(type: string, value: BusValue | undefined): readonly BusValue[] {
  if (!isList(value)) throw unfit(type, value);
  return value;
}

export const isList = (value: BusValue | undefined): value is readonly BusValue[] => Array.isArray(value);
const unfit = (type: string, value: BusValue | undefined): TypeError => new TypeError(`Cannot write D-Bus: ${String(value)} is no "${type}"`);

/** Values under a signature, from `at` on, and where they end. RangeError where the bytes are no such values. */
export function decodeValues(signature: string, bytes: Uint8Array, { at = 0, littleEndian = true } = {}): { values: BusValue[]; end: number } {
  const reader: Reader = { view: viewOf(bytes), bytes, littleEndian, at, depth: 0 };
  const values = typesIn(signature).map((type) => take(reader, type));
  return { values, end: reader.at };
}

/** What is read, and how far. */
interface Reader {
  view: DataView;
  bytes: Uint8Array;
  littleEndian: boolean;
  at: number;
  depth: number;
}

function take(reader: Reader, type: string): BusValue {
  const [kind = ""] = type;
  reader.at = aligned(reader.at, alignmentOf(type));
  const plain = PLAIN[kind];
  if (plain) return plain.get(reader.view, room(reader, plain.size), reader.littleEndian);
  if (kind === "s" || kind === "o" || kind === "g") return takeText(reader, kind);
  if (++reader.depth > DEEPEST) throw wrong(`values are nested more than ${DEEPEST} times`);
  const value = takeNested(reader, type);
  reader.depth -= 1;
  return value;
}

function takeNested(reader: Reader, type: string): BusValue {
  if (type.startsWith("a")) return takeArray(reader, type.slice(1));
  if (type !== "v") return typesIn(insideOf(type)).map((inner) => take(reader, inner));
  const signature = takeText(reader, "g");
  if (typesIn(signature).length !== 1) throw wrong(`a variant holds "${signature}" (one complete type is wanted)`);
  return { signature, value: take(reader, signature) };
}

function takeArray(reader: Reader, type: string): BusValue[] {
  const length = takeLength(reader);
  reader.at = aligned(reader.at, alignmentOf(type));
  const end = reader.at + length;
  if (length > LARGEST_ARRAY || end > reader.bytes.length) throw wrong(`an array claims ${length} bytes at ${reader.at}`);
  const items: BusValue[] = [];
  while (reader.at < end) items.push(take(reader, type));
  if (reader.at !== end) throw wrong(`an array's last item ends ${reader.at - end} bytes too late`);
  return items;
}

function takeText(reader: Reader, kind: string): string {
  const size = kind === "g" ? reader.view.getUint8(room(reader, 1)) : takeLength(reader);
  const begin = room(reader, size + 1);
  const text = reader.bytes.subarray(begin, begin + size);
  if (text.includes(0) || reader.bytes[begin + size] !== 0) throw wrong(`a text at ${begin} does not end where it says`);
  return new TextDecoder().decode(text);
}

function takeLength(reader: Reader): number {
  return reader.view.getUint32(room(reader, 4), reader.littleEndian);
}

/** The place of the next `size` bytes; they are then behind us. */
function room(reader: Reader, size: number): number {
  const { at } = reader;
  if (at + size > reader.bytes.length) throw wrong(`it ends ${at + size - reader.bytes.length} bytes too soon`);
  reader.at = at + size;
  return at;
}
