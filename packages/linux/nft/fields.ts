/**
 * Fields: what of a packet a rule can look at, and how it compares.
 *
 *     ip.saddr.eq(podNetwork)                                  ip saddr 10.244.0.0/16
 *     concat(meta.l4proto, th.dport).in(set)                   meta l4proto . th dport @set
 *     dnatBy(concat(ip.daddr, meta.l4proto, th.dport), map)    … map @map, see ./words.ts
 *
 * A field is loaded into registers of the kernel's machine: sixteen of four bytes each. A concatenation lies in registers
 * one after another, each part in whole registers, as a set's elements lie in memory.
 *
 * Fields are made when they are asked for: every plugin has this file, few write a rule, and none looks at all of a packet.
 */
import { bitsOf, cidrOf, networkOf, type Cidr, type Ip } from "../ip.ts";
import type { Mac } from "../mac.ts";
import { PROTOCOLS, type Protocol } from "../protocols.ts";
import { NFTA_FIB_F, NFT_CMP, NFT_CT, NFT_FIB_RESULT, NFT_LOOKUP_F, NFT_META, NFT_NG, NFT_PAYLOAD, NFT_REG, type NFTA_EXPR } from "../uapi/nf_tables.ts";
import { NFPROTO } from "../uapi/nfnetlink.ts";
import { IPS } from "../uapi/nfnetlink_conntrack.ts";
import { RTN } from "../uapi/rtnetlink.ts";
import { be16, encode, u16, u32, type Value } from "../wire/codec.ts";
import type { NftSet } from "./objects.ts";
import { aligned, nameBytes } from "./types.ts";

export type Expression = Value<typeof NFTA_EXPR>;

export interface Word {
  text: string;
  expressions: readonly Expression[];
  /** Tests that must hold before: the packet's family, its transport protocol. */
  needs?: readonly Need[];
}

/** A dependency that nft leaves out of the text; `id` tells two alike apart from two different. */
export interface Need {
  id: string;
  expressions: readonly Expression[];
  /** In a table of this family it is true already. */
  impliedBy?: number;
}

const REGISTER = NFT_REG["1"];

/** The register that lies `length` bytes behind the first. The kernel calls each fourth by the name it had when all were of sixteen bytes. */
export function registerAfter(length: number): number {
  const at = aligned(length) / 4;
  return at % 4 === 0 ? REGISTER + at / 4 : NFT_REG["32_00"] + at;
}

/** How many bytes before it lie behind the first register's beginning. */
export const placeOf = (register: number): number => (register >= NFT_REG["32_00"] ? (register - NFT_REG["32_00"]) * 4 : (register - REGISTER) * 16);

/** Something of a packet that can be loaded: a field of a header, a device's name. */
export interface Load {
  text: string;
  /** Into a register. */
  load(DREG: number): Expression;
  /** In bytes. */
  length: number;
  needs?: readonly Need[];
}

/** Something that can be looked up in sets and maps. */
export interface Lookup {
  readonly loads: readonly Load[];
  /** True of what is in the set, which has this type. */
  in(set: NftSet): Word;
  notIn(set: NftSet): Word;
  /** Looks it up in a map of verdicts and obeys what it finds. */
  vmap(map: NftSet): Word;
}

export interface Field<T> extends Lookup {
  eq(value: T): Word;
  ne(value: T): Word;
}

/** Looks up what was loaded: in a set, or with DREG in a map, whose value then lies there. */
export function lookedUp(loads: readonly Load[], set: NftSet, { sign = "", verb = "", ...more }: { sign?: string; verb?: string; FLAGS?: number; DREG?: number }): Word {
  const lookup: Expression = { kind: "lookup", data: { SET: set.name, SREG: REGISTER, ...more } };
  return { ...needsOf(loads), text: `${textOfKey(loads)} ${verb}${sign}@${set.name}`, expressions: [...loaded(loads), lookup] };
}

