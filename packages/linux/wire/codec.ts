/**
 * Codecs: how one value lies in bytes.
 *
 * Names are the kernel's: u32 is __u32 in host order, be32 is __be32 in network order; byte order is in the name,
 * never an argument. A codec writes into one growing buffer, so that a message is laid out once and copied never.
 * Nothing else in this repository touches a DataView; see ./attrs.ts for what is built from these.
 */

/** A value of known size, as a C scalar or struct is. */
export interface Fixed<T> {
  kind: "fixed";
  size: number;
  get(view: DataView, at: number): T;
  put(view: DataView, at: number, value: T): void;
}

/** A value as long as its attribute says: text, raw bytes, attributes inside an attribute. */
export interface Blob<T> {
  kind: "blob";
  /** Attributes stand inside: the type on the wire then carries NLA_F_NESTED. */
  nested: boolean;
  read(bytes: Uint8Array): T;
  write(writer: Writer, value: T): void;
}

export type Codec<T> = Fixed<T> | Blob<T>;
export type Value<C> = C extends Codec<infer T> ? T : never;

const probe = new Uint16Array(1);
probe[0] = 1;
const LITTLE_ENDIAN = new Uint8Array(probe.buffer)[0] === 1;

/** Where a message is laid out: appends, and patches lengths that are known only at the end. */
export interface Writer {
  /** How many bytes stand so far. */
  length(): number;
  /** Makes room for `size` zero bytes and gives the place where they begin. */
  reserve(size: number): number;
  fixed<T>(codec: Fixed<T>, value: T): void;
  raw(bytes: Uint8Array): void;
  /** Overwrites what was reserved at `at`. */
  patch<T>(codec: Fixed<T>, at: number, value: T): void;
  /** A view of what was written, good until the next write. */
  bytes(): Uint8Array;
}

export function createWriter(capacity = 1024): Writer {
  let buffer = new Uint8Array(capacity);
  let view = new DataView(buffer.buffer);
  let length = 0;
  const reserve = (size: number): number => {
    const at = length;
    length += size;
    if (length > buffer.length) {
      const larger = new Uint8Array(Math.max(length, buffer.length * 2));
      larger.set(buffer);
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    return at;
  };
  return {
    length: () => length,
    reserve,
    fixed: (codec, value) => {
      const at = reserve(codec.size); // first: it may replace buffer and view
      codec.put(view, at, value);
    },
    raw: (bytes) => {
      const at = reserve(bytes.length);
      buffer.set(bytes, at);
    },
    patch: (codec, at, value) => codec.put(view, at, value),
    bytes: () => buffer.subarray(0, length),
  };
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Encodes one value alone. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = createWriter();
  write(writer, codec, value);
  return writer.bytes();
}

export function write<T>(writer: Writer, codec: Codec<T>, value: T): void {
  if (codec.kind === "fixed") writer.fixed(codec, value);
  else codec.write(writer, value);
}

/** Decodes one value that fills `bytes`; bytes after a value of known size are ignored, as the kernel does. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  if (codec.kind === "blob") return codec.read(bytes);
  if (bytes.length >= codec.size) return codec.get(viewOf(bytes), 0);
  throw new RangeError(`Cannot decode: ${bytes.length} bytes (${codec.size} are wanted)`);
}

/** @param low below 0 for a signed one; as many numbers are above it as `size` bytes hold */
function integer(size: 1 | 2 | 4, low: number, isLittle: boolean): Fixed<number> {
  const high = low + 2 ** (8 * size) - 1;
  const get = (view: DataView, at: number): number => {
    if (size === 1) return view.getUint8(at);
    if (size === 2) return view.getUint16(at, isLittle);
    return low < 0 ? view.getInt32(at, isLittle) : view.getUint32(at, isLittle);
  };
  const put = (view: DataView, at: number, value: number): void => {
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new RangeError(`Cannot encode ${String(value)} (an integer from ${low} to ${high} is wanted)`);
    }
    if (size === 1) view.setUint8(at, value);
    else if (size === 2) view.setUint16(at, value, isLittle);
    else view.setUint32(at, value, isLittle); // of a negative number the same bits
  };
  return { kind: "fixed", size, get, put };
}

