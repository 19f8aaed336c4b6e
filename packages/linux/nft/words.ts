/**
 * Words: what an nftables rule is made of.
 *
 *     rule([ip.saddr.eq(podNetwork), ip.daddr.ne(podNetwork), counter, masquerade()])
 *     ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 counter masquerade fully-random
 *
 * A word is at once the text that nft(8) would print and the expressions that the kernel runs, so no rule's text is
 * written by hand beside it. What a word takes for granted (an inet table sees both families) it says in `needs`,
 * and ./rule.ts puts the test before it, as nft does.
 */
import { bitsOf, cidrOf, networkOf, type Cidr, type Ip } from "../ip.ts";
import type { Mac } from "../mac.ts";
import { NF_NAT_RANGE, NFT_CMP, NFT_CT, NFT_LOOKUP_F, NFT_META, NFT_PAYLOAD, NFT_REG, NFT_VERDICT } from "../uapi/nf_tables.ts";
import type { NFTA_EXPR } from "../uapi/nf_tables.ts";
import { NF, NFPROTO } from "../uapi/nfnetlink.ts";
import { IPPROTO } from "../uapi/socket.ts";
import type { Value } from "../wire/codec.ts";
import type { Chain, NftSet } from "./objects.ts";

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

/** Something of a packet that can be compared: a field of a header, a device's name. */
interface Load {
  text: string;
  load: Expression;
  needs?: readonly Need[];
}

interface Field<T> {
  eq(value: T): Word;
  ne(value: T): Word;
  /** True of what is in the set, which has this field's type. */
  in(set: NftSet): Word;
  notIn(set: NftSet): Word;
  /** Looks the field up in a map of verdicts and obeys what it finds. */
  vmap(map: NftSet): Word;
}

function field<T>(what: Load, compare: (value: T) => { text: string; between?: readonly Expression[]; bytes: Uint8Array }): Field<T> {
  const start = { ...(what.needs && { needs: what.needs }) };
  const compared = (value: T, op: number, sign: string): Word => {
    const { text, between = [], bytes } = compare(value);
    const cmp: Expression = { kind: "cmp", data: { SREG: REGISTER, OP: op, DATA: { VALUE: bytes } } };
    return { ...start, text: `${what.text} ${sign}${text}`, expressions: [what.load, ...between, cmp] };
  };
  const looked = (set: NftSet, options: { sign?: string; FLAGS?: number; DREG?: number; verb?: string }): Word => {
    const { sign = "", verb = "", ...more } = options;
    const lookup: Expression = { kind: "lookup", data: { SET: set.name, SREG: REGISTER, ...more } };
    return { ...start, text: `${what.text} ${verb}${sign}@${set.name}`, expressions: [what.load, lookup] };
  };
  return {
    eq: (value) => compared(value, NFT_CMP.EQ, ""),
    ne: (value) => compared(value, NFT_CMP.NEQ, "!= "),
    in: (set) => looked(set, {}),
    notIn: (set) => looked(set, { sign: "!= ", FLAGS: NFT_LOOKUP_F.INV }),
    vmap: (map) => looked(map, { verb: "vmap ", DREG: NFT_REG.VERDICT }),
  };
}

const meta = (KEY: number): Expression => ({ kind: "meta", data: { DREG: REGISTER, KEY } });
const payload = (BASE: number, OFFSET: number, LEN: number): Expression => ({
  kind: "payload",
  data: { DREG: REGISTER, BASE, OFFSET, LEN },
});
const equals = (bytes: Uint8Array): Expression => ({ kind: "cmp", data: { SREG: REGISTER, OP: NFT_CMP.EQ, DATA: { VALUE: bytes } } });

const isFamily = (id: string, family: number): Need => ({
  id,
  impliedBy: family,
  expressions: [meta(NFT_META.NFPROTO), equals(Uint8Array.of(family))],
});
const isTransport = (id: string, protocol: number): Need => ({
  id,
  expressions: [meta(NFT_META.L4PROTO), equals(Uint8Array.of(protocol))],
});

