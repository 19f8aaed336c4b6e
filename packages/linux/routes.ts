/** Routes: where a packet goes next (ip-route(8)). */
import { unless } from "./errors.ts";
import { afOf, bitsOf, cidrOf, familyOf, ipFrom, networkOf, sameCidr, type Cidr, type Family, type Ip } from "./ip.ts";
import type { Failure, NetlinkSocket, Request } from "./netlink.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTM, RTM_F, RTN, RTNH_F, RTPROT, RT_SCOPE, RT_TABLE, route as routeMessage } from "./uapi/rtnetlink.ts";
import type { Value } from "./wire/codec.ts";

export interface Route {
  /** The prefix; 0.0.0.0/0 and ::/0 are the default routes. */
  dst: Cidr;
  /** The next router; absent where the destination is on the link itself. */
  via?: Ip;
  /** Index of the link. */
  link?: number;
  /** The source address of packets that have none yet. */
  source?: Ip;
  /** Lower wins. IPv6 without one has 1024. */
  metric?: number;
  /** Who made it: RTPROT, or a number of one's own. */
  protocol?: number;
  table?: number;
  type?: "unicast" | "blackhole" | "unreachable" | "prohibit" | "local" | "other";
  /** `via` is on the link though no route says so. */
  onlink?: boolean;
  mtu?: number;
  /** Largest TCP segment to ask for. */
  advmss?: number;
  /** RT_SCOPE: 0 everywhere, 253 the link, 254 this host. Unless given, what fits the route. */
  scope?: number;
}

export interface Routes {
  /** Fails with EEXIST where there is one to that prefix with that metric. */
  add(route: Route): void;
  /** As add, but before one to that prefix with that metric and another next hop (ip-route(8) prepend). */
  prepend(route: Route): void;
  /** Makes it so: a route to that prefix with that metric and another next hop is replaced. */
  ensure(route: Route): void;
  /** As ensure, of many in few requests; gives those that failed. */
  ensureAll(routes: readonly Route[]): Failure[];
  /** Of the main table, unless another is meant, or "all". */
  list(filter?: { family?: Family; table?: number | "all"; protocol?: number; dst?: Cidr; link?: number }): Route[];
  /** What the kernel does with a packet to `ip`: the route that it takes; undefined where there is none. */
  find(ip: Ip): Route | undefined;
  /** The entry of the table that decides on packets to `ip`, with its own prefix (RTM_F_FIB_MATCH). */
  findEntry(ip: Ip): Route | undefined;
  /** True if it was there. */
  delete(route: Route): boolean;
  deleteAll(routes: readonly Route[]): Failure[];
}

const TYPES = {
  unicast: RTN.UNICAST,
  blackhole: RTN.BLACKHOLE,
  unreachable: RTN.UNREACHABLE,
  prohibit: RTN.PROHIBIT,
  local: RTN.LOCAL,
  other: RTN.UNSPEC,
} as const;

/** Nobody is to be found there, in the kernel's words; and what a route that refuses says (RTN). */
const NO_WAY = ["ENETUNREACH", "EHOSTUNREACH", "EINVAL", "EACCES"] as const;

export function createRoutes(rtnl: () => NetlinkSocket): Routes {
  const change = (verb: keyof typeof VERBS, route: Route): void => rtnl().request(changing(verb, route));
  const find = (ip: Ip, flags = 0): Route | undefined => unless(NO_WAY, () => rtnl().get(finding(ip, flags), routeFrom));
  return {
    add: (route) => change("add", route),
    prepend: (route) => change("prepend", route),
    ensure: (route) => change("set", route),
    ensureAll: (routes) => rtnl().series(routes.map((route) => changing("set", route))),
    list: ({ family, table = RT_TABLE.MAIN, protocol, dst, link } = {}) => {
      const families = family ? [family] : [4 as const, 6 as const];
      const lists = families.map((one) => dumpOf(rtnl(), { family: one, table, ...(protocol && { protocol }) }));
      return lists.flat().filter((route) => (!dst || sameCidr(route.dst, dst)) && (!link || route.link === link));
    },
    find: (ip) => find(ip),
    findEntry: (ip) => find(ip, RTM_F.FIB_MATCH),
    delete: (route) => unless(["ESRCH", "ENODEV"], () => (change("delete", route), true)) ?? false,
    deleteAll: (routes) => rtnl().series(routes.map((route) => changing("delete", route))),
  };
}

type RouteRequest = Request<Value<typeof routeMessage>>;

