/**
 * DHCP options by name, number and what their bytes mean (RFC 2132; 119: RFC 3397; 121: RFC 3442).
 *
 *     valueOf(message.options, OPTION.ROUTER)     the routers, or undefined
 *
 * Text that comes from a server ends in files such as resolv.conf, so a name with anything but a name's letters is refused.
 */
import { bitsOf, cidrOf, ipFrom, networkOf, type Cidr, type Ip } from "@vethwork/linux";
import { be16, be32, bytes, decode, encode, u8, type Blob, type Fixed, type Writer } from "@vethwork/linux/wire/codec.ts";
import type { Options } from "./message.ts";

/** A route as both options have it: of 33 the prefix length follows from the address' class. */
export interface Way {
  dst: Cidr;
  /** 0.0.0.0: on the link itself. */
  via: Ip;
}

/** An option: its number, and its value's codec. */
export type Option<T> = readonly [code: number, codec: Blob<T>];

const blob = <T>(read: (raw: Uint8Array) => T, put: (value: T) => readonly number[]): Blob<T> => ({
  kind: "blob", nested: false, read,
  write: (writer: Writer, value: T) => writer.raw(Uint8Array.from(put(value))),
});

/** A number of exactly its size. */
const exactly = (codec: Fixed<number>): Blob<number> => blob((raw) => {
  if (raw.length !== codec.size) throw new RangeError(`Cannot read a DHCP option: ${raw.length} bytes (${codec.size} are wanted)`);
  return decode(codec, raw);
}, (value) => [...encode(codec, value)]);

const ADDRESS = 4;

/** Things of one size, one after the other, at least one. */
const several = <T>(size: number, read: (raw: Uint8Array) => T, put: (value: T) => readonly number[]): Blob<T[]> => blob((raw) => {
  if (raw.length === 0 || raw.length % size !== 0) throw new RangeError(`Cannot read a DHCP option: ${raw.length} bytes (a multiple of ${size} is wanted)`);
  return Array.from({ length: raw.length / size }, (_, at) => read(raw.slice(at * size, (at + 1) * size)));
}, (values) => values.flatMap(put));

const addresses = several(ADDRESS, ipFrom, (ip) => [...ip.bytes]);
const codes = several(1, (raw) => raw[0] ?? 0, (code) => [code]);

const address: Blob<Ip> = blob((raw) => {
  if (raw.length !== ADDRESS) throw new RangeError(`Cannot read a DHCP option: ${raw.length} bytes (an address of ${ADDRESS} is wanted)`);
  return ipFrom(raw.slice());
}, (ip) => [...ip.bytes]);

/** A netmask as the length of its prefix. */
const mask: Blob<number> = blob((raw) => {
  const bits = [...raw].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  if (raw.length !== ADDRESS || !/^1*0*$/.test(bits)) throw new RangeError(`Cannot read a netmask: ${[...raw].join(".")} (ones, then zeros are wanted)`);
  return bits.lastIndexOf("1") + 1;
}, (prefix) => Array.from({ length: ADDRESS }, (_, at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - at * 8)))));

/** Text; some servers end it with zero bytes. */
const text: Blob<string> = blob((raw) => new TextDecoder().decode(raw).replace(/\0+$/, ""), (value) => [...new TextEncoder().encode(value)]);

const domain: Blob<string> = blob((raw) => checkName(text.read(raw).replace(/\.$/, "")), (value) => [...new TextEncoder().encode(value)]);

/** Classless routes: a prefix's length, as many of its bytes as it needs, the router. */
const ways: Blob<Way[]> = blob((raw) => {
  const found: Way[] = [];
  for (let at = 0; at < raw.length; ) {
    const prefix = raw[at++] ?? 0;
    const significant = Math.ceil(prefix / 8);
    const end = at + significant + ADDRESS;
    if (prefix > bitsOf(4) || end > raw.length) throw new RangeError(`Cannot read a classless route: ${prefix} bits and ${raw.length - at} bytes (up to 32, and ${significant + ADDRESS} are wanted)`);
    const dst = new Uint8Array(ADDRESS);
    dst.set(raw.subarray(at, at + significant));
    found.push({ dst: networkOf(cidrOf(ipFrom(dst), prefix)), via: ipFrom(raw.slice(end - ADDRESS, end)) });
    at = end;
  }
  return found;
}, (value) => value.flatMap(({ dst, via }) => [dst.prefix, ...dst.ip.bytes.subarray(0, Math.ceil(dst.prefix / 8)), ...via.bytes]));