/** A key as nft(8) writes it. */
export const textOfKey = (loads: readonly Load[]): string => loads.map(({ text }) => text).join(" . ");

/** The key's parts in registers one after another, from `first` on. */
export function loaded(loads: readonly Load[], first: number = REGISTER): Expression[] {
  let at = placeOf(first);
  return loads.map((one) => {
    const expression = one.load(registerAfter(at));
    at += aligned(one.length);
    return expression;
  });
}

export function needsOf(loads: readonly Load[]): Pick<Word, "needs"> {
  const needs = loads.flatMap((one) => one.needs ?? []);
  return needs.length > 0 ? { needs } : {};
}

const lookupOf = (loads: readonly Load[]): Lookup => ({
  loads,
  in: (set) => lookedUp(loads, set, {}),
  notIn: (set) => lookedUp(loads, set, { sign: "!= ", FLAGS: NFT_LOOKUP_F.INV }),
  vmap: (map) => lookedUp(loads, map, { verb: "vmap ", DREG: NFT_REG.VERDICT }),
});

/** Several fields as one key, one after another: `ip daddr . meta l4proto . th dport`. */
export const concat = (...fields: readonly Lookup[]): Lookup => lookupOf(fields.flatMap(({ loads }) => loads));

/** What a value is compared as: its text and bytes, and where only some bits count, how they are masked before. */
interface Compared {
  text: string;
  bytes: Uint8Array;
  mask?: { text?: string; bytes: Uint8Array };
}

function field<T>(what: Load, compare: (value: T) => Compared): Field<T> {
  const compared = (value: T, op: number, sign: string): Word => {
    const { text, bytes, mask } = compare(value);
    const cmp: Expression = { kind: "cmp", data: { SREG: REGISTER, OP: op, DATA: { VALUE: bytes } } };
    // Where nft writes the mask out, it writes the sign out, too.
    const words = mask?.text === undefined ? [what.text, sign, text] : [what.text, "&", mask.text, sign || "==", text];
    return {
      ...needsOf([what]), text: words.filter((word) => word !== "").join(" "),
      expressions: [what.load(REGISTER), ...(mask ? [masked(mask.bytes)] : []), cmp],
    };
  };
  return {
    ...lookupOf([what]),
    eq: (value) => compared(value, NFT_CMP.EQ, ""),
    ne: (value) => compared(value, NFT_CMP.NEQ, "!="),
  };
}

/** And, then exclusive or, in the first register. */
export function masked(mask: Uint8Array, xor: Uint8Array = new Uint8Array(mask.length)): Expression {
  return { kind: "bitwise", data: { SREG: REGISTER, DREG: REGISTER, LEN: mask.length, MASK: { VALUE: mask }, XOR: { VALUE: xor } } };
}

const metaLoad = (KEY: number) => (DREG: number): Expression => ({ kind: "meta", data: { DREG, KEY } });
const payload = (BASE: number, OFFSET: number, LEN: number) => (DREG: number): Expression => ({ kind: "payload", data: { DREG, BASE, OFFSET, LEN } });
const equals = (bytes: Uint8Array): Expression => ({ kind: "cmp", data: { SREG: REGISTER, OP: NFT_CMP.EQ, DATA: { VALUE: bytes } } });
/** Registers hold what is not of a packet in the machine's byte order. */
export const hostOrder = (number: number): Uint8Array => encode(u32, number).slice();
const hex = (number: number): string => `0x${number.toString(16).padStart(8, "0")}`;

const isFamily = (id: string, family: number): Need =>
  ({ id, impliedBy: family, expressions: [metaLoad(NFT_META.NFPROTO)(REGISTER), equals(Uint8Array.of(family))] });
const isTransport = (id: string, protocol: number): Need =>
  ({ id, expressions: [metaLoad(NFT_META.L4PROTO)(REGISTER), equals(Uint8Array.of(protocol))] });

