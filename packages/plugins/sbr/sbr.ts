/**
 * sbr: source based routing. A pod with several interfaces answers by the one that it was asked by.
 *
 *        pod
 *     ┌───────────────────────────────────────────────────────────┐
 *     │ eth0 10.1.0.5/24      default via 10.1.0.1 (table main) ──┼── what has no other way
 *     │ net1 10.9.0.7/24                                          │
 *     │   from 10.9.0.7 lookup 100                                │
 *     │        table 100: 10.9.0.0/24 dev net1                    │
 *     │                   default via 10.9.0.1 dev net1 ──────────┼── what comes from 10.9.0.7
 *     └───────────────────────────────────────────────────────────┘
 *
 * Without it an answer from 10.9.0.7 takes the default route by eth0, and whoever is there drops it, for it is not eth0's.
 * ADD moves the interface's routes (net1's here) from the main table into one for each of its addresses, and sends to that
 * table what comes from the address. Link-local routes stay: they are not by source. The tables go with the interface, DEL
 * has the rules to take.
 *
 * Same options, tables and results as the reference sbr plugin.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, ip, list, type Args, type ConfigOf, type Context, type Result } from "@vethwork/cni";
import { Netns, cidrOf, contains, networkOf, parseCidr, parseIp, sameCidr, sameIp, type Cidr, type Ip, type Link, type Route } from "@vethwork/linux";
import { addressesOf, interfaceOf, resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { openPod } from "../shared/pod.ts";

const options = config({
  table: [integer({ min: 1, max: 0xffff_ffff }), undefined, "A table that somebody else fills: rules lead to it, and no route is touched."],
  gateways: [list(ip), undefined, "Default gateways of the tables, one for each family, instead of those of the plugin before."],
  addSourceHints: [boolean, false, "Leave the routes to the interface's subnets in the main table, with its addresses as their source."],
});
type Config = ConfigOf<typeof options>;

/** Tables 253 to 255 are the kernel's own (rtnetlink.h); the reference begins here, too. */
const FIRST_TABLE = 100;
const [BOOT, LINK] = [3, 253]; // rtnetlink.h: RTPROT_BOOT, RT_SCOPE_LINK
/** Interfaces of one pod may be added at the same time, and each looks for a table that nobody has. */
const LOCK_TIMEOUT_MS = 30_000;
const EVERYWHERE = { 4: parseCidr("0.0.0.0/0"), 6: parseCidr("::/0") } as const;
const LINK_LOCAL = parseCidr("fe80::/10");

export default definePlugin({
  type: "sbr",
  about: "answers of a pod leave by the interface that was asked, by rules and tables for each of its addresses",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;
    const before = resultBefore(context);
    const sources = sourcesOf(given, args, before);
    const pod = undo.use(openPod(args.netns));
    pod.lock(LOCK_TIMEOUT_MS);
    const link = interfaceOf(pod, args);
    if (given.table !== undefined) {
      for (const { address } of sources) addRule(pod, address, { table: given.table, undo });
      return before;
    }

    // Each address gets a table with the interface's routes that are its own, and what comes from it is sent there.
    const routes = pod.routes.list({ link: link.index }).filter(({ type }) => type === "unicast");
    for (const source of sources) {
      const table = freeTable(pod);
      for (const way of waysOf(source, { sources, routes, link })) {
        undo.defer(() => pod.routes.delete({ ...way, table }));
        pod.routes.ensure({ ...way, table });
      }
      addRule(pod, source.address, { table, undo });
    }

    // Then the main table is without them. It comes last, since a gateway is only taken while there is a route to it.
    const hints = given.addSourceHints ? sources.map(({ address }) => hintFor(address, link)) : [];
    const isMoved = ({ dst, scope }: Route): boolean =>
      sources.some(({ address }) => address.family === dst.family) && !contains(LINK_LOCAL, dst.ip) && (hints.length === 0 || scope !== LINK);
    for (const route of routes.toSorted(gatewaysFirst)) undo.defer(() => pod.routes.ensure(route)); // undone from the last
    for (const hint of hints) {
      undo.defer(() => pod.routes.delete(hint));
      pod.routes.ensure(hint);
    }
    for (const route of routes.filter(isMoved)) pod.routes.delete(route);
    return before;
  },

  // CHECK asks whether every address still has its rule, and the rule's table its way out. It changes nothing.
  check(context) {
    const { config: given, args } = context;
    const sources = sourcesOf(given, args, resultBefore(context));
    using pod = openPod(args.netns);
    const faults = sources.flatMap((source) => sourceFaults(pod, source, { given, link: interfaceOf(pod, args) }));
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL: rules outlive their interface; by the addresses of the result they are found when it is gone.
  del({ config: { table }, args, prevResult = {} }) {
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    if (!pod) return;
    const link = pod.links.find(args.ifname);
    const own = link ? pod.addrs.list({ link }).map(({ address }) => address.ip) : [];
    const told = addressesOf(args.ifname, prevResult).map(({ address }) => parseCidr(address).ip);
    for (const rule of pod.rules.list(table === undefined ? {} : { table })) {
      const { from } = rule;
      if (from && [...own, ...told].some((one) => sameCidr(from, cidrOf(one)))) pod.rules.delete(rule);
    }
  },

  status() {
    using host = Netns.host();
    if (host.rules.list().length === 0) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "this kernel has no rules for routing (CONFIG_IP_MULTIPLE_TABLES is wanted)");
  },
});