const VERBS = {
  add: { type: RTM.NEWROUTE, flags: NLM_F.CREATE | NLM_F.EXCL },
  prepend: { type: RTM.NEWROUTE, flags: NLM_F.CREATE },
  set: { type: RTM.NEWROUTE, flags: NLM_F.CREATE | NLM_F.REPLACE },
  delete: { type: RTM.DELROUTE, flags: 0 },
} as const;

const changing = (verb: keyof typeof VERBS, route: Route): RouteRequest =>
  ({ what: `${verb} route to ${route.dst}`, ...VERBS[verb], codec: routeMessage, value: messageOf(route) });

function finding(ip: Ip, flags = 0): RouteRequest {
  const value = { rtm_family: afOf(ip.family), rtm_dst_len: bitsOf(ip.family), rtm_flags: flags, attrs: { DST: ip.bytes } };
  return { what: `find the route to ${ip}`, type: RTM.GETROUTE, codec: routeMessage, value };
}

/** The kernel filters by table and protocol itself (strict checking, 4.20), so a long table costs nothing here. */
function dumpOf(rtnl: NetlinkSocket, { family, table, protocol }: { family: Family; table: number | "all"; protocol?: number }): Route[] {
  const value = {
    rtm_family: afOf(family),
    ...(protocol !== undefined && { rtm_protocol: protocol }),
    attrs: table === "all" ? {} : { TABLE: table },
  };
  const what = `list IPv${family} routes`;
  const missing = ["ENOENT", "EAFNOSUPPORT", "EOPNOTSUPP"]; // the table is made with its first route
  const request = { what, type: RTM.GETROUTE, codec: routeMessage, value };
  return (unless(missing, () => rtnl.dump(request, routeFrom)) ?? []).filter((route) => route !== undefined);
}

function messageOf(route: Route): Value<typeof routeMessage> {
  const { dst, via, link, source, metric, protocol = RTPROT.STATIC, table = RT_TABLE.MAIN, type = "unicast", onlink, mtu, advmss, scope } = route;
  const onLink = via === undefined && type === "unicast" && dst.family === 4;
  return {
    rtm_family: afOf(dst.family),
    rtm_dst_len: dst.prefix,
    rtm_table: table < 256 ? table : RT_TABLE.UNSPEC,
    rtm_protocol: protocol,
    rtm_scope: scope ?? (onLink ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE),
    rtm_type: TYPES[type],
    rtm_flags: onlink ? RTNH_F.ONLINK : 0,
    attrs: {
      ...(dst.prefix > 0 && { DST: networkOf(dst).ip.bytes }),
      ...(via && { GATEWAY: via.bytes }),
      ...(link !== undefined && { OIF: link }),
      ...(source && { PREFSRC: source.bytes }),
      ...(metric !== undefined && { PRIORITY: metric }),
      ...((mtu !== undefined || advmss !== undefined) && { METRICS: metricsOf({ mtu, advmss }) }),
      TABLE: table,
    },
  };
}

const metricsOf = ({ mtu, advmss }: { mtu: number | undefined; advmss: number | undefined }) =>
  ({ ...(mtu !== undefined && { MTU: mtu }), ...(advmss !== undefined && { ADVMSS: advmss }) });

function routeFrom(body: Uint8Array): Route | undefined {
  const { rtm_family, rtm_dst_len, rtm_protocol, rtm_scope, rtm_table, rtm_type, rtm_flags, attrs } = routeMessage.decode(body);
  const family = familyOf(rtm_family);
  if (!family) return undefined;
  const { DST, GATEWAY, OIF, PREFSRC, PRIORITY, METRICS, TABLE } = attrs;
  const type = Object.entries(TYPES).find(([, number]) => number === rtm_type)?.[0];
  return {
    dst: cidrOf(ipFrom(DST ?? new Uint8Array(bitsOf(family) / 8)), rtm_dst_len),
    protocol: rtm_protocol,
    scope: rtm_scope,
    table: TABLE ?? rtm_table,
    type: isType(type) ? type : "other",
    ...(GATEWAY && { via: ipFrom(GATEWAY) }),
    ...(OIF !== undefined && { link: OIF }),
    ...(PREFSRC && { source: ipFrom(PREFSRC) }),
    ...(PRIORITY !== undefined && { metric: PRIORITY }),
    ...((rtm_flags & RTNH_F.ONLINK) !== 0 && { onlink: true }),
    ...(METRICS?.MTU !== undefined && { mtu: METRICS.MTU }),
    ...(METRICS?.ADVMSS !== undefined && { advmss: METRICS.ADVMSS }),
  };
}

const isType = (name: string | undefined): name is keyof typeof TYPES => name !== undefined && name in TYPES;