/** An address field: compares with a prefix under its mask, or with a whole address. */
function addressField(what: Load): Field<Ip | Cidr> {
  return field(what, (value) => {
    const cidr = "ip" in value ? networkOf(value) : cidrOf(value);
    const length = bitsOf(cidr.family) / 8;
    if (cidr.prefix === length * 8) return { text: String(cidr.ip), bytes: cidr.ip.bytes };
    const MASK = { VALUE: maskOf(length, cidr.prefix) };
    const XOR = { VALUE: new Uint8Array(length) };
    const mask: Expression = { kind: "bitwise", data: { SREG: REGISTER, DREG: REGISTER, LEN: length, MASK, XOR } };
    return { text: String(cidr), between: [mask], bytes: cidr.ip.bytes };
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
      needs: [isFamily(name, family)],
    });
  return { saddr: at("saddr"), daddr: at("daddr") };
}

/** Fields of the IPv4 header (RFC 791 section 3.1). */
export const ip = addresses("ip", NFPROTO.IPV4, { saddr: 12, daddr: 16, length: 4 });
/** Fields of the IPv6 header (RFC 8200 section 3). */
export const ip6 = addresses("ip6", NFPROTO.IPV6, { saddr: 8, daddr: 24, length: 16 });
/** The header's fields by family, so that both are one code path. */
export const ipOf = (family: 4 | 6): typeof ip => (family === 4 ? ip : ip6);

function ports(name: "tcp" | "udp", protocol: number) {
  const at = (key: "sport" | "dport", offset: number): Field<number> =>
    field(
      { text: `${name} ${key}`, load: payload(NFT_PAYLOAD.TRANSPORT_HEADER, offset, 2), needs: [isTransport(name, protocol)] },
      (port) => ({ text: String(port), bytes: Uint8Array.of(port >> 8, port & 0xff) }),
    );
  return { sport: at("sport", 0), dport: at("dport", 2) };
}

export const tcp = ports("tcp", IPPROTO.TCP);
export const udp = ports("udp", IPPROTO.UDP);

const ARPHRD_ETHER = 1; // linux/if_arp.h
const isEthernet: Need = { id: "ether", impliedBy: NFPROTO.BRIDGE, expressions: [meta(NFT_META.IIFTYPE), equals(new Uint8Array(Uint16Array.of(ARPHRD_ETHER).buffer))] };

function macField(name: string, offset: number): Field<Mac> {
  const what = { text: `ether ${name}`, load: payload(NFT_PAYLOAD.LL_HEADER, offset, 6), needs: [isEthernet] };
  return field(what, (mac) => ({ text: String(mac), bytes: mac.bytes }));
}

/** Fields of the Ethernet header. */
export const ether = { daddr: macField("daddr", 0), saddr: macField("saddr", 6) };

function deviceName(key: "iifname" | "oifname", number: number): Field<string> {
  const IFNAMSIZ = 16;
  return field({ text: key, load: meta(number) }, (name) => {
    const bytes = new Uint8Array(IFNAMSIZ);
    bytes.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
    return { text: JSON.stringify(name), bytes };
  });
}

/** The device that the packet came in by. */
export const iifname = deviceName("iifname", NFT_META.IIFNAME);
/** The device that it leaves by. */
export const oifname = deviceName("oifname", NFT_META.OIFNAME);

const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;

/** True where conntrack's state is one of these. */
export function ctState(...states: (keyof typeof CT_STATES)[]): Word {
  const bits = states.reduce((sum, state) => sum | CT_STATES[state], 0);
  const load: Expression = { kind: "ct", data: { DREG: REGISTER, KEY: NFT_CT.STATE } };
  const data = { SREG: REGISTER, DREG: REGISTER, LEN: 4, MASK: { VALUE: hostOrder(bits) }, XOR: { VALUE: hostOrder(0) } };
  const some: Expression = { kind: "cmp", data: { SREG: REGISTER, OP: NFT_CMP.NEQ, DATA: { VALUE: hostOrder(0) } } };
  const inOrder = Object.keys(CT_STATES).filter((state) => states.some((wanted) => wanted === state));
  return { text: `ct state ${inOrder.join(",")}`, expressions: [load, { kind: "bitwise", data }, some] };
}

