/**
 * Data types: what lies in a register, in a set's key or in a map's value, and how its bytes lie there.
 *
 * Numbers are network order where they come from a packet, and the machine's own where the kernel made them (a mark).
 */
import { ipFrom, type Cidr, type Ip } from "../ip.ts";
import { macFrom } from "../mac.ts";
import { PROTOCOLS, isProtocol, protocolName } from "../protocols.ts";
import { be16, decode, encode, u32, u8 } from "../wire/codec.ts";
import type { DataType, Part } from "./objects.ts";

/** Numbers and lengths in bytes of nft's data types (libnftables' enum datatypes); the kernel only keeps them. */
export const TYPES = {
  ipv4_addr: { number: 7, length: 4 },
  ipv6_addr: { number: 8, length: 16 },
  ether_addr: { number: 9, length: 6 },
  inet_proto: { number: 12, length: 1 },
  inet_service: { number: 13, length: 2 },
  mark: { number: 19, length: 4 },
  ifname: { number: 41, length: 16 },
} as const satisfies Record<DataType, { number: number; length: number }>;

/** What a register of the kernel's machine holds: a part of a concatenation fills whole ones. */
export const aligned = (length: number): number => (length + 3) & ~3;
export const typesOf = (key: DataType | readonly DataType[]): readonly DataType[] => (typeof key === "string" ? [key] : key);

/** How long values of these types lie one after another. */
export const lengthsOf = (types: readonly DataType[]): number[] =>
  types.map((type) => (types.length > 1 ? aligned(TYPES[type].length) : TYPES[type].length));
/** The types as one number: six bits each, as nft packs them. */
export const numberOfTypes = (types: readonly DataType[]): number => types.reduce((number, type) => (number << 6) | TYPES[type].number, 0);

/** The parts one after another. RangeError where one does not fit its type. */
export function joined(types: readonly DataType[], parts: readonly Part[]): Uint8Array {
  const lengths = lengthsOf(types);
  const all = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let place = 0;
  for (const [at, type] of types.entries()) {
    const bytes = bytesOf(type, parts[at] ?? "");
    if (bytes.length !== TYPES[type].length) throw new RangeError(`Cannot use ${String(parts[at])} as ${type} (${TYPES[type].length} bytes are wanted)`);
    all.set(bytes, place);
    place += lengths[at] ?? 0;
  }
  return all;
}

/** The parts that lie one after another in `bytes`. RangeError where there are too few. */
export function split(types: readonly DataType[], bytes: Uint8Array): Part[] {
  let at = 0;
  return lengthsOf(types).map((length, index) => {
    const type = types[index] ?? "mark";
    const part = bytes.subarray(at, at + TYPES[type].length);
    if (part.length < TYPES[type].length) throw new RangeError(`Cannot read ${types.join(" . ")}: ${bytes.length} bytes`);
    at += length;
    return partFrom(type, part.slice());
  });
}

function bytesOf(type: DataType, part: Part): Uint8Array {
  if (typeof part === "string") return type === "inet_proto" ? encode(u8, numberOf(part)) : nameBytes(part);
  if (typeof part !== "number") return isCidr(part) ? part.ip.bytes : part.bytes;
  if (type === "mark") return encode(u32, part);
  return type === "inet_proto" ? encode(u8, part) : encode(be16, part);
}

function partFrom(type: DataType, bytes: Uint8Array): Part {
  if (type === "ipv4_addr" || type === "ipv6_addr") return ipFrom(bytes);
  if (type === "ether_addr") return macFrom(bytes);
  if (type === "ifname") return new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
  if (type === "mark") return decode(u32, bytes);
  if (type === "inet_service") return decode(be16, bytes);
  const number = decode(u8, bytes);
  return protocolName(number) ?? number;
}

/** A device's name, with zeros up to sixteen bytes. */
export function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(TYPES.ifname.length);
  bytes.set(new TextEncoder().encode(name).subarray(0, bytes.length - 1));
  return bytes;
}

function numberOf(protocol: string): number {
  if (isProtocol(protocol)) return PROTOCOLS[protocol];
  throw new RangeError(`Cannot use ${JSON.stringify(protocol)} as inet_proto (one of ${Object.keys(PROTOCOLS).join(", ")} is wanted)`);
}

/** An address alone. */
export const isIp = (part: Part | undefined): part is Ip => typeof part === "object" && "family" in part && !("ip" in part);
export const isCidr = (part: Part): part is Cidr => typeof part === "object" && "ip" in part;