function bigint(isLittle: boolean): Fixed<bigint> {
  const put = (view: DataView, at: number, value: bigint): void => {
    if (value !== BigInt.asUintN(64, value)) throw new RangeError(`Cannot encode ${value} (0 to 2^64-1 is wanted)`);
    view.setBigUint64(at, value, isLittle);
  };
  return { kind: "fixed", size: 8, get: (view, at) => view.getBigUint64(at, isLittle), put };
}

const S32 = -0x8000_0000;
const [host, network] = [LITTLE_ENDIAN, false];

export const u8 = integer(1, 0, host);
export const u16 = integer(2, 0, host);
export const u32 = integer(4, 0, host);
export const s32 = integer(4, S32, host);
export const u64 = bigint(host);
export const be16 = integer(2, 0, network);
export const be32 = integer(4, 0, network);
export const be64 = bigint(network);

/** Bytes that C puts between two fields, or that nobody reads. */
export const pad = (size: number): Fixed<undefined> => ({ kind: "fixed", size, get: () => undefined, put: () => {} });

export const bytes: Blob<Uint8Array> = {
  kind: "blob",
  nested: false,
  read: (raw) => raw.slice(),
  write: (writer, value) => writer.raw(value),
};

/** An attribute that is there or not: its presence is the value. */
export const flag: Blob<true> = { kind: "blob", nested: false, read: () => true, write: () => {} };

/** Text with a zero byte at its end (NLA_NUL_STRING). The kernel may leave the zero out (NLA_STRING). */
export const cstring: Blob<string> = {
  kind: "blob",
  nested: false,
  read: (raw) => {
    const end = raw.indexOf(0);
    return new TextDecoder().decode(end < 0 ? raw : raw.subarray(0, end));
  },
  write: (writer, value) => {
    if (value.includes("\0")) throw new RangeError(`Cannot encode ${JSON.stringify(value)} (no zero byte is wanted)`);
    writer.raw(new TextEncoder().encode(`${value}\0`));
  },
};

type Fields = Record<string, Fixed<unknown>>;
type Scalar = Fixed<undefined> | Fixed<number> | Fixed<bigint>;
/** The fields that carry a value: padding has none. */
export type Shape<F> = {
  [K in keyof F as Value<F[K]> extends undefined ? never : K]: Value<F[K]>;
};
export interface Struct<F> extends Fixed<Partial<Shape<F>>> {
  fields: F;
  decode(raw: Uint8Array): Shape<F>;
}

/** A C struct: its fields in order, with pad() where C pads. A field left out is zero. */
export function struct<const F extends Record<string, Scalar>>(fields: F): Struct<F> {
  const codecs = fields as Fields;
  let size = 0;
  for (const name in codecs) size += codecs[name]?.size ?? 0;
  const get = (view: DataView, at: number) => {
    const out: Record<string, unknown> = {};
    let place = at;
    for (const name in codecs) {
      const codec = codecs[name];
      const value = codec?.get(view, place);
      if (value !== undefined) out[name] = value;
      place += codec?.size ?? 0;
    }
    return out as Partial<Shape<F>> & Shape<F>;
  };
  const put = (view: DataView, at: number, value: Partial<Shape<F>>): void => {
    const given = value as Record<string, unknown>;
    let place = at;
    for (const name in codecs) {
      const codec = codecs[name];
      if (given[name] !== undefined) codec?.put(view, place, given[name]);
      place += codec?.size ?? 0;
    }
  };
  const decode = (raw: Uint8Array): Shape<F> => {
    if (raw.length >= size) return get(viewOf(raw), 0);
    throw new RangeError(`Cannot decode struct ${Object.keys(fields).join(" ")}: ${raw.length} bytes (${size} are wanted)`);
  };
  return { kind: "fixed", size, fields, get, put, decode };
}

/** A C struct whose last member is an array without a length (`struct tc_u32_key keys[]`): as many as there are bytes for. */
export function flexible<F, I>(header: Struct<F>, item: Struct<I>): Blob<{ header: Partial<Shape<F>>; items: Partial<Shape<I>>[] }> & { first: Struct<F>; item: Struct<I> } {
  return {
    kind: "blob",
    nested: false,
    first: header,
    item,
    read: (raw) => ({
      header: decode(header, raw),
      items: Array.from({ length: Math.floor((raw.length - header.size) / item.size) }, (_, at) => decode(item, raw.subarray(header.size + at * item.size))),
    }),
    write: (writer, { header: before, items }) => {
      writer.fixed(header, before);
      for (const one of items) writer.fixed(item, one);
    },
  };
}
