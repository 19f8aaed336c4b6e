/** Sets and their elements as they lie on the wire: types, lengths, and what a prefix becomes. */
import { bitsOf, cidrOf, lastOf, networkOf, numberOf, plus, sameIp, type Ip } from "../ip.ts";
import { NFTA_LIST, NFTA_SET_ELEM, NFTA_SET_ELEM_LIST, NFT_DATA, NFT_SET, NFT_SET_ELEM, setElements, type NFTA_DATA } from "../uapi/nf_tables.ts";
import { attributesOf, list } from "../wire/attrs.ts";
import { encode, type Value } from "../wire/codec.ts";
import type { DataType, Element, KernelElement, Key, NftSet, Part } from "./objects.ts";
import type { Word } from "./fields.ts";
import { isCidr, isIp, joined, lengthsOf, numberOfTypes, split, typesOf } from "./types.ts";
import { numberTag, tagOf, USERDATA_ELEMENT_COMMENT, USERDATA_NOTE, USERDATA_SET_DATABYTEORDER, USERDATA_SET_KEYBYTEORDER, userdataText } from "./userdata.ts";
import { counter, verdictOf } from "./words.ts";

type WireElement = Value<typeof NFTA_SET_ELEM>;
type WireData = Value<typeof NFTA_DATA>;

const sumOf = (lengths: readonly number[]): number => lengths.reduce((sum, length) => sum + length, 0);

/** The attributes that say what a set holds. */
export function describeSet({ key, interval = false, value, counter: counts = false, timeout = false, size = 0 }: NftSet) {
  const types = typesOf(key);
  const lengths = lengthsOf(types);
  const isRange = types.length > 1 && interval;
  const values = value === undefined || value === "verdict" ? [] : typesOf(value);
  const hints = [
    ...(isHostOrder(types) ? numberTag(USERDATA_SET_KEYBYTEORDER, HOST_ENDIAN) : []),
    ...(isHostOrder(values) ? numberTag(USERDATA_SET_DATABYTEORDER, HOST_ENDIAN) : []),
  ];
  return {
    FLAGS: (interval ? NFT_SET.INTERVAL : 0) | (value ? NFT_SET.MAP : 0) | (isRange ? NFT_SET.CONCAT : 0) | (timeout ? NFT_SET.TIMEOUT : 0) | (size > 0 ? NFT_SET.EVAL : 0),
    KEY_TYPE: numberOfTypes(types),
    KEY_LEN: sumOf(lengths),
    ...(value === "verdict" && { DATA_TYPE: NFT_DATA.VERDICT }),
    ...(values.length > 0 && { DATA_TYPE: numberOfTypes(values), DATA_LEN: sumOf(lengthsOf(values)) }),
    ...((isRange || size > 0) && { DESC: { ...(size > 0 && { SIZE: size }), ...(isRange && { CONCAT: lengths.map((length) => ({ LEN: length })) }) } }),
    ...(counts && counter.expressions[0] && { EXPR: counter.expressions[0] }),
    ...(hints.length > 0 && { USERDATA: Uint8Array.from(hints) }),
  };
}

const HOST_ENDIAN = 1; // libnftables' enum byteorder
/** What is no part of a packet is in the machine's own order, and nft prints it so only where the set says that it is. */
const isHostOrder = ([only, ...more]: readonly DataType[]): boolean => (only === "ifname" || only === "mark") && more.length === 0;

