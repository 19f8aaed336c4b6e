/**
 * Attributes: netlink's type, length, value (RFC 3549 section 2.3, include/uapi/linux/netlink.h).
 *
 *     ┌────────────┬────────────┬───────────────┬─────┐
 *     │ length u16 │ type   u16 │ payload       │ pad │   length counts the header, not the padding to four bytes
 *     └────────────┴────────────┴───────────────┴─────┘
 *
 * One table names an attribute set: name, number, codec. It serves encoding, decoding, types, explain() and the
 * house's check against the kernel's own headers. An attribute that no table names is kept under `unknown` and
 * written back as it came, so that what we do not understand is never lost.
 */
import { type Blob, type Codec, type Fixed, type Shape, type Struct, type Value, type Writer } from "./codec.ts";
import { cstring, decode, u16, viewOf, write } from "./codec.ts";

type Table = { readonly [name: string]: readonly [type: number, codec: Codec<unknown>] };
type AnyTable = Record<string, readonly [type: number, codec: Codec<unknown>]>;
/** All attributes as they came, where some are among them that no table names: those are written back. */
export type Unknown = { unknown?: Uint8Array };
export type Attrs<T> = { [K in keyof T]?: T[K] extends readonly [number, infer C] ? Value<C> : never } & Unknown;
export interface AttrSet<T> extends Blob<Attrs<T>> {
  /** The kernel's prefix, as in IFLA_MTU: "IFLA". */
  name: string;
  table: T;
}

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff; // the two flag bits are masked before the number is looked up
const HEADER = 4;
const align = (length: number): number => (length + 3) & ~3;

/** One attribute as it lies in the bytes. */
export interface RawAttribute {
  type: number;
  body: Uint8Array;
  /** Where its header begins, from the start of the bytes given. */
  offset: number;
}

/** The attributes in `raw`. Short, long and overlapping ones throw RangeError with the offset. */
export function attributesOf(name: string, raw: Uint8Array): RawAttribute[] {
  const view = viewOf(raw);
  const found: RawAttribute[] = [];
  for (let offset = 0, length = 0; offset + HEADER <= raw.length; offset += align(length)) {
    length = u16.get(view, offset);
    if (length < HEADER || offset + length > raw.length) throw malformed(name, view, offset);
    found.push({ type: u16.get(view, offset + 2) & NLA_TYPE_MASK, body: raw.subarray(offset + HEADER, offset + length), offset });
  }
  return found;
}

function malformed(name: string, view: DataView, offset: number): RangeError {
  const facts = `attribute ${u16.get(view, offset + 2) & NLA_TYPE_MASK} claims ${u16.get(view, offset)} bytes at offset ${offset}`;
  return new RangeError(`Cannot decode ${name}: ${facts} (4 to ${view.byteLength - offset} are wanted)`);
}

/** Writes one attribute: header, payload, padding. */
export function writeAttribute<T>(writer: Writer, type: number, codec: Codec<T>, value: T): void {
  const at = writer.reserve(HEADER);
  write(writer, codec, value);
  const length = writer.length() - at;
  writer.patch(u16, at, length);
  writer.patch(u16, at + 2, codec.kind === "blob" && codec.nested ? type | NLA_F_NESTED : type);
  writer.reserve(align(length) - length);
}

/** Declares an attribute set: `attrs("IFLA", { MTU: [4, u32] })` is IFLA_MTU, number 4, a u32. */
export function attrs<const T extends Table>(name: string, table: T): AttrSet<T> {
  const entries = table as unknown as AnyTable;
  let keys: string[] | undefined; // by type; most sets are never read in a process's life
  const read = (raw: Uint8Array): Attrs<T> => {
    keys ??= keysByType(entries);
    const out: Record<string, unknown> = {};
    const view = viewOf(raw);
    let hasUnknown = false;
    let key: string | undefined;
    try {
      for (let offset = 0, length = 0; offset + HEADER <= raw.length; offset += align(length)) {
        key = undefined;
        length = u16.get(view, offset);
        if (length < HEADER || offset + length > raw.length) throw malformed(name, view, offset);
        key = keys[u16.get(view, offset + 2) & NLA_TYPE_MASK];
        const codec = key === undefined ? undefined : entries[key]?.[1];
        if (key === undefined || !codec) hasUnknown = true;
        else if (codec.kind === "fixed" && length - HEADER >= codec.size) out[key] = codec.get(view, offset + HEADER);
        else out[key] = decode(codec, raw.subarray(offset + HEADER, offset + length));
      }
    } catch (error) {
      throw key === undefined ? error : named(`${name}_${key}`, error);
    }
    if (hasUnknown) out["unknown"] = raw.slice();
    return out as Attrs<T>;
  };
  const writeAll = (writer: Writer, value: Attrs<T>): void => {
    const items = value as Record<string, unknown> & Unknown;
    let inside = "";
    try {
      for (const key in items) {
        const item = items[key];
        if (item === undefined || key === "unknown") continue;
        const entry = entries[key];
        if (!entry) throw new TypeError(`Cannot encode ${name}: there is no attribute "${key}"`);
        inside = key;
        writeAttribute(writer, entry[0], entry[1], item);
        inside = "";
      }
    } catch (error) {
      throw inside === "" ? error : named(`${name}_${inside}`, error);
    }
    if (items.unknown) writeUnknown(writer, name, items.unknown);
  };
  const writeUnknown = (writer: Writer, name: string, raw: Uint8Array): void => {
    const known = (keys ??= keysByType(entries));
    for (const { type, body } of attributesOf(name, raw)) if (known[type] === undefined) writeAttribute(writer, type, rawBytes, body);
  };
  return { kind: "blob", nested: true, name, table, read, write: writeAll };
}