/** Routes of the time when an address said itself how long its network's part is. */
const classfulWays: Blob<Way[]> = several(2 * ADDRESS, (raw) => {
  const first = raw[0] ?? 0;
  const prefix = first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
  return { dst: networkOf(cidrOf(ipFrom(raw.slice(0, ADDRESS)), prefix)), via: ipFrom(raw.slice(ADDRESS)) };
}, ({ dst, via }) => [...dst.ip.bytes, ...via.bytes]);

/** Names in DNS's own form, in which a name may end with the place of one before (RFC 1035 section 4.1.4). */
const names: Blob<string[]> = blob((raw) => {
  const found: string[] = [];
  for (let at = 0; at < raw.length; ) {
    const { name, next } = nameAt(raw, at);
    found.push(checkName(name));
    at = next;
  }
  return found;
}, (values) => values.flatMap((name) => [...name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]), 0]));

const POINTER = 0xc0;

function nameAt(raw: Uint8Array, start: number): { name: string; next: number } {
  const labels: string[] = [];
  let next: number | undefined;
  for (let at = start; ; ) {
    const length = raw[at] ?? POINTER;
    if (length === 0) return { name: labels.join("."), next: next ?? at + 1 };
    const target = ((length & ~POINTER) << 8) | (raw[at + 1] ?? 0);
    const isPointer = (length & POINTER) === POINTER;
    // Each step goes back or forth by a label of at most 127, so a circle ends here.
    if (labels.length > 127 || at + 1 >= raw.length || (isPointer && target >= at)) throw new RangeError(`Cannot read domain names: no name ends at byte ${at} of ${raw.length}`);
    if (isPointer) next ??= at + 2;
    else labels.push(new TextDecoder().decode(raw.subarray(at + 1, at + 1 + length)));
    at = isPointer ? target : at + 1 + length;
  }
}

function checkName(name: string): string {
  if (name.length <= 253 && /^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(name)) return name;
  throw new RangeError(`Cannot read ${JSON.stringify(name.slice(0, 80))} (a domain name is wanted)`);
}

export const OPTION = {
  SUBNET_MASK:       [1,   mask],
  ROUTER:            [3,   addresses],
  DNS:               [6,   addresses],
  HOST_NAME:         [12,  text],
  DOMAIN_NAME:       [15,  domain],
  MTU:               [26,  exactly(be16)],
  STATIC_ROUTE:      [33,  classfulWays],
  REQUESTED_ADDRESS: [50,  address],
  LEASE_TIME:        [51,  exactly(be32)],
  MESSAGE_TYPE:      [53,  exactly(u8)],
  SERVER:            [54,  address],
  ASK:               [55,  codes],
  WORDS:             [56,  text],          // why a server says no
  LARGEST_MESSAGE:   [57,  exactly(be16)],
  RENEWAL_TIME:      [58,  exactly(be32)],
  REBINDING_TIME:    [59,  exactly(be32)],
  VENDOR_CLASS:      [60,  bytes],
  CLIENT:            [61,  bytes],
  USER_CLASS:        [77,  bytes],
  DOMAIN_SEARCH:     [119, names],
  CLASSLESS_ROUTE:   [121, ways],
} as const satisfies Readonly<Record<string, readonly [number, Blob<unknown>]>>;

export const TYPE = { DISCOVER: 1, OFFER: 2, REQUEST: 3, DECLINE: 4, ACK: 5, NAK: 6, RELEASE: 7, INFORM: 8 } as const;

/** An option's value; undefined where it is not there. RangeError where its bytes are not what they should be. */
export function valueOf<T>(options: Options, [code, codec]: Option<T>): T | undefined {
  const raw = options.get(code);
  return raw && codec.read(raw);
}

/** An option's bytes, under its code. */
export const entry = <T>([code, codec]: Option<T>, value: T): [number, Uint8Array] => [code, encode(codec, value).slice()];