/** An element as the kernel wants it; a prefix in a plain interval set is its first address and the one after its last. */
export function wireElements(set: NftSet, { key, value, comment, note, timeoutSeconds, packets, bytes }: Element): WireElement[] {
  const types = typesOf(set.key);
  const parts = isList(key) ? key : [key];
  if (parts.length !== types.length) {
    throw new RangeError(`Cannot add ${parts.join(" . ")} to set "${set.name}" (${types.join(" . ")} is wanted)`);
  }
  const tags = [...(comment === undefined ? [] : tagOf(USERDATA_ELEMENT_COMMENT, comment)), ...(note === undefined ? [] : tagOf(USERDATA_NOTE, note))];
  const rest: WireElement = {
    ...(value !== undefined && { DATA: dataOf(set, value) }), ...(tags.length > 0 && { USERDATA: Uint8Array.from(tags) }),
    ...(timeoutSeconds !== undefined && { TIMEOUT: BigInt(timeoutSeconds) * MS }),
    ...(packets !== undefined && { EXPR: { kind: "counter", data: { BYTES: bytes ?? 0n, PACKETS: packets } } }),
  };
  if (!set.interval && parts.some((part) => isCidr(part) && part.prefix < bitsOf(part.family))) {
    throw new RangeError(`Cannot put ${parts.join(" . ")} into set "${set.name}": it holds no prefixes (an interval set is wanted)`);
  }
  const first = joined(types, parts.map((part) => (isCidr(part) ? networkOf(part).ip : part)));
  if (!set.interval) return [{ KEY: { VALUE: first }, ...rest }];
  const last = parts.map((part) => (isCidr(part) ? lastOf(part) : part));
  if (types.length > 1) return [{ KEY: { VALUE: first }, KEY_END: { VALUE: joined(types, last) }, ...rest }];
  const end = after(last[0]);
  return [
    { KEY: { VALUE: first }, ...rest },
    ...(end ? [{ KEY: { VALUE: end.bytes }, FLAGS: NFT_SET_ELEM.INTERVAL_END }] : []),
  ];
}

const MS = 1000n; // times of elements are in milliseconds

function dataOf(set: NftSet, value: Key | Word): WireData {
  if (typeof value === "object" && "expressions" in value) {
    const [only] = value.expressions;
    if (only?.kind === "immediate" && only.data?.DATA) return only.data.DATA;
    throw new TypeError(`Cannot put "${value.text}" into map "${set.name}" (a verdict is wanted)`);
  }
  if (!set.value || set.value === "verdict") throw new TypeError(`Cannot put a value into "${set.name}": it is no map of values`);
  const types = typesOf(set.value);
  const parts = isList(value) ? value : [value];
  if (parts.length === types.length) return { VALUE: joined(types, parts) };
  throw new RangeError(`Cannot put ${parts.join(" . ")} into map "${set.name}" (${types.join(" . ")} is wanted)`);
}

/** Where an interval ends, exclusive; the end of the address space needs no mark. */
function after(part: Part | undefined): Ip | undefined {
  if (part === undefined || typeof part !== "object" || !("family" in part) || isCidr(part)) {
    throw new TypeError("Cannot make an interval of that (an address or a prefix is wanted)");
  }
  return part.bytes.every((byte) => byte === 0xff) ? undefined : plus(part, 1n);
}

/** Of a message with elements: those that have the text in them, read, and how many there are. A search through bytes costs a fraction of reading them. */
export function commentedIn(message: Uint8Array, text: string): { found: WireElement[]; count: number } {
  const wanted = new TextEncoder().encode(text);
  const bodies = bodiesIn(message);
  return { found: bodies.filter((body) => bufferOf(body).includes(wanted)).map((body) => NFTA_SET_ELEM.read(body)), count: bodies.length };
}

/** Of a message with elements: each one's key as text. */
export function keysIn(message: Uint8Array): string[] {
  return bodiesIn(message).map((body) => {
    const key = attributesOf("element", body).find(({ type }) => type === KEY);
    return key ? bufferOf(key.body).toString("latin1") : "";
  });
}

const [KEY] = NFTA_SET_ELEM.table.KEY;

