/**
 * The rules of services: `table inet vethwork-services`, one for the node. Which services there are stands in maps and sets alone,
 * so a service more is some elements, and a connection costs one lookup to find its service and one to pick who answers.
 *
 *     prerouting, output ──► services     ip daddr . meta l4proto . th dport vmap @services4
 *                                │
 *        inside4-3               ▼        its address is the client's own, if that is a pod of this node; else mark it
 *                                         dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints4
 *     postrouting                         to itself, or marked: masquerade
 *
 * Frontends to which the same is to happen share a chain: `inside4-3` is of all addresses of the cluster behind which are three, and
 * `outside4-1-here-3-in-all` of node ports, say, whose clients from outside stay on this node. There are as many chains as there are
 * such cases, a few dozen, however many services.
 *
 * Between the two lookups of one packet another program may have changed both maps. Such a packet takes the first endpoint, and is
 * dropped where there is none: it must not go on untranslated, as conntrack would remember that for all that follow.
 */
import { sameRule, words, type Chain, type Family, type KernelRule, type NftSet, type Rule, type Table } from "@vethwork/linux";

/** So many of a frontend's numbered endpoints, from there on. */
export interface Some {
  count: number;
  from: number;
}

/** What is to happen to a connection; all frontends with the same have one chain. */
export interface Treatment {
  family: Family;
  /** Inside the cluster a client keeps its address where the answer comes back by itself. */
  side: "inside" | "outside";
  /** For clients that are to stay on this node; undefined: none is. */
  here: Some | undefined;
  everywhere: Some;
  /** For so long a client is sent to the endpoint that it was sent to before; 0: not. */
  affinitySeconds: number;
  /** Only from the source ranges. */
  isGuarded: boolean;
  /** There is no endpoint anywhere. */
  isRefused: boolean;
}

export const TABLE: Table = { family: "inet", name: "vethwork-services" };
export const FAMILIES = [4, 6] as const;

/**
 * kube-proxy's bit of a packet's mark, with kube-proxy's meaning: whoever else is on the node leaves it alone. portmap has 0x2000,
 * the `firewall` plugin asks conntrack instead, Calico and Cilium have others.
 */
export const MASQUERADE = 0x4000;

/** Behind host ports (-100 and -101, of portmap), which are this node's own; kube-proxy and the reference plugins are at -100. */
const DSTNAT = -99;
/** Before everybody else's masquerade (100), which knows less of where a packet is from. */
const SRCNAT = 99;
/** Clients that affinity remembers, of a family. */
const MOST_CLIENTS = 262_144;

const { concat, meta, th } = words;

const addressType = (family: Family) => (family === 4 ? "ipv4_addr" : "ipv6_addr");

/** Maps and sets of a family. */
export interface Sets {
  /** Frontend → its chain. */
  services: NftSet;
  /** Frontend and a number → who answers. */
  endpoints: NftSet;
  /** Addresses of services, at which other ports are closed. */
  clusterIps: NftSet;
  /** Where those come from. */
  subnets: NftSet;
  /** This node's pods. */
  pods: NftSet;
  /** A pod and itself: its answer to itself would never come back here. */
  hairpin: NftSet;
  /** Frontend and who may use it. */
  sources: NftSet;
  /** Frontend → for how long its clients are remembered. */
  sticky: NftSet;
  /** Client and frontend → who answered last. */
  affinity: NftSet;
  /** Frontends of UDP that are gone, until their flows are, too (./flows.ts). */
  closed: NftSet;
}

export const setsOf = (family: Family): Sets => SETS[family];

function setsFor(family: Family): Sets {
  const address = addressType(family);
  const frontend = [address, "inet_proto", "inet_service"] as const;
  const endpoint = [address, "inet_service"] as const;
  const of = (name: string, rest: Omit<NftSet, "table" | "name">): NftSet => ({ table: TABLE, name: `${name}${family}`, ...rest });
  return {
    services: of("services", { key: frontend, value: "verdict", counter: true }),
    endpoints: of("endpoints", { key: [...frontend, "mark"], value: endpoint, counter: true }),
    clusterIps: of("cluster-ips", { key: address }),
    subnets: of("service-subnets", { key: address, interval: true }),
    pods: of("pods", { key: address, interval: true }),
    hairpin: of("hairpin", { key: [address, address] }),
    sources: of("sources", { key: [...frontend, address], interval: true }),
    sticky: of("sticky", { key: frontend, value: "verdict" }),
    affinity: of("affinity", { key: [address, ...frontend], value: endpoint, timeout: true, size: MOST_CLIENTS }),
    closed: of("closed", { key: frontend, timeout: true }),
  };
}

