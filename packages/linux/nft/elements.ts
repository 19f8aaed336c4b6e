/** Sets and their elements as they lie on the wire: types, lengths, and what a prefix becomes. */
import { bitsOf, lastOf, networkOf, plus, type Cidr, type Ip } from "../ip.ts";
import { NFT_DATA, NFT_SET, NFT_SET_ELEM, type NFTA_DATA, type NFTA_SET_ELEM } from "../uapi/nf_tables.ts";
import type { Value } from "../wire/codec.ts";
import type { DataType, Element, NftSet, Part } from "./objects.ts";
import { numberTag, tagOf, USERDATA_ELEMENT_COMMENT, USERDATA_SET_DATABYTEORDER, USERDATA_SET_KEYBYTEORDER, userdataText } from "./userdata.ts";
import type { Word } from "./words.ts";

/** Numbers and lengths in bytes of nft's data types (libnftables' enum datatypes); the kernel only keeps them. */
const TYPES = {
  ipv4_addr: { number: 7, length: 4 },
  ipv6_addr: { number: 8, length: 16 },
  ether_addr: { number: 9, length: 6 },
  inet_proto: { number: 12, length: 1 },
  inet_service: { number: 13, length: 2 },
  mark: { number: 19, length: 4 },
  ifname: { number: 41, length: 16 },
} as const satisfies Record<DataType, { number: number; length: number }>;

type WireElement = Value<typeof NFTA_SET_ELEM>;
type WireData = Value<typeof NFTA_DATA>;

const HOST_ENDIAN = 1; // libnftables' enum byteorder
/** What is no part of a packet is in the machine's own order, and nft prints it so only where the set says that it is. */
const isHostOrder = (type: DataType): boolean => type === "ifname" || type === "mark";
const aligned = (length: number): number => (length + 3) & ~3;
const partsOf = (key: NftSet["key"]): readonly DataType[] => (typeof key === "string" ? [key] : key);

/** The attributes that say what a set holds. */
export function describeSet({ key, interval = false, value }: NftSet) {
  const parts = partsOf(key);
  const flags = (interval ? NFT_SET.INTERVAL : 0) | (value ? NFT_SET.MAP : 0) | (parts.length > 1 ? NFT_SET.CONCAT : 0);
  const lengths = parts.map((part) => (parts.length > 1 ? aligned(TYPES[part].length) : TYPES[part].length));
  const isVerdict = value === "verdict";
  const hints = [
    ...(parts.length === 1 && parts.some(isHostOrder) ? numberTag(USERDATA_SET_KEYBYTEORDER, HOST_ENDIAN) : []),
    ...(value && value !== "verdict" && isHostOrder(value) ? numberTag(USERDATA_SET_DATABYTEORDER, HOST_ENDIAN) : []),
  ];
  return {
    FLAGS: interval ? flags : flags & ~(interval ? 0 : NFT_SET.CONCAT),
    KEY_TYPE: parts.reduce((number, part) => (number << 6) | TYPES[part].number, 0), // six bits each, as nft packs them
    KEY_LEN: lengths.reduce((sum, length) => sum + length, 0),
    ...(value && {
      DATA_TYPE: isVerdict ? NFT_DATA.VERDICT : TYPES[value].number,
      ...(!isVerdict && { DATA_LEN: TYPES[value].length }),
    }),
    ...(hints.length > 0 && { USERDATA: Uint8Array.from(hints) }),
    ...(parts.length > 1 && interval && { DESC: { CONCAT: lengths.map((length) => ({ LEN: length })) } }),
  };
}