/** An address field: compares with a prefix under its mask, or with a whole address. */
function addressField(what: Load): Field<Ip | Cidr> {
  return field(what, (value) => {
    const cidr = "ip" in value ? networkOf(value) : cidrOf(value);
    if (cidr.prefix === bitsOf(cidr.family)) return { text: String(cidr.ip), bytes: cidr.ip.bytes };
    return { text: String(cidr), bytes: cidr.ip.bytes, mask: { bytes: maskOf(what.length, cidr.prefix) } };
  });
}

function maskOf(length: number, prefix: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (0xff00 >> Math.min(8, Math.max(0, prefix - at * 8))) & 0xff);
}

function addresses(name: "ip" | "ip6", family: number, places: { saddr: number; daddr: number; length: number }) {
  const at = (key: "saddr" | "daddr"): Field<Ip | Cidr> =>
    addressField({
      text: `${name} ${key}`,
      load: payload(NFT_PAYLOAD.NETWORK_HEADER, places[key], places.length),
      length: places.length,
      needs: [isFamily(name, family)],
    });
  return {
    get saddr() { return at("saddr"); },
    get daddr() { return at("daddr"); },
  };
}

/** Fields of the IPv4 header (RFC 791 section 3.1). */
export const ip = addresses("ip", NFPROTO.IPV4, { saddr: 12, daddr: 16, length: 4 });
/** Fields of the IPv6 header (RFC 8200 section 3). */
export const ip6 = addresses("ip6", NFPROTO.IPV6, { saddr: 8, daddr: 24, length: 16 });
/** The header's fields by family, so that both are one code path. */
export const ipOf = (family: 4 | 6): typeof ip => (family === 4 ? ip : ip6);

/** Ports lie at the same place in every transport header that has any. */
function ports(name: string, protocol?: number) {
  const at = (key: "sport" | "dport", offset: number): Field<number> => {
    const what = { text: `${name} ${key}`, load: payload(NFT_PAYLOAD.TRANSPORT_HEADER, offset, 2), length: 2 };
    const needs = protocol === undefined ? {} : { needs: [isTransport(name, protocol)] };
    return field({ ...what, ...needs }, (port) => ({ text: String(port), bytes: encode(be16, port).slice() }));
  };
  return {
    get sport() { return at("sport", 0); },
    get dport() { return at("dport", 2); },
  };
}

export const tcp = ports("tcp", PROTOCOLS.tcp);
export const udp = ports("udp", PROTOCOLS.udp);
export const sctp = ports("sctp", PROTOCOLS.sctp);
/** The header's ports by protocol. */
export const portsOf = (protocol: "tcp" | "udp" | "sctp"): typeof tcp => ({ tcp, udp, sctp })[protocol];
/** Of whatever protocol: beside `meta.l4proto` in a key, or where a rule has asked for the protocol before. */
export const th = ports("th");

const ARPHRD_ETHER = 1; // linux/if_arp.h
const isEthernet = (): Need => ({ id: "ether", impliedBy: NFPROTO.BRIDGE, expressions: [metaLoad(NFT_META.IIFTYPE)(REGISTER), equals(encode(u16, ARPHRD_ETHER).slice())] });

function macField(name: string, offset: number): Field<Mac> {
  const what = { text: `ether ${name}`, load: payload(NFT_PAYLOAD.LL_HEADER, offset, 6), length: 6, needs: [isEthernet()] };
  return field(what, (mac) => ({ text: String(mac), bytes: mac.bytes }));
}

/** Fields of the Ethernet header. */
export const ether = {
  get daddr() { return macField("daddr", 0); },
  get saddr() { return macField("saddr", 6); },
};

/** A device by its name; with "*" at its end, all whose names begin so. */
function deviceName(key: "iifname" | "oifname", number: number): Field<string> {
  return field({ text: key, load: metaLoad(number), length: 16 }, (name) => {
    const beginning = name.endsWith("*") ? new TextEncoder().encode(name.slice(0, -1)) : undefined;
    return { text: JSON.stringify(name), bytes: beginning ?? nameBytes(name) };
  });
}

