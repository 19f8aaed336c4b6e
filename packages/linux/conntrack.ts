/**
 * Conntrack: the flows that this namespace remembers, and where it sends their answers (conntrack(8)).
 *
 *     original   192.0.2.9:40000 → 192.0.2.1:8080       as the first packet came
 *     reply      10.1.2.5:80     → 192.0.2.9:40000      as its answer will come: who answers is who really got it
 *
 * An address translation is decided once, with a flow's first packet. A flow of UDP has no end but its timeout, which each
 * packet sets back: a client that keeps sending goes on to where its first packet went, long after every rule says
 * otherwise. Therefore whoever changes where a port leads deletes the flows that began before.
 *
 * There may be a million of them. The kernel picks what a filter asks for (5.8; an older one tells everything, and it is
 * picked here), and each() keeps none.
 */
import { unless } from "./errors.ts";
import { afOf, familyOf, ipFrom, sameIp, type Family, type Ip } from "./ip.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { NFNL_SUBSYS } from "./uapi/nfnetlink.ts";
import { IPCTNL_MSG_CT, IPS, flow as flowMessage, type CTA_PROTO, type CTA_TUPLE } from "./uapi/nfnetlink_conntrack.ts";
import { IPPROTO } from "./uapi/socket.ts";
import type { Value } from "./wire/codec.ts";

/** One direction of a flow: what its packets have in their headers. */
export interface Tuple {
  source: Ip;
  destination: Ip;
  /** IPPROTO: 6 is TCP, 17 UDP, 132 SCTP. */
  protocol: number;
  /** Of protocols that have ports. */
  sourcePort?: number;
  destinationPort?: number;
  /** Of ICMP and ICMPv6. */
  icmp?: { type: number; code: number; id: number };
}

/** A flow as the kernel remembers it. */
export interface Flow {
  original: Tuple;
  reply: Tuple;
  /** All its bits (IPS); the interesting ones follow. */
  status: number;
  /** An answer has come. */
  replied: boolean;
  /** It is not thrown out when the table is full. */
  assured: boolean;
  sourceNat: boolean;
  destinationNat: boolean;
  mark: number;
  /** Flows of different zones may have the same tuples. */
  zone: number;
  /** Until it is forgotten, unless a packet comes; undefined of one that does not time out (offloaded). */
  timeoutSeconds: number | undefined;
  /** Tells it from a later flow of the same tuples. */
  id: number;
  /** Where net.netfilter.nf_conntrack_acct is on. */
  packets?: { original: bigint; reply: bigint };
}

/** Which flows; what is left out is all the same. */
export interface FlowFilter {
  family?: Family;
  original?: Partial<Tuple>;
  reply?: Partial<Tuple>;
  /** The mark under this mask is this value; the mask unless given is all bits. */
  mark?: { value: number; mask?: number };
  zone?: number;
  sourceNat?: boolean;
  destinationNat?: boolean;
}

export interface Conntrack {
  /** Hands on each flow that the filter lets pass, as the kernel tells them. The visitor asks this namespace nothing. */
  each(filter: FlowFilter, visitor: (flow: Flow) => void): void;
  list(filter?: FlowFilter): Flow[];
  /** The flow that has this tuple in its original direction. */
  find(original: Tuple, zone?: number): Flow | undefined;
  /** Forgets this very flow; its next packet begins a new one. True if it was there. */
  delete(flow: Pick<Flow, "original" | "zone" | "id">): boolean;
  /** Forgets every flow that the filter lets pass and that is stale; gives how many. */
  deleteWhere(filter: FlowFilter, isStale: (flow: Flow) => boolean): number;
}

const typeOf = (message: number): number => NFNL_SUBSYS.CTNETLINK * 256 + message;

/** @param socket the netfilter socket of the namespace whose flows are meant */
export function createConntrack(socket: () => NetlinkSocket): Conntrack {
  const each = (filter: FlowFilter, visitor: (flow: Flow) => void): void => {
    const request = { what: "list flows", type: typeOf(IPCTNL_MSG_CT.GET), codec: flowMessage, value: filterMessage(filter) };
    socket().visit(request, (body) => {
      const flow = flowFrom(body);
      if (flow && passes(filter, flow)) visitor(flow);
    });
  };
  const list = (filter: FlowFilter = {}): Flow[] => {
    const found: Flow[] = [];
    each(filter, (flow) => void found.push(flow));
    return found;
  };
  const remove = ({ original, zone, id }: Pick<Flow, "original" | "zone" | "id">): boolean => {
    const { nfgen_family, attrs } = messageOf(original, zone);
    const value = { nfgen_family, attrs: { ...attrs, ID: id } };
    const request = { what: `forget flow ${textOf(original)}`, type: typeOf(IPCTNL_MSG_CT.DELETE), codec: flowMessage, value };
    return unless(["ENOENT"], () => (socket().request(request), true)) ?? false;
  };
  return {
    each,
    list,
    find: (original, zone = 0) => {
      const request = { what: `find flow ${textOf(original)}`, type: typeOf(IPCTNL_MSG_CT.GET), codec: flowMessage, value: messageOf(original, zone) };
      return unless(["ENOENT"], () => socket().get(request, flowFrom));
    },
    delete: remove,
    deleteWhere: (filter, isStale) => {
      const stale: Flow[] = [];
      each(filter, (flow) => isStale(flow) && stale.push(flow));
      return stale.filter(remove).length;
    },
  };
}

