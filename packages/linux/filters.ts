/**
 * Filters: what becomes of packets at a qdisc (tc(8)). They are asked in the order of their priority; the first that fits decides.
 *
 *     ingress of veth0 ──► priority 1: u32, IPv4 to 10.0.0.0/8      no action: goes on as if there were no filters
 *                      ──► priority 2: u32, everything              redirect to ifb0, which sends it through its own qdisc
 *
 * u32 compares four bytes at a time, at places that are counted from the packet's network header.
 */
import { unless } from "./errors.ts";
import { networkOf, type Cidr } from "./ip.ts";
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { handleText, handleNumber, type Handle } from "./qdiscs.ts";
import { ETH_P } from "./uapi/if_ether.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { TC_ACT, TC_U32, TCA_EGRESS, TCA_INGRESS, filter as filterMessage, type TCA_ACT } from "./uapi/pkt_cls.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import { be16, be32, decode, encode, u16, type Value } from "./wire/codec.ts";

/** Where clsact's filters are: those that see what comes in, and those that see what leaves. */
export const CLSACT = { ingress: "ffff:fff2", egress: "ffff:fff3" } as const;

export const PROTOCOLS = { all: ETH_P.ALL, ip: ETH_P.IP, arp: ETH_P.ARP, ipv6: ETH_P.IPV6 } as const;

/** Four bytes of a packet, and what they are to be under a mask. */
export interface U32Key {
  /** Of the first of them, from the network header on. */
  offset: number;
  value: number;
  mask: number;
}

/** What is done with a packet: another link sends it, or has it as if it had come in there; the packet itself, or a copy. */
export interface Mirred {
  what: "redirect" | "mirror";
  to: "egress" | "ingress";
  /** Index of the link; 0 of one that is gone. */
  link: number;
}

export interface U32Filter {
  kind: "u32";
  /** The qdisc, or one of CLSACT. */
  parent: Handle;
  /** Lower is asked first; filters of one priority are all of one protocol. */
  priority: number;
  protocol: keyof typeof PROTOCOLS;
  /** All of them have to fit; without any, every packet does. */
  keys: readonly U32Key[];
  /** The class that it is for, where the qdisc has classes. */
  flowid?: Handle;
  /** None: the packet goes on. */
  actions: readonly Mirred[];
}

export interface Filter {
  kind: string;
  parent: Handle;
  priority: number;
  /** ETH_P, in host order. */
  protocol: number;
  u32: Pick<U32Filter, "keys" | "flowid" | "actions"> | undefined;
}

type On = Pick<Link, "index" | "name">;

export interface Filters {
  /** Behind those of the same priority. */
  add(link: On, filter: U32Filter): void;
  /** Those of a qdisc, or of one of CLSACT, in the order in which they are asked. None where there is no such qdisc. */
  list(link: On, parent: Handle): Filter[];
  /** All of a priority; true if there were any. */
  delete(link: On, place: { parent: Handle; priority: number }): boolean;
}

type Message = Value<typeof filterMessage>;

export function createFilters(rtnl: () => NetlinkSocket): Filters {
  return {
    add: (link, filter) => rtnl().request({
      what: `add a ${filter.kind} filter to "${link.name}" at ${filter.parent}`, type: RTM.NEWTFILTER, flags: NLM_F.CREATE | NLM_F.EXCL, codec: filterMessage, value: messageOf(link, filter),
    }),
    list: ({ index, name }, parent) => {
      const value = { tcm_ifindex: index, tcm_parent: handleNumber(parent) };
      const request = { what: `list filters of "${name}" at ${parent}`, type: RTM.GETTFILTER, codec: filterMessage, value };
      return (unless(["EINVAL", "ENOENT"], () => rtnl().dump(request, filterFrom)) ?? []).filter((one) => one !== undefined);
    },
    delete: ({ index, name }, { parent, priority }) => {
      const value = { tcm_ifindex: index, tcm_parent: handleNumber(parent), tcm_info: priority * 0x1_0000 };
      const request = { what: `delete filters of "${name}" at ${parent}`, type: RTM.DELTFILTER, codec: filterMessage, value };
      return unless(["EINVAL", "ENOENT"], () => (rtnl().request(request), true)) ?? false;
    },
  };
}