const SETS = { 4: setsFor(4), 6: setsFor(6) } as const;

export const allSets = (): NftSet[] => FAMILIES.flatMap((family) => Object.values(SETS[family]));

/** Sets whose elements have no number and are the planner's: clients are the kernel's, and what is closed is ./flows.ts'. */
export const plainSets = (): NftSet[] => FAMILIES.flatMap((family) => {
  const { clusterIps, subnets, pods, hairpin, sources, sticky } = SETS[family];
  return [clusterIps, subnets, pods, hairpin, sources, sticky];
});

const named = (name: string, base?: Chain["base"]): Chain => ({ table: TABLE, name, ...(base && { base }) });

const refuse = named("refuse");
const services = named("services");
const bases = {
  prerouting: named("prerouting", { type: "nat", hook: "prerouting", priority: DSTNAT }),
  output: named("output", { type: "nat", hook: "output", priority: DSTNAT }),
  input: named("input", { type: "nat", hook: "input", priority: SRCNAT }),
  postrouting: named("postrouting", { type: "nat", hook: "postrouting", priority: SRCNAT }),
} as const;

/** A chain with its rules. */
export interface Filled {
  chain: Chain;
  rules: readonly Rule[];
  /** Chains that its rules lead to. */
  needs: readonly Filled[];
}

/** A rule's words, and why it is there. */
type Line = readonly [readonly words.Word[], string?];

const filled = (chain: Chain, lines: readonly Line[], needs: readonly Filled[] = []): Filled =>
  ({ chain, rules: lines.map(([some, comment]) => ({ chain, words: some, ...(comment !== undefined && { comment }) })), needs });

/** What is there however many services there are, in an order in which none refers to a later one. */
export function frame(): Filled[] {
  const remembered = FAMILIES.map((family) => [[words.ctStatus("dnat"), originalOf(family).vmap(SETS[family].sticky)]] as const);
  return [
    filled(refuse, [[[words.counter, words.reject], "nobody answers for it"]]),
    filled(services, [
      ...FAMILIES.map((family) => [[frontendOf(family).vmap(SETS[family].services)]] as const),
      ...FAMILIES.map((family) => [[words.ipOf(family).daddr.in(SETS[family].clusterIps), words.counter, words.reject], "the service has no such port"] as const),
      ...FAMILIES.map((family) => [[words.ipOf(family).daddr.in(SETS[family].subnets), words.counter, words.drop], "no service has this address"] as const),
    ]),
    ...[bases.prerouting, bases.output].map((chain) => filled(chain, [[[words.jump(services)]]])),
    filled(bases.input, remembered),
    filled(bases.postrouting, [
      ...remembered,
      ...FAMILIES.map((family) => {
        const { saddr, daddr } = words.ipOf(family);
        return [[words.ctStatus("dnat"), concat(saddr, daddr).in(SETS[family].hairpin), words.counter, words.masquerade], "a pod that reaches itself"] as const;
      }),
      [[words.mark.has(MASQUERADE), words.mark.clear(MASQUERADE), words.counter, words.masquerade], "answers have to come back here"],
    ]),
  ];
}

const frontendOf = (family: Family) => concat(words.ipOf(family).daddr, meta.l4proto, th.dport);

/** The frontend that a flow was sent to, wherever it leads by now. */
function originalOf(family: Family) {
  const { daddr, dport } = words.ctOriginal(family);
  return concat(daddr, meta.l4proto, dport);
}

/** Remembers a client for so long, on the way out: `remember4-10800s`. */
function rememberChain(family: Family, seconds: number): Filled {
  const key = concat(words.ctOriginal(family).saddr, originalOf(family));
  const word = words.remember({ map: SETS[family].affinity, key, seconds, value: concat(words.ipOf(family).daddr, th.dport) });
  return known(`remember${family}-${seconds}s`, (chain) => filled(chain, [[[word], "who answered this client"]]));
}