/** "udp 192.0.2.9:40000 → 192.0.2.1:8080", for messages. */
export function textOf({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  const name = Object.entries(IPPROTO).find(([, number]) => number === protocol)?.[0].toLowerCase() ?? `protocol ${protocol}`;
  const end = (ip: Ip, port: number | undefined): string => (port === undefined ? String(ip) : ip.family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`);
  return `${name} ${end(source, sourcePort)} → ${end(destination, destinationPort)}`;
}

type TupleAttrs = Value<typeof CTA_TUPLE>;
type ProtoAttrs = Value<typeof CTA_PROTO>;

function messageOf(original: Tuple, zone: number) {
  return { nfgen_family: afOf(original.source.family), attrs: { TUPLE_ORIG: tupleAttrs(original), ...(zone !== 0 && { ZONE: zone }) } };
}

function tupleAttrs({ source, destination, protocol, sourcePort, destinationPort, icmp }: Partial<Tuple>): TupleAttrs {
  const family = source?.family ?? destination?.family;
  const [from, to] = [source?.bytes, destination?.bytes];
  const IP = family === 6 ? { ...(from && { V6_SRC: from }), ...(to && { V6_DST: to }) } : { ...(from && { V4_SRC: from }), ...(to && { V4_DST: to }) };
  const PROTO = {
    ...(protocol !== undefined && { NUM: protocol }),
    ...(sourcePort !== undefined && { SRC_PORT: sourcePort }),
    ...(destinationPort !== undefined && { DST_PORT: destinationPort }),
    ...(icmp && icmpAttrs(icmp, family)),
  };
  return { ...(family && { IP }), ...(Object.keys(PROTO).length > 0 && { PROTO }) };
}

const icmpAttrs = ({ type, code, id }: NonNullable<Tuple["icmp"]>, family: Family | undefined): ProtoAttrs =>
  family === 6 ? { ICMPV6_ID: id, ICMPV6_TYPE: type, ICMPV6_CODE: code } : { ICMP_ID: id, ICMP_TYPE: type, ICMP_CODE: code };

/** Bits of CTA_FILTER_*_FLAGS: the kernel's own (net/netfilter/nf_internals.h), which no header of uapi has. */
const PART = { source: 0x1, destination: 0x2, protocol: 0x8, sourcePort: 0x10, destinationPort: 0x20 } as const;

/** What the kernel is asked to pick. It wants the family with a tuple's parts, and the protocol with its ports. */
function filterMessage(filter: FlowFilter): Value<typeof flowMessage> {
  const { family, mark } = filter;
  const [original, reply] = [pickable(filter.original), pickable(filter.reply)];
  const known = [family, filter.original, filter.reply].map((one) => (typeof one === "object" ? (one.source ?? one.destination)?.family : one)).find((one) => one !== undefined);
  const [ORIG_FLAGS, REPLY_FLAGS] = known ? [partsOf(original), partsOf(reply)] : [0, 0];
  const [status, mask] = statusOf(filter);
  return {
    nfgen_family: known ? afOf(known) : 0,
    attrs: {
      ...(ORIG_FLAGS > 0 && { TUPLE_ORIG: tupleAttrs(original) }),
      ...(REPLY_FLAGS > 0 && { TUPLE_REPLY: tupleAttrs(reply) }),
      ...(ORIG_FLAGS + REPLY_FLAGS > 0 && { FILTER: { ORIG_FLAGS, REPLY_FLAGS } }),
      ...(mark && { MARK: mark.value, MARK_MASK: mark.mask ?? 0xffff_ffff }),
      ...(mask > 0 && { STATUS: status, STATUS_MASK: mask }),
    },
  };
}

/** Not by IPv6 addresses: the kernel takes those that are not equal (ctnetlink_filter_match_tuple, seen in 6.18). */
const pickable = ({ source, destination, ...rest }: Partial<Tuple> = {}): Partial<Tuple> =>
  ({ ...rest, ...(source?.family === 4 && { source }), ...(destination?.family === 4 && { destination }) });

function partsOf(tuple: Partial<Tuple>): number {
  if (tuple.protocol === undefined && (tuple.sourcePort !== undefined || tuple.destinationPort !== undefined)) return 0;
  return Object.entries(PART).reduce((flags, [part, bit]) => (isPart(part) && tuple[part] !== undefined ? flags | bit : flags), 0);
}

const isPart = (name: string): name is keyof typeof PART => name in PART;

/** Bits that are wanted, and which bits are looked at. */
function statusOf({ sourceNat, destinationNat }: FlowFilter): [status: number, mask: number] {
  const status = (sourceNat ? IPS.SRC_NAT : 0) | (destinationNat ? IPS.DST_NAT : 0);
  const mask = (sourceNat === undefined ? 0 : IPS.SRC_NAT) | (destinationNat === undefined ? 0 : IPS.DST_NAT);
  return [status, mask];
}

/** The filter once more: an older kernel has told everything. */
function passes({ family, original, reply, mark, zone, sourceNat, destinationNat }: FlowFilter, flow: Flow): boolean {
  return (family === undefined || flow.original.source.family === family)
    && fits(original, flow.original) && fits(reply, flow.reply)
    && (mark === undefined || ((flow.mark & (mark.mask ?? 0xffff_ffff)) >>> 0) === mark.value)
    && (zone === undefined || flow.zone === zone)
    && (sourceNat === undefined || flow.sourceNat === sourceNat)
    && (destinationNat === undefined || flow.destinationNat === destinationNat);
}

function fits(wanted: Partial<Tuple> | undefined, tuple: Tuple): boolean {
  if (!wanted) return true;
  const { source, destination, protocol, sourcePort, destinationPort, icmp } = wanted;
  return (source === undefined || sameIp(source, tuple.source)) && (destination === undefined || sameIp(destination, tuple.destination))
    && (protocol === undefined || protocol === tuple.protocol)
    && (sourcePort === undefined || sourcePort === tuple.sourcePort) && (destinationPort === undefined || destinationPort === tuple.destinationPort)
    && (icmp === undefined || (icmp.type === tuple.icmp?.type && icmp.code === tuple.icmp.code && icmp.id === tuple.icmp.id));
}

function flowFrom(body: Uint8Array): Flow | undefined {
  const { nfgen_family, attrs } = flowMessage.decode(body);
  const [original, reply] = [tupleFrom(attrs.TUPLE_ORIG), tupleFrom(attrs.TUPLE_REPLY)];
  if (!familyOf(nfgen_family) || !original || !reply) return undefined;
  const { STATUS: status = 0, MARK = 0, ZONE = 0, TIMEOUT, ID = 0, COUNTERS_ORIG, COUNTERS_REPLY } = attrs;
  const is = (bit: number): boolean => (status & bit) !== 0;
  return {
    original, reply, status,
    replied: is(IPS.SEEN_REPLY), assured: is(IPS.ASSURED), sourceNat: is(IPS.SRC_NAT), destinationNat: is(IPS.DST_NAT),
    mark: MARK, zone: ZONE, timeoutSeconds: TIMEOUT, id: ID,
    ...(COUNTERS_ORIG && { packets: { original: COUNTERS_ORIG.PACKETS ?? 0n, reply: COUNTERS_REPLY?.PACKETS ?? 0n } }),
  };
}

function tupleFrom({ IP = {}, PROTO = {} }: TupleAttrs = {}): Tuple | undefined {
  const [source, destination] = [IP.V4_SRC ?? IP.V6_SRC, IP.V4_DST ?? IP.V6_DST];
  if (!source || !destination) return undefined;
  const { NUM: protocol = 0, SRC_PORT, DST_PORT } = PROTO;
  const [type, code, id] = [PROTO.ICMP_TYPE ?? PROTO.ICMPV6_TYPE, PROTO.ICMP_CODE ?? PROTO.ICMPV6_CODE, PROTO.ICMP_ID ?? PROTO.ICMPV6_ID];
  return {
    source: ipFrom(source), destination: ipFrom(destination), protocol,
    ...(SRC_PORT !== undefined && { sourcePort: SRC_PORT }), ...(DST_PORT !== undefined && { destinationPort: DST_PORT }),
    ...(type !== undefined && { icmp: { type, code: code ?? 0, id: id ?? 0 } }),
  };
}