function keysByType(entries: AnyTable): string[] {
  const keys: string[] = [];
  for (const key in entries) {
    const entry = entries[key];
    if (entry) keys[entry[0]] = key;
  }
  return keys;
}

const rawBytes: Blob<Uint8Array> = { kind: "blob", nested: false, read: (raw) => raw, write: (w, raw) => w.raw(raw) };

/** A struct followed by attributes, as every rtnetlink and nfnetlink message is. */
export interface Message<F, A> extends Blob<Partial<Shape<F>> & { attrs?: A }> {
  header: Struct<F>;
  body: Blob<A>;
  /** As read, but every field of the header is known to be there. */
  decode(raw: Uint8Array): Shape<F> & { attrs: A };
}

export function message<F, A>(header: Struct<F>, body: Blob<A>): Message<F, A> {
  const decodeAll = (raw: Uint8Array): Shape<F> & { attrs: A } => ({
    ...header.decode(raw),
    attrs: body.read(raw.subarray(align(header.size))),
  });
  return {
    kind: "blob",
    nested: true,
    header,
    body,
    decode: decodeAll,
    read: decodeAll,
    write: (writer, value) => {
      const at = writer.reserve(align(header.size));
      writer.patch(header, at, value);
      if (value.attrs !== undefined) body.write(writer, value.attrs);
    },
  };
}

type Kinds = { readonly [kind: string]: Blob<unknown> };
/** A value that says which kind it is; a kind that no table names keeps its payload as bytes. */
export type Tagged<V> = { [K in keyof V]: { kind: K; data?: Value<V[K]> } }[keyof V] | { kind: "unknown"; name: string; raw?: Uint8Array };
export interface TaggedSet<V> extends Blob<Tagged<V>> {
  name: string;
  /** The two attributes themselves, and the sets behind the kinds: what the house checks. */
  table: AnyTable;
  kinds: V;
}

/**
 * Two attributes, the first of which says what the second holds: IFLA_INFO_KIND and IFLA_INFO_DATA, or an nft
 * expression's name and data. The type checker then refuses veth data on a bridge.
 */
export function tagged<const V extends Kinds>(
  name: string,
  names: { kind: readonly [string, number]; data: readonly [string, number] },
  kinds: V,
): TaggedSet<V> {
  const codecs = kinds as unknown as Record<string, Blob<unknown>>;
  const [[kindName, kindType], [dataName, dataType]] = [names.kind, names.data];
  const table: AnyTable = { [kindName]: [kindType, cstring as Codec<unknown>], [dataName]: [dataType, rawBytes as Codec<unknown>] };
  const both = attrs(name, table);
  const read = (raw: Uint8Array): Tagged<V> => {
    const told = both.read(raw) as Record<string, unknown>;
    const [kind, data] = [(told[kindName] ?? "") as string, told[dataName] as Uint8Array | undefined];
    const codec = codecs[kind];
    if (!codec) return { kind: "unknown", name: kind, ...(data && { raw: data.slice() }) };
    return { kind, ...(data && { data: within(`${name} ${kind}`, () => codec.read(data)) }) } as Tagged<V>;
  };
  const writeBoth = (writer: Writer, value: Tagged<V>): void => {
    const { kind, data, name: other, raw } = value as { kind: string; data?: unknown; name?: string; raw?: Uint8Array };
    writeAttribute(writer, kindType, cstring, other ?? kind);
    if (raw) writeAttribute(writer, dataType, { ...rawBytes, nested: true }, raw);
    const codec = codecs[kind];
    if (data !== undefined && codec) writeAttribute(writer, dataType, { ...codec, nested: true }, data);
  };
  return { kind: "blob", nested: true, name, table, kinds, read, write: writeBoth };
}

/** Children that all have one type and one codec, as NFTA_LIST_ELEM has. */
export function list<T>(type: number, of: Codec<T>): Blob<T[]> & { of: Codec<T>; type: number } {
  return {
    kind: "blob",
    nested: true,
    of,
    type,
    read: (raw) => attributesOf("a list", raw).map(({ body }) => decode(of, body)),
    write: (writer, items) => items.forEach((item) => writeAttribute(writer, type, of, item)),
  };
}

/** Children that have one codec, and as their types the numbers from 1 on: the actions of a filter, in their order. */
export function numbered<T>(of: Codec<T>): Blob<T[]> & { of: Codec<T> } {
  return {
    kind: "blob",
    nested: true,
    of,
    read: (raw) => attributesOf("a numbered list", raw).map(({ body }) => decode(of, body)),
    write: (writer, items) => items.forEach((item, at) => writeAttribute(writer, at + 1, of, item)),
  };
}

/** Adds the attribute's name to what went wrong inside it. */
function within<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw named(name, error);
  }
}

function named(name: string, error: unknown): unknown {
  if (!(error instanceof RangeError) || error.message.startsWith(`In ${name}`)) return error;
  return new RangeError(`In ${name}: ${error.message}`, { cause: error });
}

export type { Fixed };
