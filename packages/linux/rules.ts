/**
 * Rules: which routing table is asked about a packet (ip-rule(8)). The kernel asks them in the order of their priority, the
 * lowest first, until one's table has a route:
 *
 *     0      from all          lookup local
 *     32765  from 10.1.0.5     lookup 100      routing by where a packet comes from
 *     32766  from all          lookup main
 */
import { unless } from "./errors.ts";
import { afOf, bitsOf, cidrOf, familyOf, ipFrom, networkOf, type Cidr, type Family } from "./ip.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { FR_ACT, rule as ruleMessage } from "./uapi/fib_rules.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTM, RT_TABLE } from "./uapi/rtnetlink.ts";
import type { Value } from "./wire/codec.ts";

export interface RoutingRule {
  family: Family;
  /** The table that is asked; 0 of a rule that asks none. */
  table: number;
  /** Where the packet comes from; anywhere unless given. */
  from?: Cidr;
  /** Where it goes to. */
  to?: Cidr;
  /** The link that it came in by, and the one that it leaves by, by their names. */
  iif?: string;
  oif?: string;
  /** Lower is asked first. Unless given, the kernel puts it before the lowest there is after 0. */
  priority?: number;
}

export interface RoutingRules {
  /** Fails with EEXIST where there is such a rule of that priority; without one there may be two. */
  add(rule: RoutingRule): void;
  /** In the order in which they are asked, those of IPv4 first. None of a family that this kernel has no rules for. */
  list(filter?: { family?: Family; table?: number }): RoutingRule[];
  /** True if it was there. */
  delete(rule: RoutingRule): boolean;
}

export function createRules(rtnl: () => NetlinkSocket): RoutingRules {
  const change = (what: string, how: { type: number; flags: number }, rule: RoutingRule): void =>
    rtnl().request({ what: `${what} rule from ${rule.from ?? "all"} to table ${rule.table}`, ...how, codec: ruleMessage, value: messageOf(rule) });
  const dump = (family: Family): RoutingRule[] => {
    const request = { what: `list IPv${family} rules`, type: RTM.GETRULE, codec: ruleMessage, value: { family: afOf(family) } };
    return (unless(["EAFNOSUPPORT", "EOPNOTSUPP"], () => rtnl().dump(request, ruleFrom)) ?? []).filter((rule) => rule !== undefined);
  };
  return {
    add: (rule) => change("add", { type: RTM.NEWRULE, flags: NLM_F.CREATE | NLM_F.EXCL }, rule),
    list: ({ family, table } = {}) => (family ? dump(family) : [...dump(4), ...dump(6)]).filter((rule) => table === undefined || rule.table === table),
    delete: (rule) => unless(["ENOENT"], () => (change("delete", { type: RTM.DELRULE, flags: 0 }, rule), true)) ?? false,
  };
}

function messageOf({ family, table, from, to, iif, oif, priority }: RoutingRule): Value<typeof ruleMessage> {
  return {
    family: afOf(family),
    src_len: from?.prefix ?? 0,
    dst_len: to?.prefix ?? 0,
    table: table < 256 ? table : RT_TABLE.UNSPEC,
    action: FR_ACT.TO_TBL,
    attrs: {
      ...(from && { SRC: networkOf(from).ip.bytes }),
      ...(to && { DST: networkOf(to).ip.bytes }),
      ...(iif !== undefined && { IIFNAME: iif }),
      ...(oif !== undefined && { OIFNAME: oif }),
      ...(priority !== undefined && { PRIORITY: priority }),
      TABLE: table,
    },
  };
}

function ruleFrom(body: Uint8Array): RoutingRule | undefined {
  const { family: af, src_len, dst_len, table, attrs } = ruleMessage.decode(body);
  const family = familyOf(af);
  if (!family) return undefined;
  const { SRC, DST, IIFNAME, OIFNAME, PRIORITY = 0, TABLE } = attrs; // a priority of 0 is not told
  const prefix = (bytes: Uint8Array | undefined, length: number): Cidr | undefined =>
    bytes && bytes.length * 8 === bitsOf(family) ? cidrOf(ipFrom(bytes), length) : undefined;
  const [from, to] = [prefix(SRC, src_len), prefix(DST, dst_len)];
  return {
    family, table: TABLE ?? table, priority: PRIORITY,
    ...(from && { from }), ...(to && { to }),
    ...(IIFNAME !== undefined && { iif: IIFNAME }), ...(OIFNAME !== undefined && { oif: OIFNAME }),
  };
}