/** What an element of `services` says of its frontend. */
export function verdictOf(treatment: Treatment): words.Word {
  const chain = chainOf(treatment);
  if (chain) return words.goto(chain.chain);
  return treatment.isRefused ? words.goto(refuse) : words.drop;
}

/** Where clients are remembered by `sticky`. */
export const stickyVerdict = ({ family, affinitySeconds }: Treatment): words.Word => words.jump(rememberChain(family, affinitySeconds).chain);

/** The chain of all frontends with this treatment; undefined where a verdict says it all. */
export function chainOf(treatment: Treatment): Filled | undefined {
  const { isGuarded, isRefused, here, everywhere } = treatment;
  if (!isGuarded && (isRefused || (everywhere.count === 0 && !here))) return undefined;
  return known(nameOf(treatment), (chain) => treated(chain, treatment));
}

/** Chains that were asked for: there are few, and each is asked for by many frontends. */
const chains = new Map<string, Filled>();

/** The chain of that name, if it was ever asked for. */
export const chainNamed = (name: string): Filled | undefined => chains.get(name);

function known(name: string, make: (chain: Chain) => Filled): Filled {
  const there = chains.get(name) ?? make(named(name));
  chains.set(name, there);
  return there;
}

/** It says all that its rules depend on: `guarded-outside4-1-here-3-in-all-sticky-10800s`. */
function nameOf({ family, side, here, everywhere, affinitySeconds, isGuarded, isRefused }: Treatment): string {
  const guarded = isGuarded ? "guarded-" : "";
  return isRefused ? `${guarded}refuse${family}` : `${guarded}${side}${family}-${here ? `${here.count}-here-${everywhere.count}-in-all` : everywhere.count}${partsOf(everywhere, affinitySeconds)}`;
}

const partsOf = ({ from }: Some, affinitySeconds: number): string => `${from === 0 ? "" : `-from-${from}`}${affinitySeconds === 0 ? "" : `-sticky-${affinitySeconds}s`}`;

function treated(chain: Chain, treatment: Treatment): Filled {
  const { family, side, here, everywhere, isGuarded, isRefused } = treatment;
  const { saddr } = words.ipOf(family);
  const { pods, sources } = SETS[family];
  const mark = words.mark.set(MASQUERADE);
  const guard: Line[] = isGuarded ? [[[concat(frontendOf(family), saddr).notIn(sources), words.counter, words.drop], "not from its source ranges"]] : [];
  if (isRefused) return filled(chain, [...guard, [[words.goto(refuse)]]]);
  if (!here) return filled(chain, [...guard, [side === "inside" ? [saddr.notIn(pods), mark] : [mark]], ...picking(treatment, everywhere)]);
  const anywhere = known(`pick${family}-${everywhere.count}${partsOf(everywhere, treatment.affinitySeconds)}`, (one) => filled(one, picking(treatment, everywhere)));
  const node = words.fib.saddr.eq("local");
  return filled(chain, [
    ...guard,
    [[saddr.in(pods), words.goto(anywhere.chain)], "pods of this node go anywhere"],
    [[node, mark, words.goto(anywhere.chain)], "so does this node itself"],
    ...(here.count > 0 ? picking(treatment, here) : [[[words.counter, words.drop], "no endpoint here"] as const]),
  ], [anywhere]);
}

/** Sends it to one of some endpoints; with affinity to the one that it was sent to before, if that is remembered. */
function picking({ family, affinitySeconds }: Treatment, { count, from }: Some): Line[] {
  const frontend = frontendOf(family);
  const { endpoints, affinity } = SETS[family];
  const before = words.dnatBy(concat(words.ipOf(family).saddr, frontend), affinity);
  return [
    ...(affinitySeconds > 0 ? [[[before], "where it was sent before"] as const] : []),
    ...(count > 1 ? [[[words.dnatBy(concat(frontend, words.random(count, from)), endpoints)]] as const] : []),
    [[words.dnatBy(concat(frontend, words.random(1, from)), endpoints)]],
    [[words.counter, words.drop], "who answered has just gone"],
  ];
}

/** True where the chain's rules are these and no others. */
export function isFilled({ rules }: Filled, there: readonly KernelRule[]): boolean {
  return there.length === rules.length && rules.every((rule, at) => there[at] !== undefined && sameRule(there[at], rule));
}
