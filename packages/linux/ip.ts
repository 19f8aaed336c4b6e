/**
 * IP addresses and prefixes, IPv4 and IPv6 as one code path with a family.
 *
 * Text only at the borders: parseIp and parseCidr on the way in, String() on the way out (RFC 5952 for IPv6). The
 * parser is as strict as the kernel's users are used to: no leading zeros in IPv4, no zones, no short forms.
 */
import { AF } from "./uapi/socket.ts";

export type Family = 4 | 6;

export interface Ip {
  readonly family: Family;
  /** Four or sixteen bytes, in network order. */
  readonly bytes: Uint8Array;
  toString(): string;
}

/** An address with the length of its network's prefix. The host's bits are kept: 10.1.2.3/24 stays what it is. */
export interface Cidr {
  readonly family: Family;
  readonly ip: Ip;
  readonly prefix: number;
  toString(): string;
}

/** For JSON.stringify: addresses and prefixes, wherever they stand in a value, as their text. */
export const addressesAsText = (_key: string, value: unknown): unknown => (isAddress(value) ? String(value) : value);

const isAddress = (value: unknown): value is Ip | Cidr => typeof value === "object" && value !== null && "family" in value && ("bytes" in value || "prefix" in value);

export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128);
/** The family's number in the kernel: AF_INET, AF_INET6. */
export const afOf = (family: Family): number => (family === 4 ? AF.INET : AF.INET6);
export const familyOf = (af: number): Family | undefined => (af === AF.INET ? 4 : af === AF.INET6 ? 6 : undefined);

/** An address from its bytes; RangeError for any other number of bytes than 4 or 16. */
export function ipFrom(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return { family: 4, bytes, toString: () => bytes.join(".") };
  if (bytes.length === 16) return { family: 6, bytes, toString: () => textOf6(bytes) };
  throw new RangeError(`Cannot read an IP address: ${bytes.length} bytes (4 or 16 are wanted)`);
}

/** Reads an address; RangeError names what is wrong with it. */
export function parseIp(text: string): Ip {
  const bytes = text.includes(":") ? bytesOf6(text) : bytesOf4(text);
  if (bytes) return ipFrom(bytes);
  throw new RangeError(`Cannot read "${text}" (an IP address is wanted, such as 10.1.0.5 or fd00::5)`);
}

/** Reads an address with a prefix length. */
export function parseCidr(text: string): Cidr {
  const [address = "", digits = "", ...more] = text.split("/");
  const bytes = address.includes(":") ? bytesOf6(address) : bytesOf4(address);
  const prefix = bytes && decimalIn(digits, bytes.length * 8);
  if (!bytes || prefix === undefined || more.length > 0) {
    throw new RangeError(`Cannot read "${text}" (a prefix is wanted, such as 10.1.0.0/24 or fd00::/64)`);
  }
  return cidrOf(ipFrom(bytes), prefix);
}

export function cidrOf(ip: Ip, prefix: number = bitsOf(ip.family)): Cidr {
  return { family: ip.family, ip, prefix, toString: () => `${ip}/${prefix}` };
}

/** The prefix with the host's bits zero: 10.1.2.3/24 → 10.1.2.0/24. */
export function networkOf({ ip, prefix }: Cidr): Cidr {
  return cidrOf(masked(ip, prefix, 0x00), prefix);
}

/** The last address of the prefix; in IPv4 the broadcast address of a subnet. */
export function lastOf({ ip, prefix }: Cidr): Ip {
  return masked(ip, prefix, 0xff);
}

/** True when `inner`, an address or a whole prefix, lies in `outer`. */
export function contains(outer: Cidr, inner: Ip | Cidr): boolean {
  const ip = "ip" in inner ? inner.ip : inner;
  const prefix = "ip" in inner ? inner.prefix : bitsOf(inner.family);
  return ip.family === outer.family && prefix >= outer.prefix && sameIp(masked(ip, outer.prefix, 0), networkOf(outer).ip);
}

export const overlaps = (a: Cidr, b: Cidr): boolean => contains(a, networkOf(b)) || contains(b, networkOf(a));

/** Below 0 when `a` comes before `b`, above 0 when it comes after; of one family. */
export function compareIps(a: Ip, b: Ip): number {
  let at = 0;
  while (at < a.bytes.length - 1 && a.bytes[at] === b.bytes[at]) at++;
  return (a.bytes[at] ?? 0) - (b.bytes[at] ?? 0);
}

export const sameIp = (a: Ip, b: Ip): boolean => a.family === b.family && compareIps(a, b) === 0;
export const sameCidr = (a: Cidr, b: Cidr): boolean => a.prefix === b.prefix && sameIp(a.ip, b.ip);

/** The address as a number, so that addresses can be counted. */
export function numberOf(ip: Ip): bigint {
  return BigInt(`0x${ip.bytes.toHex()}`);
}

/** The address that many further on, or back; RangeError at the end of the address space. */
export function plus(ip: Ip, distance: bigint): Ip {
  const bits = bitsOf(ip.family);
  let number = numberOf(ip) + distance;
  if (number < 0n || number >> BigInt(bits) !== 0n) throw new RangeError(`Cannot add ${distance} to ${ip}: no such address`);
  const bytes = new Uint8Array(bits / 8);
  for (let at = bytes.length - 1; at >= 0; at--, number >>= 8n) bytes[at] = Number(number & 0xffn);
  return ipFrom(bytes);
}

function masked(ip: Ip, prefix: number, fill: number): Ip {
  const bytes = ip.bytes.slice();
  for (let index = prefix >> 3, kept = prefix & 7; index < bytes.length; index++, kept = 0) {
    const mask = (0xff00 >> kept) & 0xff; // `kept` of this byte's bits are the network's
    bytes[index] = ((bytes[index] ?? 0) & mask) | (fill & ~mask);
  }
  return ipFrom(bytes);
}

function bytesOf4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    const value = decimalIn(part, 255);
    if (value === undefined) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

/** The number that a text is, if it is written in the one way: no sign, no zeros in front. */
function decimalIn(text: string, highest: number): number | undefined {
  const value = Number(text);
  return String(value) === text && value >= 0 && value <= highest ? value : undefined;
}

function bytesOf6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf(halves[0] ?? "", halves.length === 1), groupsOf(halves[1] ?? "", true)];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Groups of sixteen bits; the last of all may be written as an IPv4 address (RFC 4291 section 2.2). */
function groupsOf(text: string, atEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const last = parts.at(-1) ?? "";
  const embedded = atEnd && last.includes(".") ? bytesOf4(last) : undefined;
  const plain = embedded ? parts.slice(0, -1) : parts;
  if (!plain.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = embedded ?? [];
  return [...plain.map((part) => Number.parseInt(part, 16)), ...(embedded ? [(a << 8) | b, (c << 8) | d] : [])];
}

function textOf6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return `::ffff:${bytes.slice(12).join(".")}`;
  const { start, length } = longestZeros(groups);
  if (length < 2) return hexGroups(groups);
  return `${hexGroups(groups.slice(0, start))}::${hexGroups(groups.slice(start + length))}`;
}

const hexGroups = (groups: number[]): string => groups.map((group) => group.toString(16)).join(":");

function longestZeros(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, at) => {
    if (group !== 0) start = at + 1;
    else if (at + 1 - start > best.length) best = { start, length: at + 1 - start };
  });
  return best;
}