/** The device that the packet came in by. */
export const iifname = deviceName("iifname", NFT_META.IIFNAME);
/** The device that it leaves by. */
export const oifname = deviceName("oifname", NFT_META.OIFNAME);

/** The group of the device that the packet came in by: a number that links can be given, 0 unless they are. */
export const iifgroup = field<number>({ text: "iifgroup", load: metaLoad(NFT_META.IIFGROUP), length: 4 }, (group) => ({ text: String(group), bytes: hostOrder(group) }));

/** One of so many numbers, from `offset` on, each as likely as the others; another one for each packet. */
export function random(count: number, offset = 0): Lookup {
  const load = (DREG: number): Expression => ({ kind: "numgen", data: { DREG, MODULUS: count, TYPE: NFT_NG.RANDOM, OFFSET: offset } });
  return lookupOf([{ text: `numgen random mod ${count}${offset === 0 ? "" : ` offset ${offset}`}`, load, length: 4 }]);
}

const NFPROTOS = { ipv4: NFPROTO.IPV4, ipv6: NFPROTO.IPV6 } as const;

export const meta = {
  /** The family that the packet is of; an inet table sees both. */
  get nfproto() {
    return field<keyof typeof NFPROTOS>({ text: "meta nfproto", load: metaLoad(NFT_META.NFPROTO), length: 1 }, (name) => ({ text: name, bytes: Uint8Array.of(NFPROTOS[name]) }));
  },
  /** The transport protocol, behind whatever extension headers. */
  get l4proto() {
    return field<Protocol>({ text: "meta l4proto", load: metaLoad(NFT_META.L4PROTO), length: 1 }, (name) => ({ text: name, bytes: Uint8Array.of(PROTOCOLS[name]) }));
  },
};

const markFromRegister: Expression = { kind: "meta", data: { SREG: REGISTER, KEY: NFT_META.MARK } };
const markField = () => field<number | { value: number; mask: number }>({ text: "meta mark", load: metaLoad(NFT_META.MARK), length: 4 }, (given) => {
  const { value, mask } = typeof given === "number" ? { value: given, mask: undefined } : given;
  return { text: hex(value), bytes: hostOrder(value), ...(mask !== undefined && { mask: { text: hex(mask), bytes: hostOrder(mask) } }) };
});

/** A number of 32 bits that goes with a packet through this node; each of its bits is somebody's (bits that are set in `bits` are meant). */
export const mark = {
  /** Compared as a whole, or under a mask. */
  eq: (value: number | { value: number; mask: number }): Word => markField().eq(value),
  ne: (value: number | { value: number; mask: number }): Word => markField().ne(value),
  /** True where all these bits are set. */
  has: (bits: number): Word => markField().eq({ value: bits, mask: bits }),
  /** Sets these bits and leaves the others. */
  set: (bits: number): Word => ({ text: `meta mark set meta mark | ${hex(bits)}`, expressions: [metaLoad(NFT_META.MARK)(REGISTER), masked(hostOrder(~bits >>> 0), hostOrder(bits)), markFromRegister] }),
  /** Clears these bits and leaves the others. */
  clear: (bits: number): Word => ({ text: `meta mark set meta mark & ${hex(~bits >>> 0)}`, expressions: [metaLoad(NFT_META.MARK)(REGISTER), masked(hostOrder(~bits >>> 0)), markFromRegister] }),
  /** Sets all of it, whatever it was. */
  become: (value: number): Word => ({
    text: `meta mark set ${hex(value)}`,
    expressions: [{ kind: "immediate", data: { DREG: REGISTER, DATA: { VALUE: hostOrder(value) } } }, markFromRegister],
  }),
};

const FIB_TYPES = { unicast: RTN.UNICAST, local: RTN.LOCAL, broadcast: RTN.BROADCAST, multicast: RTN.MULTICAST, blackhole: RTN.BLACKHOLE, unreachable: RTN.UNREACHABLE, prohibit: RTN.PROHIBIT } as const;
type FibType = keyof typeof FIB_TYPES;