/** Where an IP header has its addresses (RFC 791 section 3.1, RFC 8200 section 3). */
const ADDRESS_AT = { 4: { source: 12, destination: 16 }, 6: { source: 8, destination: 24 } } as const;

/** What a packet has whose source or destination is in a subnet. Nothing, where the subnet is everything. */
export function keysFor(end: "source" | "destination", subnet: Cidr): U32Key[] {
  const { ip: { bytes }, prefix } = networkOf(subnet);
  return Array.from({ length: Math.ceil(prefix / 32) }, (_, at) => {
    const bits = Math.min(32, prefix - 32 * at);
    return { offset: ADDRESS_AT[subnet.family][end] + 4 * at, value: decode(be32, bytes.subarray(4 * at)), mask: 2 ** 32 - 2 ** (32 - bits) };
  });
}

function messageOf({ index }: On, { parent, priority, protocol, keys, flowid, actions }: U32Filter): Message {
  const all = keys.length > 0 ? keys : [{ offset: 0, value: 0, mask: 0 }];
  return {
    tcm_ifindex: index,
    tcm_parent: handleNumber(parent),
    tcm_info: priority * 0x1_0000 + swapped(PROTOCOLS[protocol]),
    attrs: {
      kind: "u32",
      data: {
        ...(flowid !== undefined && { CLASSID: handleNumber(flowid) }),
        SEL: { header: { flags: TC_U32.TERMINAL, nkeys: all.length }, items: all.map(({ offset, value, mask }) => ({ mask, val: value, off: offset })) },
        ...(actions.length > 0 && { ACT: actions.map(actionOf) }),
      },
    },
  };
}

/** A redirected packet is another's from then on; a copy's original goes on to what follows. */
function actionOf({ what, to, link }: Mirred): Value<typeof TCA_ACT> {
  const numbers = to === "egress" ? TCA_EGRESS : TCA_INGRESS;
  const [eaction, action] = what === "redirect" ? [numbers.REDIR, TC_ACT.STOLEN] : [numbers.MIRROR, TC_ACT.PIPE];
  return { kind: "mirred", data: { PARMS: { action, eaction, ifindex: link } } };
}

/** Undefined of what a dump has beside filters: the heads of priorities, and hash tables. */
function filterFrom(body: Uint8Array): Filter | undefined {
  const { tcm_handle, tcm_parent, tcm_info, attrs } = filterMessage.decode(body);
  if (tcm_handle === 0) return undefined;
  const place = { parent: handleText(tcm_parent), priority: tcm_info >>> 16, protocol: swapped(tcm_info & 0xffff) };
  if (attrs.kind === "unknown") return { kind: attrs.name, ...place, u32: undefined };
  const { SEL, CLASSID, ACT = [] } = attrs.data ?? {};
  if (!SEL) return undefined;
  const keys = SEL.items.map(({ off = 0, val = 0, mask = 0 }) => ({ offset: off, value: val, mask })).filter(({ mask }) => mask !== 0);
  const actions = ACT.flatMap((one) => (one.kind === "mirred" && one.data?.PARMS ? [mirredFrom(one.data.PARMS)] : []));
  return { kind: "u32", ...place, u32: { keys, ...(CLASSID !== undefined && { flowid: handleText(CLASSID) }), actions } };
}

function mirredFrom({ eaction, ifindex = 0 }: { eaction?: number; ifindex?: number }): Mirred {
  const what = eaction === TCA_EGRESS.REDIR || eaction === TCA_INGRESS.REDIR ? "redirect" : "mirror";
  return { what, to: eaction === TCA_EGRESS.REDIR || eaction === TCA_EGRESS.MIRROR ? "egress" : "ingress", link: ifindex };
}

/** A protocol's number stands in network order in a field of the host's. */
const swapped = (number: number): number => decode(u16, encode(be16, number));
