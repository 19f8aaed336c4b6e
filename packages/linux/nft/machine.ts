/**
 * The kernel's machine for rules, once more, to ask what becomes of a packet without sending one.
 *
 *     a packet ──► chain ──► rule: load into registers, compare, look up … ──► next rule
 *                                                                  └─► verdict: accept, drop, another chain
 *
 * It runs expressions, not their text, so what it says is what the kernel would do with these very rules, and with the elements that
 * the kernel has now: whoever runs it hands it both. Where a rule takes one of several numbers at random, all ways are followed.
 * It stops with a RangeError at an expression that it does not know, for beyond that nothing it said would be true.
 */
import { ipFrom, type Ip } from "../ip.ts";
import { PROTOCOLS, type Protocol } from "../protocols.ts";
import { NFT_CMP, NFT_CT, NFT_META, NFT_PAYLOAD, NFT_VERDICT, NFTA_FIB_F } from "../uapi/nf_tables.ts";
import { NF, NFPROTO } from "../uapi/nfnetlink.ts";
import { IPS } from "../uapi/nfnetlink_conntrack.ts";
import { RTN } from "../uapi/rtnetlink.ts";
import { be16, decode, encode, u32 } from "../wire/codec.ts";
import { hostOrder, placeOf, type Expression } from "./fields.ts";
import { commentOf, type KernelRule } from "./rule.ts";
import { nameBytes } from "./types.ts";

/** A flow's first packet, as it is at some place on its way. */
export interface Packet {
  source: Ip;
  destination: Ip;
  protocol: Protocol;
  sourcePort: number;
  destinationPort: number;
  mark: number;
  /** Devices, "" where it has none yet. */
  iifname: string;
  oifname: string;
  /** What it came with, once it has been sent elsewhere. */
  original: { source: Ip; destination: Ip; destinationPort: number } | undefined;
}

/** What an element says, if there is one for the key. */
export interface FoundElement {
  /** Of a map. */
  data?: Uint8Array | { code: number; chain: string };
  comment?: string;
}

/** Rules and elements that there are, and what routes say of addresses. */
export interface Rules {
  chain(name: string): readonly KernelRule[];
  find(set: string, key: Uint8Array): FoundElement | undefined;
  isLocal(ip: Ip): boolean;
}

/** Something that a packet met on its way, for people. */
export interface Step {
  chain: string;
  /** Of the rule, or of the element that it found. */
  comment: string;
}

export interface Outcome {
  verdict: "accept" | "drop" | "reject";
  packet: Packet;
  isMasqueraded: boolean;
  /** Rules that did something, in order. */
  steps: readonly Step[];
  /** What would be put into maps, by their names. */
  remembered: readonly { map: string; key: Uint8Array; data: Uint8Array }[];
}

/** All that may become of the packet in a base chain, one for each choice that rules leave to chance. */
export function outcomesOf(rules: Rules, chain: string, packet: Packet): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let choices: number[] = []; ; ) {
    const run = createRun(rules, packet, choices);
    outcomes.push(run.from(chain));
    const next = following(run.taken());
    if (!next) return outcomes;
    choices = next;
  }
}

/** A number that was taken, and of how many. */
interface Choice {
  taken: number;
  of: number;
}

/** The choices of the next way, as a counter counts; undefined after the last. */
function following(choices: readonly Choice[]): number[] | undefined {
  const at = choices.findLastIndex(({ taken, of }) => taken + 1 < of);
  if (at < 0) return undefined;
  return choices.slice(0, at + 1).map(({ taken }, index) => (index === at ? taken + 1 : taken));
}

type Verdict = { code: number; chain: string };

/** What an expression says of the rule: go on with it, leave it, or a verdict. */
type Effect = "on" | "break" | Verdict | "reject";

