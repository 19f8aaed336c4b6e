/**
 * Frontends: the addresses and ports that a service is reached at, and what is to happen to a connection to each.
 *
 *     Service default/web ──┬─ 10.96.0.10 tcp 80        ClusterIP      inside: only those that are no pods of this node are masqueraded
 *                           ├─ 192.168.50.11 tcp 30080  NodePort       outside: all are
 *                           └─ 203.0.113.10 tcp 80      LoadBalancer   outside, and from its source ranges only
 *
 * All kinds are one thing to the kernel: an element of a map. A NodePort is one for each of this node's addresses, so it is not
 * asked whether a packet's destination is local, and the lookup stays one.
 *
 * They are kept as text (./texts.ts): there may be tens of thousands.
 */
import { cidrOf, contains, type Cidr, type Family, type Ip } from "@vethwork/linux";
import { outermost } from "@vethwork/plugins/shared/way-out.ts";
import type { ClusterService, ClusterSlice, ServicePort } from "../cluster.ts";
import { candidatesFor, choose, type Candidate, type Chosen, type Place } from "./endpoints.ts";
import { setsOf, stickyVerdict, verdictOf, type Treatment } from "./table.ts";
import { clipped, endpointText, keyText, valueText } from "./texts.ts";

export type FrontendKind = "ClusterIP" | "LoadBalancer" | "ExternalIP" | "NodePort";

/** An element that is there or not: it has no number. */
export interface Item {
  /** The name of its set. */
  set: string;
  key: string;
  value: string;
}

export interface Frontend {
  /** `10.96.0.10 tcp 80`: what packets to it have in their headers. */
  key: string;
  /** `goto inside4-3 (default/web:http ClusterIP)`. */
  value: string;
  /** In groups whose numbers lie together; who is to be picked from is a range of them. */
  endpoints: readonly (readonly string[])[];
  /** What it needs beside. */
  items: readonly Item[];
  /** `default/web`. */
  service: string;
  kind: FrontendKind;
  /** Of UDP: addresses and ports to which flows that there are may go on, all that serve, wherever they are and whatever the policy. */
  serving: ReadonlySet<string> | undefined;
}

export interface Node extends Place {
  /** Where NodePorts are. */
  addresses: readonly Ip[];
  /** No client keeps its address. */
  masqueradeAll: boolean;
}

/** What a service is on this node. */
export interface Share {
  frontends: readonly Frontend[];
  items: readonly Item[];
}

/** Nothing of one without an address of the cluster. */
export function shareOf(service: ClusterService, slices: readonly ClusterSlice[], node: Node): Share {
  const [frontends, items]: [Frontend[], Item[]] = [[], []];
  for (const clusterIp of service.clusterIps) {
    const { family } = clusterIp;
    const { clusterIps, hairpin } = setsOf(family);
    const own = slices.filter((slice) => slice.family === family);
    const here = new Set<string>();
    for (const port of service.ports) frontends.push(...portFrontends(service, { port, family, slices: own, node, here }));
    if (service.ports.length > 0) items.push({ set: clusterIps.name, key: String(clusterIp), value: valueText({ comment: clipped(nameOf(service)) }) });
    for (const ip of here) items.push({ set: hairpin.name, key: `${ip} ${ip}`, value: "" });
  }
  return { frontends, items };
}

export const nameOf = ({ namespace, name }: Pick<ClusterService, "namespace" | "name">): string => `${namespace}/${name}`;

interface PortFacts {
  port: ServicePort;
  family: Family;
  slices: readonly ClusterSlice[];
  node: Node;
  /** Takes the addresses of endpoints on this node: they may be their own clients. */
  here: Set<string>;
}

function portFrontends(service: ClusterService, { port, family, slices, node, here }: PortFacts): Frontend[] {
  const candidates = candidatesFor(slices, port);
  const chosen = choose(candidates, { ...node, staysHere: service.isInternalLocal || service.isExternalLocal });
  for (const { ip, node: at } of [...chosen.onlyHere, ...chosen.both, ...chosen.onlyEverywhere]) if (at === node.self) here.add(String(ip));
  const serving = port.protocol === "udp" ? new Set(candidates.filter(({ isServing }) => isServing).map((one) => `${one.ip} ${one.port}`)) : undefined;
  const ofFamily = (ips: readonly Ip[]): Ip[] => ips.filter((ip) => ip.family === family);
  const ranges = outermost(service.sourceRanges.filter((range) => range.family === family));
  const [inside, outside] = [insideWay(service, chosen, { family, masqueradeAll: node.masqueradeAll }), outsideWay(service, chosen, family)];
  const make = (kind: FrontendKind, ip: Ip, way: Way): Frontend =>
    frontend(service, { kind, ip, port: kind === "NodePort" ? { ...port, port: port.nodePort } : port, way, serving, ranges: kind === "LoadBalancer" ? rangesFor(ranges, ip, node) : [] });
  return [
    ...ofFamily(service.clusterIps).map((ip) => make("ClusterIP", ip, inside)),
    ...ofFamily(service.loadBalancerIps).map((ip) => make("LoadBalancer", ip, outside)),
    ...ofFamily(service.externalIps).map((ip) => make("ExternalIP", ip, outside)),
    ...(port.nodePort === 0 ? [] : ofFamily(node.addresses).map((ip) => make("NodePort", ip, outside))),
  ];
}