function bodiesIn(message: Uint8Array): Uint8Array[] {
  const list = attributesOf("elements", message.subarray(setElements.header.size)).find(({ type }) => type === NFTA_SET_ELEM_LIST.table.ELEMENTS[0]);
  return list ? attributesOf("elements", list.body).map(({ body }) => body) : [];
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** What the kernel tells of a set's elements, as they were put in. */
export function elementsFrom(set: NftSet, wire: readonly WireElement[]): KernelElement[] {
  const types = typesOf(set.key);
  const isPlainInterval = set.interval === true && types.length === 1;
  if (isPlainInterval) return prefixesFrom(set, wire);
  return wire.map((one) => {
    const first = split(types, one.KEY?.VALUE ?? new Uint8Array());
    const last = one.KEY_END?.VALUE && split(types, one.KEY_END.VALUE);
    return { key: first.map((part, at) => between(part, last?.[at] ?? part)), ...restFrom(set, one) };
  });
}

/** True where the kernel's element is the one that `element` asks for: key, value and comment. */
export function sameElement(kernel: KernelElement, set: NftSet, element: Element): boolean {
  const { packets: _packets, bytes: _bytes, timeoutSeconds: _timeout, ...told } = kernel;
  const bytesOf = (one: Element): Uint8Array => encode(list(NFTA_LIST.ELEM, NFTA_SET_ELEM), wireElements(set, one)).slice();
  return Buffer.compare(bytesOf(told), bytesOf(element)) === 0;
}

function restFrom(set: NftSet, { DATA, USERDATA, EXPR, TIMEOUT, EXPIRATION }: WireElement): Omit<KernelElement, "key"> {
  const [comment, note] = [userdataText(USERDATA, USERDATA_ELEMENT_COMMENT), userdataText(USERDATA, USERDATA_NOTE)];
  const value = DATA?.VERDICT ? verdictOf(DATA.VERDICT.CODE ?? 0, DATA.VERDICT.CHAIN) : DATA?.VALUE && set.value && set.value !== "verdict" ? split(typesOf(set.value), DATA.VALUE) : undefined;
  return {
    ...(value && { value }), ...(comment !== "" && { comment }), ...(note !== "" && { note }),
    ...(EXPR?.kind === "counter" && { packets: EXPR.data?.PACKETS ?? 0n, bytes: EXPR.data?.BYTES ?? 0n }),
    ...(TIMEOUT !== undefined && { timeoutSeconds: Number(TIMEOUT / MS) }), ...(EXPIRATION !== undefined && { expiresSeconds: Number(EXPIRATION) / Number(MS) }),
  };
}

/** One value, or the prefix that begins with one and ends with the other. RangeError where it is neither: nobody here makes such an element. */
function between(first: Part, last: Part): Part {
  if (typeof first !== "object" || typeof last !== "object" || !("family" in first) || !("family" in last) || isCidr(first) || isCidr(last)) return first;
  if (sameIp(first, last)) return first;
  const prefix = cidrOf(first, bitsInCommon(first.bytes, last.bytes));
  if (sameIp(networkOf(prefix).ip, first) && sameIp(lastOf(prefix), last)) return prefix;
  throw new RangeError(`Cannot read the interval ${first}-${last} (a prefix is wanted)`);
}

/** How many bits both begin with. */
function bitsInCommon(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length * 8 : at * 8 + Math.clz32((a[at] ?? 0) ^ (b[at] ?? 0)) - 24;
}

/** Elements of a plain interval set lie as marks on a line: here one begins, here one has ended. */
function prefixesFrom(set: NftSet, wire: readonly WireElement[]): KernelElement[] {
  const marks = wire.map((one) => ({ one, at: split(typesOf(set.key), one.KEY?.VALUE ?? new Uint8Array())[0], isEnd: ((one.FLAGS ?? 0) & NFT_SET_ELEM.INTERVAL_END) !== 0 }))
    .flatMap(({ one, at, isEnd }) => (isIp(at) ? [{ one, at, isEnd, number: numberOf(at) }] : []))
    .toSorted((a, b) => (a.number === b.number ? Number(b.isEnd) - Number(a.isEnd) : a.number < b.number ? -1 : 1));
  return marks.flatMap(({ one, at, isEnd }, index) => {
    if (isEnd) return [];
    const end = marks[index + 1]?.at;
    const last = end ? plus(end, -1n) : lastOf(cidrOf(at, 0));
    return [{ key: [between(at, last)], ...restFrom(set, one) }];
  });
}

const isList = (key: Key): key is readonly Part[] => Array.isArray(key);