function createRun(rules: Rules, first: Packet, choices: readonly number[]) {
  const packet = { ...first };
  const registers = new Uint8Array(64);
  const [taken, steps, remembered]: [Choice[], Step[], Outcome["remembered"][number][]] = [[], [], []];
  let isMasqueraded = false;
  let says = "";

  const read = (register: number | undefined, length: number): Uint8Array => registers.slice(placeOf(register ?? 0), placeOf(register ?? 0) + length);
  const write = (register: number | undefined, bytes: Uint8Array): Effect => {
    const at = placeOf(register ?? 0);
    registers.fill(0, at, at + ((bytes.length + 3) & ~3));
    registers.set(bytes, at);
    return "on";
  };
  const choose = (of: number): number => {
    const number = choices[taken.length] ?? 0;
    taken.push({ taken: number, of });
    return number;
  };

  const execute = (one: Expression): Effect => {
    switch (one.kind) {
      case "counter": return "on";
      case "immediate": {
        const { DREG, DATA: { VALUE, VERDICT } = {} } = one.data ?? {};
        return VERDICT ? { code: VERDICT.CODE ?? 0, chain: VERDICT.CHAIN ?? "" } : write(DREG, VALUE ?? new Uint8Array());
      }
      case "meta": {
        if (one.data?.SREG === undefined) return loaded(one.data?.DREG, metaOf(packet, one.data?.KEY));
        if (one.data.KEY !== NFT_META.MARK) throw unknown(`meta key ${one.data.KEY}`);
        packet.mark = decode(u32, read(one.data.SREG, 4));
        return "on";
      }
      case "payload": return loaded(one.data?.DREG, payloadOf(packet, one.data ?? {}));
      case "ct": return loaded(one.data?.DREG, conntrackOf(packet, one.data?.KEY));
      case "fib": return write(one.data?.DREG, hostOrder(rules.isLocal(one.data?.FLAGS === NFTA_FIB_F.SADDR ? packet.source : packet.destination) ? RTN.LOCAL : RTN.UNICAST));
      case "numgen": return write(one.data?.DREG, hostOrder((one.data?.OFFSET ?? 0) + choose(one.data?.MODULUS ?? 1)));
      case "bitwise": {
        const { SREG, DREG, LEN = 0, MASK, XOR } = one.data ?? {};
        return write(DREG, read(SREG, LEN).map((byte, at) => (byte & (MASK?.VALUE?.[at] ?? 0)) ^ (XOR?.VALUE?.[at] ?? 0)));
      }
      case "cmp": {
        const { SREG, OP, DATA } = one.data ?? {};
        const wanted = DATA?.VALUE ?? new Uint8Array();
        if (OP !== NFT_CMP.EQ && OP !== NFT_CMP.NEQ) throw unknown(`comparison ${OP}`);
        return (Buffer.compare(read(SREG, wanted.length), wanted) === 0) === (OP === NFT_CMP.EQ) ? "on" : "break";
      }
      case "lookup": return looked(one.data ?? {});
      case "dynset": {
        const { SET_NAME: map = "", SREG_KEY, SREG_DATA } = one.data ?? {};
        remembered.push({ map, key: registers.slice(placeOf(SREG_KEY ?? 0)), data: registers.slice(placeOf(SREG_DATA ?? 0)) });
        return "on";
      }
      case "nat": return translated(one.data ?? {});
      case "masq":
        isMasqueraded = true;
        return { code: NF.ACCEPT, chain: "" };
      case "reject": return "reject";
      default: throw unknown(one.kind === "unknown" ? one.name : one.kind);
    }
  };

  const loaded = (register: number | undefined, bytes: Uint8Array | undefined): Effect => (bytes ? write(register, bytes) : "break");

  const looked = ({ SET = "", SREG, DREG, FLAGS = 0 }: NonNullable<Extract<Expression, { kind: "lookup" }>["data"]>): Effect => {
    const found = rules.find(SET, registers.slice(placeOf(SREG ?? 0)));
    if (DREG === undefined) return (found !== undefined) !== (FLAGS !== 0) ? "on" : "break";
    if (!found?.data) return "break";
    if (found.comment !== undefined) says = found.comment;
    if (found.data instanceof Uint8Array) return write(DREG, found.data);
    return found.data;
  };

  const translated = ({ FAMILY, REG_ADDR_MIN, REG_PROTO_MIN }: NonNullable<Extract<Expression, { kind: "nat" }>["data"]>): Effect => {
    const { source, destination, destinationPort } = packet;
    packet.original = { source, destination, destinationPort };
    packet.destination = ipFrom(read(REG_ADDR_MIN, FAMILY === NFPROTO.IPV4 ? 4 : 16));
    if (REG_PROTO_MIN !== undefined) packet.destinationPort = decode(be16, read(REG_PROTO_MIN, 2));
    return { code: NF.ACCEPT, chain: "" };
  };

  const runRule = (chain: string, rule: KernelRule): Effect => {
    says = "";
    for (const one of rule.expressions) {
      const effect = execute(one);
      if (effect === "break") return "break";
      if (effect !== "on") {
        steps.push({ chain, comment: says || commentOf(rule) });
        return effect;
      }
    }
    return "on";
  };

  /** undefined: back to the calling chain. */
  const runChain = (name: string): "accept" | "drop" | "reject" | undefined => {
    for (const rule of rules.chain(name)) {
      const effect = runRule(name, rule);
      if (effect === "on" || effect === "break") continue;
      if (effect === "reject") return "reject";
      if (effect.code === NF.ACCEPT) return "accept";
      if (effect.code === NF.DROP) return "drop";
      if (effect.code === NFT_VERDICT.RETURN) return undefined;
      const end = runChain(effect.chain);
      if (end !== undefined || effect.code === NFT_VERDICT.GOTO) return end;
    }
    return undefined;
  };

  return {
    from: (chain: string): Outcome => ({ verdict: runChain(chain) ?? "accept", packet, isMasqueraded, steps, remembered }),
    taken: (): readonly Choice[] => taken,
  };
}