/** Registers hold what is not of a packet in the machine's byte order. */
const hostOrder = (number: number): Uint8Array => new Uint8Array(Uint32Array.of(number).buffer);

/** Counts packets and bytes that came so far. */
export const counter: Word = { text: "counter", expressions: [{ kind: "counter", data: { BYTES: 0n, PACKETS: 0n } }] };

const verdict = (text: string, CODE: number, CHAIN?: string): Word => ({
  text,
  expressions: [
    { kind: "immediate", data: { DREG: NFT_REG.VERDICT, DATA: { VERDICT: { CODE, ...(CHAIN !== undefined && { CHAIN }) } } } },
  ],
});

/** Ends this base chain; chains of other tables on the same hook still see the packet, and may drop it. */
export const accept: Word = verdict("accept", NF.ACCEPT);
/** Ends the packet. */
export const drop: Word = verdict("drop", NF.DROP);
/** Back to the calling chain; in a base chain its policy decides. */
export const goBack: Word = verdict("return", NFT_VERDICT.RETURN);
export const jump = (chain: Pick<Chain, "name">): Word => verdict(`jump ${chain.name}`, NFT_VERDICT.JUMP, chain.name);
export const goto = (chain: Pick<Chain, "name">): Word => verdict(`goto ${chain.name}`, NFT_VERDICT.GOTO, chain.name);

/**
 * Gives the packet the address of the device that it leaves by.
 * Source ports are chosen at random: chosen in order, two flows at once can take the same one, and one packet is lost.
 */
export const masquerade: Word = {
  text: "masquerade fully-random",
  expressions: [{ kind: "masq", data: { FLAGS: NF_NAT_RANGE.PROTO_RANDOM_FULLY } }],
};

/** The same, but source ports are kept where they can be, and else chosen in order: as the reference plugins do. */
export const masqueradeInOrder: Word = { text: "masquerade", expressions: [{ kind: "masq", data: {} }] };

// Marks, and fields side by side.

/** A number of 32 bits that goes with a packet through this node; each of its bits is somebody's (bits that are set in `bits` are meant). */
export const mark = {
  /** True where all these bits are set. */
  has: (bits: number): Word => ({
    text: `meta mark & ${hex(bits)} == ${hex(bits)}`,
    expressions: [meta(NFT_META.MARK), keeping(bits, 0), equals(hostOrder(bits))],
  }),
  /** Sets these bits and leaves the others. */
  set: (bits: number): Word => ({ text: `meta mark set meta mark | ${hex(bits)}`, expressions: [meta(NFT_META.MARK), keeping(~bits >>> 0, bits), intoMark] }),
  /** Clears these bits and leaves the others. */
  clear: (bits: number): Word => ({ text: `meta mark set meta mark & ${hex(~bits >>> 0)}`, expressions: [meta(NFT_META.MARK), keeping(~bits >>> 0, 0), intoMark] }),
};

const intoMark: Expression = { kind: "meta", data: { KEY: NFT_META.MARK, SREG: REGISTER } };
const hex = (bits: number): string => `0x${bits.toString(16).padStart(8, "0")}`;
const keeping = (mask: number, xor: number): Expression =>
  ({ kind: "bitwise", data: { SREG: REGISTER, DREG: REGISTER, LEN: 4, MASK: { VALUE: hostOrder(mask) }, XOR: { VALUE: hostOrder(xor) } } });

/** Looks up by which device the packet came in and by which it leaves, in a map of verdicts whose key is both names. */
export const devicesVmap = (map: NftSet): Word => ({
  text: `iifname . oifname vmap @${map.name}`,
  expressions: [
    meta(NFT_META.IIFNAME),
    { kind: "meta", data: { DREG: NFT_REG["2"], KEY: NFT_META.OIFNAME } },
    { kind: "lookup", data: { SET: map.name, SREG: REGISTER, DREG: NFT_REG.VERDICT } },
  ],
});