/** An element as the kernel wants it; a prefix in a plain interval set is its first address and the one after its last. */
export function wireElements(set: NftSet, { key, value, comment }: Element): WireElement[] {
  const types = partsOf(set.key);
  const parts = isList(key) ? key : [key];
  if (parts.length !== types.length) {
    throw new RangeError(`Cannot add ${parts.join(" . ")} to set "${set.name}" (${types.join(" . ")} is wanted)`);
  }
  const data = {
    ...(value !== undefined && { DATA: dataOf(set, value) }),
    ...(comment !== undefined && { USERDATA: tagOf(USERDATA_ELEMENT_COMMENT, comment) }),
  };
  if (!set.interval && parts.some((part) => isCidr(part) && part.prefix < bitsOf(part.family))) {
    throw new RangeError(`Cannot put ${parts.join(" . ")} into set "${set.name}": it holds no prefixes (an interval set is wanted)`);
  }
  const first = join(types, parts.map((part) => (isCidr(part) ? networkOf(part).ip : part)));
  if (!set.interval) return [{ KEY: { VALUE: first }, ...data }];
  const last = parts.map((part) => (isCidr(part) ? lastOf(part) : part));
  if (types.length > 1) return [{ KEY: { VALUE: first }, KEY_END: { VALUE: join(types, last) }, ...data }];
  const end = after(last[0]);
  return [
    { KEY: { VALUE: first }, ...data },
    ...(end ? [{ KEY: { VALUE: end.bytes }, FLAGS: NFT_SET_ELEM.INTERVAL_END }] : []),
  ];
}

/** An element as the kernel has it. */
export interface KernelElement {
  key: Uint8Array;
  /** Of a map of verdicts: its number (NF, NFT_VERDICT). */
  verdict: number | undefined;
  comment: string;
}

/** Elements as the kernel lists them; of an interval also those that mark its end. */
export const kernelElement = ({ KEY, DATA, USERDATA }: WireElement): KernelElement | undefined =>
  KEY?.VALUE && { key: KEY.VALUE, verdict: DATA?.VERDICT?.CODE, comment: userdataText(USERDATA, USERDATA_ELEMENT_COMMENT) };

/** True where the kernel's element is the one that `element` asks for: key, verdict and comment. */
export function sameElement(kernel: KernelElement, set: NftSet, element: Element): boolean {
  const wanted = wireElements(set, element).map(kernelElement)[0];
  return wanted !== undefined && String(wanted.key) === String(kernel.key) && wanted.verdict === kernel.verdict && wanted.comment === kernel.comment;
}

function dataOf(set: NftSet, value: Part | Word): WireData {
  if (typeof value === "object" && "expressions" in value) {
    const [only] = value.expressions;
    if (only?.kind === "immediate" && only.data?.DATA) return only.data.DATA;
    throw new TypeError(`Cannot put "${value.text}" into map "${set.name}" (a verdict is wanted)`);
  }
  if (!set.value || set.value === "verdict") throw new TypeError(`Cannot put a value into "${set.name}": it is no map of values`);
  return { VALUE: join([set.value], [value]) };
}

/** The parts one after another; in a concatenation each fills whole registers of four bytes. */
function join(types: readonly DataType[], parts: readonly Part[]): Uint8Array {
  const fields = types.map((type, at) => {
    const { length } = TYPES[type];
    const bytes = bytesOf(type, parts[at] ?? "");
    if (bytes.length !== length) throw new RangeError(`Cannot use ${String(parts[at])} as ${type} (${length} bytes are wanted)`);
    const room = new Uint8Array(types.length > 1 ? aligned(length) : length);
    room.set(bytes);
    return room;
  });
  return Uint8Array.from(fields.flatMap((bytes) => [...bytes]));
}

function bytesOf(type: DataType, part: Part): Uint8Array {
  if (typeof part === "string") {
    const name = new Uint8Array(TYPES.ifname.length);
    name.set(new TextEncoder().encode(part).subarray(0, name.length - 1));
    return name;
  }
  if (typeof part !== "number") return isCidr(part) ? part.ip.bytes : part.bytes;
  if (type === "mark") return new Uint8Array(Uint32Array.of(part).buffer); // in the machine's own order
  return Uint8Array.from({ length: TYPES[type].length }, (_, at) => (part >> (8 * (TYPES[type].length - 1 - at))) & 0xff);
}

/** Where an interval ends, exclusive; the end of the address space needs no mark. */
function after(part: Part | undefined): Ip | undefined {
  if (part === undefined || typeof part !== "object" || isCidr(part)) {
    throw new TypeError("Cannot make an interval of that (an address or a prefix is wanted)");
  }
  return part.bytes.every((byte) => byte === 0xff) ? undefined : plus(part, 1n);
}

const isCidr = (part: Part): part is Cidr => typeof part === "object" && "ip" in part;
const isList = (key: Element["key"]): key is readonly Part[] => Array.isArray(key);