const unknown = (what: string): RangeError => new RangeError(`Cannot follow a packet through "${what}": nobody has told this machine what that does`);

function metaOf({ source, protocol, mark, iifname, oifname }: Packet, key: number | undefined): Uint8Array {
  switch (key) {
    case NFT_META.NFPROTO: return Uint8Array.of(source.family === 4 ? NFPROTO.IPV4 : NFPROTO.IPV6);
    case NFT_META.L4PROTO: return Uint8Array.of(PROTOCOLS[protocol]);
    case NFT_META.MARK: return hostOrder(mark);
    case NFT_META.IIFNAME: return nameBytes(iifname);
    case NFT_META.OIFNAME: return nameBytes(oifname);
    default: throw unknown(`meta key ${key}`);
  }
}

/** Where the addresses lie in the IP header, and the ports in the one behind it. */
function payloadOf({ source, destination, sourcePort, destinationPort }: Packet, { BASE, OFFSET = 0, LEN = 0 }: { BASE?: number; OFFSET?: number; LEN?: number }): Uint8Array {
  if (BASE === NFT_PAYLOAD.TRANSPORT_HEADER) return Uint8Array.from([...encode(be16, sourcePort), ...encode(be16, destinationPort)]).slice(OFFSET, OFFSET + LEN);
  const first = source.family === 4 ? 12 : 8;
  const header = Uint8Array.from([...new Uint8Array(first), ...source.bytes, ...destination.bytes]);
  if (BASE === NFT_PAYLOAD.NETWORK_HEADER && OFFSET >= first) return header.slice(OFFSET, OFFSET + LEN);
  throw unknown(`${LEN} bytes at ${OFFSET} of header ${BASE}`);
}

/** Of a flow's first packet; undefined where it has none of that. */
function conntrackOf({ original, ...packet }: Packet, key: number | undefined): Uint8Array | undefined {
  const { source, destination, destinationPort } = original ?? packet;
  const ofFamily = (ip: Ip, family: 4 | 6): Uint8Array | undefined => (ip.family === family ? ip.bytes : undefined);
  switch (key) {
    case NFT_CT.STATE: return hostOrder(NEW);
    case NFT_CT.STATUS: return hostOrder(original ? IPS.DST_NAT : 0);
    case NFT_CT.PROTO_DST: return encode(be16, destinationPort).slice();
    case NFT_CT.SRC_IP: return ofFamily(source, 4);
    case NFT_CT.DST_IP: return ofFamily(destination, 4);
    case NFT_CT.SRC_IP6: return ofFamily(source, 6);
    case NFT_CT.DST_IP6: return ofFamily(destination, 6);
    default: throw unknown(`ct key ${key}`);
  }
}

const NEW = 8; // NF_CT_STATE_BIT(IP_CT_NEW)

