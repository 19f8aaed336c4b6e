/**
 * Routes to other nodes' pods: the plan's beside the kernel's, and the difference written.
 *
 * All have protocol 119, by which they are found again; a route of that protocol that is not in the plan is stale. A subnet
 * that has become another node's, or nobody's, is closed first: nobody gets there. Then the flows that this node remembers of
 * it are forgotten, and no new ones begin meanwhile; only then it gets its new way. Who is killed in between finds it closed.
 */
import type { Cidr, Link, Netns, Route } from "@vethwork/linux";
import type { Log } from "./log.ts";
import type { PlannedRoute } from "./ways.ts";

/** Pods' own routes have 118 (plugins/vethwork/cable.ts), so that neither takes the other's for stale. */
export const ROUTE_PROTOCOL = 119;
const METRIC = { 4: 0, 6: 1024 } as const; // what the kernel gives a route without one

export interface RouteChanges {
  /** Subnets that were another node's, or are nobody's any more. */
  moved: Cidr[];
  /** Closes those that moved. */
  close(): void;
  /** Makes every route as it should be, and deletes those that should not be. */
  settle(): void;
}

export interface Knowledge {
  /** Links by name. A route by one that is not there is closed: in the clear nothing goes that was to be wrapped. */
  links: ReadonlyMap<string, Link>;
  /** Whose each subnet was when last looked at; the subnets' texts, the nodes' names. */
  owners: ReadonlyMap<string, string>;
  /** Of subnets that nobody looked at before: true where something else than the route shows that it was another's. */
  isMoved(dst: Cidr): boolean;
}

export function routeChanges(host: Netns, planned: readonly PlannedRoute[], { links, owners, isMoved }: Knowledge, log: Log): RouteChanges {
  const wanted = new Map(planned.map((plan) => [String(plan.dst), { node: plan.node, route: kernelRoute(plan, links) }]));
  const there = host.routes.list({ protocol: ROUTE_PROTOCOL }).map((route) => ({ route, text: String(route.dst), isOurs: (route.metric ?? 0) === METRIC[route.dst.family] }));
  const right = new Set(there.filter(({ route, text, isOurs }) => isOurs && isSame(wanted.get(text)?.route, route)).map(({ text }) => text));
  const moved = new Map(there.filter(({ route, text }) => {
    const before = owners.get(text);
    return before === undefined ? !right.has(text) || isMoved(route.dst) : before !== wanted.get(text)?.node;
  }).map(({ route, text }) => [text, route.dst]));
  const known = new Set(there.map(({ text }) => text));
  return {
    moved: [...moved.values()],
    close: () => log.series([...moved.values()], (dst) => `close ${dst}`, (some) => host.routes.ensureAll(some.map(closed))),
    settle: () => {
      const missing = [...wanted].filter(([text]) => !right.has(text) || moved.has(text)).map(([text, { route }]) => ({ text, route }));
      log.series(missing, ({ text, route }) => `${known.has(text) ? "set" : "add"} route ${textOf(route, links)}`, (some) => host.routes.ensureAll(some.map(({ route }) => route)));
      const others = there.filter(({ isOurs }) => !isOurs).map(({ route }) => route);
      const gone = [...moved].filter(([text]) => !wanted.has(text)).map(([, dst]) => closed(dst));
      log.series([...others, ...gone], ({ dst }) => `delete route ${dst}`, (some) => host.routes.deleteAll(some));
    },
  };
}

const closed = (dst: Cidr): Route => ({ dst, type: "unreachable", protocol: ROUTE_PROTOCOL });

function kernelRoute({ dst, via, onlink, link: name }: PlannedRoute, links: ReadonlyMap<string, Link>): Route {
  const link = name === undefined ? undefined : links.get(name);
  return link ? { dst, link: link.index, protocol: ROUTE_PROTOCOL, ...(via && { via }), ...(onlink && { onlink }) } : closed(dst);
}

function isSame(wanted: Route | undefined, there: Route): boolean {
  const type = wanted?.type ?? "unicast";
  return wanted !== undefined && type === there.type && (type !== "unicast" || (wanted.link === there.link && String(wanted.via) === String(there.via)));
}

function textOf({ dst, via, link, type }: Route, links: ReadonlyMap<string, Link>): string {
  const name = [...links.values()].find(({ index }) => index === link)?.name;
  return `${type ? `${type} ` : ""}${dst}${via ? ` via ${via}` : ""}${name === undefined ? "" : ` dev ${name}`}`;
}