function fibType(key: "saddr" | "daddr", FLAGS: number): Field<FibType> {
  const load = (DREG: number): Expression => ({ kind: "fib", data: { DREG, RESULT: NFT_FIB_RESULT.ADDRTYPE, FLAGS } });
  return field({ text: `fib ${key} type`, load, length: 4 }, (type) => ({ text: type, bytes: hostOrder(FIB_TYPES[type]) }));
}

/** What an address is to this machine, by its routes: "local" is one of its own. */
export const fib = {
  get saddr() { return fibType("saddr", NFTA_FIB_F.SADDR); },
  get daddr() { return fibType("daddr", NFTA_FIB_F.DADDR); },
};

/**
 * True where no route leads back to the sender by the device that the packet came in by: it has not the sender's address by
 * right. The kernel itself excepts what has no address yet: DHCP, and the search for another who has the same.
 */
export const noWayBack: Word = {
  text: "fib saddr . iif oif missing",
  expressions: [{ kind: "fib", data: { DREG: REGISTER, RESULT: NFT_FIB_RESULT.OIF, FLAGS: NFTA_FIB_F.SADDR | NFTA_FIB_F.IIF | NFTA_FIB_F.PRESENT } }, equals(hostOrder(0))],
};

const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
const CT_STATUS = { "seen-reply": IPS.SEEN_REPLY, assured: IPS.ASSURED, confirmed: IPS.CONFIRMED, snat: IPS.SRC_NAT, dnat: IPS.DST_NAT, dying: IPS.DYING } as const;

/** What stood in a flow's first packet as it came, before anybody translated it; its addresses are of no flow of the other family. */
export function ctOriginal(family: 4 | 6): { saddr: Lookup; daddr: Lookup; dport: Lookup } {
  const { name, source, destination, length } = family === 4
    ? { name: "ip", source: NFT_CT.SRC_IP, destination: NFT_CT.DST_IP, length: 4 }
    : { name: "ip6", source: NFT_CT.SRC_IP6, destination: NFT_CT.DST_IP6, length: 16 };
  const of = (text: string, KEY: number, bytes: number): Lookup =>
    lookupOf([{ text: `ct original ${text}`, load: (DREG) => ({ kind: "ct", data: { DREG, KEY, DIRECTION: IP_CT_DIR_ORIGINAL } }), length: bytes }]);
  return { saddr: of(`${name} saddr`, source, length), daddr: of(`${name} daddr`, destination, length), dport: of("proto-dst", NFT_CT.PROTO_DST, 2) };
}

const IP_CT_DIR_ORIGINAL = 0; // linux/netfilter/nf_conntrack_tuple_common.h

/** True where conntrack's state is one of these. */
export const ctState = (...states: (keyof typeof CT_STATES)[]): Word => oneOfBits("state", NFT_CT.STATE, CT_STATES, states);
/** True of a packet of a flow to which one of these has happened. */
export const ctStatus = (...status: (keyof typeof CT_STATUS)[]): Word => oneOfBits("status", NFT_CT.STATUS, CT_STATUS, status);

function oneOfBits<K extends string>(what: string, KEY: number, table: Readonly<Record<K, number>>, wanted: readonly K[]): Word {
  const bits = wanted.reduce((sum, one) => sum | table[one], 0);
  const load: Expression = { kind: "ct", data: { DREG: REGISTER, KEY } };
  const some: Expression = { kind: "cmp", data: { SREG: REGISTER, OP: NFT_CMP.NEQ, DATA: { VALUE: hostOrder(0) } } };
  const inOrder = Object.keys(table).filter((name) => wanted.some((one) => one === name));
  return { text: `ct ${what} ${inOrder.join(",")}`, expressions: [load, masked(hostOrder(bits)), some] };
}