/** A load balancer may have put its address on this node; then the node speaks to it from that very address. */
function rangesFor(ranges: readonly Cidr[], ip: Ip, { addresses }: Node): readonly Cidr[] {
  const isInside = addresses.some((own) => ranges.some((range) => contains(range, own)));
  return isInside && !ranges.some((range) => contains(range, ip)) ? [...ranges, cidrOf(ip)] : ranges;
}

/** What happens to a connection, but for what its frontend's source ranges add. */
type Way = { treatment: Omit<Treatment, "isGuarded">; endpoints: Frontend["endpoints"] };

/** All clients are in the same place: they are to stay on this node, or none of them is. */
function insideWay({ isInternalLocal, affinitySeconds }: ClusterService, chosen: Chosen, { family, masqueradeAll }: { family: Family; masqueradeAll: boolean }): Way {
  const { onlyHere, both, onlyEverywhere, isAnywhere } = chosen;
  const endpoints = texts(isInternalLocal ? [...onlyHere, ...both] : [...both, ...onlyEverywhere]);
  const everywhere = { count: endpoints.length, from: 0 };
  return { endpoints: [endpoints], treatment: { family, side: masqueradeAll ? "outside" : "inside", here: undefined, everywhere, affinitySeconds, isRefused: !isAnywhere } };
}

/** Clients from outside are to stay on this node, where it is asked for; pods of this node and the node itself never. */
function outsideWay({ isExternalLocal, affinitySeconds }: ClusterService, chosen: Chosen, family: Family): Way {
  const { onlyHere, both, onlyEverywhere, isAnywhere } = chosen;
  const common = { family, side: "outside", affinitySeconds, isRefused: !isAnywhere } as const;
  const everywhere = { count: both.length + onlyEverywhere.length, from: isExternalLocal ? onlyHere.length : 0 };
  if (!isExternalLocal) return { endpoints: [texts([...both, ...onlyEverywhere])], treatment: { ...common, here: undefined, everywhere } };
  const here = { count: onlyHere.length + both.length, from: 0 };
  return { endpoints: [onlyHere, both, onlyEverywhere].map(texts), treatment: { ...common, here, everywhere } };
}

/** In an order that does not depend on that of slices. */
const texts = (some: readonly Candidate[]): string[] => some.map(endpointText).sort();

interface FrontendFacts extends Pick<Frontend, "kind" | "serving"> {
  ip: Ip;
  port: Pick<ServicePort, "name" | "protocol" | "port">;
  way: Way;
  ranges: readonly Cidr[];
}

function frontend(service: ClusterService, { kind, ip, port: { name, protocol, port }, way, serving, ranges }: FrontendFacts): Frontend {
  const treatment: Treatment = { ...way.treatment, isGuarded: ranges.length > 0 };
  const { sources, sticky } = setsOf(ip.family);
  const key = keyText([ip, protocol, port]);
  return {
    key, kind, serving, endpoints: way.endpoints, service: nameOf(service),
    value: valueText({ value: verdictOf(treatment), comment: commentOf({ service: nameOf(service), port: name, kind }) }),
    items: [
      ...ranges.map((range) => ({ set: sources.name, key: keyText([ip, protocol, port, range]), value: "" })),
      ...(treatment.affinitySeconds === 0 ? [] : [{ set: sticky.name, key, value: valueText({ value: stickyVerdict(treatment) }) }]),
    ],
  };
}

/** What nft(8) shows beside a frontend: `default/web:http ClusterIP`. */
function commentOf({ service, port, kind }: { service: string; port: string; kind: FrontendKind }): string {
  return `${clipped(port === "" ? service : `${service}:${port}`, kind.length + 1)} ${kind}`;
}