/** An address of the interface, and the way out for what comes from it. */
interface Source {
  address: Cidr;
  gateway: Ip | undefined;
  /** The gateway is the configuration's, and comes before whatever was there. */
  isStatic: boolean;
}

function sourcesOf({ gateways = [] }: Config, { ifname }: Args, before: Result): Source[] {
  const given = gateways.map((text) => parseIp(text));
  for (const family of [4, 6] as const) {
    const same = given.filter((one) => one.family === family);
    if (same.length > 1) throw new CniError(ErrorCode.INVALID_CONFIG, `gateways list contains multiple IPv${family} addresses: ${same.join(" and ")}`);
  }
  const sources = addressesOf(ifname, before).map(({ address: text, gateway }): Source => {
    const address = parseCidr(text);
    const own = given.find(({ family }) => family === address.family);
    return { address, gateway: own ?? (gateway === undefined ? undefined : parseIp(gateway)), isStatic: own !== undefined };
  });
  if (sources.length > 0) return sources;
  throw new CniError(ErrorCode.INVALID_CONFIG, `No IP addresses supplied on interface: ${ifname}`);
}

/** The lowest that no rule leads to and that has no routes. */
function freeTable(pod: Netns): number {
  const taken = new Set(pod.rules.list().map(({ table }) => table));
  let table = FIRST_TABLE;
  while (taken.has(table) || pod.routes.list({ table }).length > 0) table++;
  return table;
}

/** What an ADD without its DEL left behind is found again instead of doubled. */
function addRule(pod: Netns, { ip: source, family }: Cidr, { table, undo }: Pick<Context<Config>, "undo"> & { table: number }): void {
  const from = cidrOf(source);
  if (pod.rules.list({ family, table }).some((one) => one.from && sameCidr(one.from, from))) return;
  undo.defer(() => pod.rules.delete({ family, from, table }));
  pod.rules.add({ family, from, table });
}

/** The routes of a source's table: those to its subnet first, since the others' gateways are there. */
function waysOf({ address, gateway, isStatic }: Source, { sources, routes, link: { index } }: { sources: readonly Source[]; routes: readonly Route[]; link: Link }): Route[] {
  const own = routes.filter((route) => isOf(address, route, sources));
  const out = gateway ? [{ dst: EVERYWHERE[address.family], via: gateway, link: index, protocol: BOOT }] : [];
  const [direct, others] = [own.filter(({ via }) => via === undefined), own.filter(({ via }) => via !== undefined)];
  return isStatic ? [...direct, ...others, ...out] : [...direct, ...out, ...others];
}

const gatewaysFirst = (a: Route, b: Route): number => Number(b.via !== undefined) - Number(a.via !== undefined);

/** A route is an address' own if its source or its gateway is in the address' subnet, and everyone's if they are in no one's. */
function isOf(address: Cidr, { dst, source, via }: Route, sources: readonly Source[]): boolean {
  const near = [source, via].filter((one) => one !== undefined);
  const claims = (one: Cidr): boolean => near.some((ip) => contains(one, ip));
  return dst.family === address.family && (claims(address) || !sources.some((other) => claims(other.address)));
}

const hintFor = (address: Cidr, { index }: Link): Route => ({ dst: networkOf(address), link: index, source: address.ip, scope: LINK, protocol: BOOT });

function sourceFaults(pod: Netns, { address, gateway }: Source, { given, link }: { given: Config; link: Link }): string[] {
  const rule = pod.rules.list({ family: address.family }).find(({ from, table }) => from && sameCidr(from, cidrOf(address.ip)) && (given.table ?? table) === table);
  if (!rule) return [`no rule leads what comes from ${address.ip} to ${given.table === undefined ? "a table of its own" : `table ${given.table}`}`];
  if (given.table !== undefined || !gateway) return [];
  const ways = pod.routes.list({ family: address.family, table: rule.table, link: link.index });
  const has = ways.some(({ dst, via }) => dst.prefix === 0 && via !== undefined && sameIp(via, gateway));
  return has ? [] : [`table ${rule.table} has lost its default route via ${gateway}`];
}
