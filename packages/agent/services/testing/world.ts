/**
 * A small cluster for tests, and services of every kind in it, as an API server would have them.
 *
 *                        outside 198.51.100.7, stranger 203.0.113.99
 *                                        │
 *     node-1 192.168.50.11, zone a ──────┴────── node-2 192.168.50.12, zone b
 *       client 10.244.1.2  web-1 10.244.1.3        peer 10.244.2.2  web-2 10.244.2.3  web-3 10.244.2.4
 *
 *     IPv6:  fd00:50::11, fd00:50::12     pods fd00:244:1::2 …     outside 2001:db8:100::7, stranger 2001:db8:99::99
 *     services 10.96.0.<n>, fd00:96::<n>; their load balancers' and external addresses 203.0.113.<n>, 2001:db8:113::<n>
 *
 * All is seen from node-1. Everything else sends it packets for services, as a router outside would.
 */
import { parseCidr, parseIp, type Family, type Ip } from "@vethwork/linux";
import type { ClusterService, ClusterSlice } from "../../cluster.ts";
import { SERVICE_NAME, readSlice } from "../../readers/endpoint-slice.ts";
import { readService } from "../../readers/service.ts";
import type { Surroundings } from "../planner.ts";

/** Who has which addresses, of IPv4 and of IPv6. */
export const ADDRESSES = {
  "node-1": ["192.168.50.11", "fd00:50::11"],
  client: ["10.244.1.2", "fd00:244:1::2"],
  "web-1": ["10.244.1.3", "fd00:244:1::3"],
  "node-2": ["192.168.50.12", "fd00:50::12"],
  peer: ["10.244.2.2", "fd00:244:2::2"],
  "web-2": ["10.244.2.3", "fd00:244:2::3"],
  "web-3": ["10.244.2.4", "fd00:244:2::4"],
  outside: ["198.51.100.7", "2001:db8:100::7"],
  stranger: ["203.0.113.99", "2001:db8:99::99"],
} as const;

export type Who = keyof typeof ADDRESSES;
export const isWho = (name: string): name is Who => Object.hasOwn(ADDRESSES, name);
export const addressOf = (who: Who, family: Family): Ip => parseIp(ADDRESSES[who][family === 4 ? 0 : 1]);
export const nodeOf = (who: Who): string => ({ "node-1": "node-1", client: "node-1", "web-1": "node-1", "node-2": "node-2", peer: "node-2", "web-2": "node-2", "web-3": "node-2", outside: "", stranger: "" })[who];

export const SERVICE_SUBNETS = ["10.96.0.0/16", "fd00:96::/64"] as const;
export const POD_SUBNETS = ["10.244.1.0/24", "fd00:244:1::/64"] as const;

export const surroundings: Surroundings = {
  node: { self: "node-1", zone: "a", addresses: ADDRESSES["node-1"].map(parseIp), masqueradeAll: false },
  podSubnets: POD_SUBNETS.map(parseCidr),
  serviceSubnets: SERVICE_SUBNETS.map(parseCidr),
};

interface Behind {
  /** Not ready, not serving, about to end, or all of it: `-ready`, `-serving`, `ending`. */
  is?: string;
  zones?: readonly string[];
  nodes?: readonly string[];
}

export interface Words {
  name: string;
  /** The last number of its addresses. */
  n: number;
  spec?: object;
  /** name, protocol, port, target port; one of TCP, 80 to 8080, unless said. */
  ports?: readonly (readonly [name: string, protocol: "TCP" | "UDP" | "SCTP", port: number, target: number, nodePort?: number])[];
  /** Slices, of each family the same. */
  slices?: readonly (readonly (readonly [who: Who, behind?: Behind])[])[];
  /** Of the second slice and those after it, other target ports. */
  otherTargets?: readonly number[];
  families?: readonly Family[];
  labels?: Readonly<Record<string, string>>;
  /** Of a load balancer: its address counts, or it changes packets itself. */
  ipMode?: "VIP" | "Proxy";
}

const FAMILIES = [4, 6] as const;
const ip = (n: number, family: Family): string => (family === 4 ? `10.96.0.${n}` : `fd00:96::${n}`);
export const publicIp = (n: number, family: Family): string => (family === 4 ? `203.0.113.${n}` : `2001:db8:113::${n}`);

const ALL: NonNullable<Words["slices"]>[number] = [["web-1"], ["web-2"], ["web-3"]];
const HERE_AND_THERE: typeof ALL = [["web-1"], ["web-2"]];
const THERE: typeof ALL = [["web-2"], ["web-3"]];
const door = (nodePort: number): NonNullable<Words["ports"]> => [["", "TCP", 80, 8080, nodePort]];
const balanced = (n: number, spec: object = {}): Pick<Words, "n" | "spec" | "ipMode"> => ({ n, ipMode: "VIP", spec: { type: "LoadBalancer", ...spec } });
const external = (n: number, spec: object = {}): Pick<Words, "n" | "spec"> => ({ n, spec: { externalIPs: FAMILIES.map((family) => publicIp(n, family)), ...spec } });

const OUTSIDE = ["198.51.100.0/24", "2001:db8:100::/48"];
const NODES = ["192.168.50.0/24", "fd00:50::/64"];

export const wordsOfServices: readonly Words[] = [
  { name: "plain", n: 1, slices: [ALL] },
  {
    name: "multi", n: 2, slices: [HERE_AND_THERE],
    ports: [["http", "TCP", 80, 8080], ["https", "TCP", 443, 8443], ["dns", "UDP", 53, 5353], ["dns-tcp", "TCP", 53, 5353], ["sig", "SCTP", 9000, 9000]],
  },
  { name: "named", n: 3, slices: [[["web-1"]], [["web-2"]]], otherTargets: [8081], ports: [["http", "TCP", 80, 8080]] },
  { name: "empty", n: 4, ports: [["http", "TCP", 80, 8080], ["dns", "UDP", 53, 5353], ["sig", "SCTP", 9000, 9000]] },
  { name: "not-ready", n: 5, slices: [[["web-1", { is: "-ready -serving" }], ["web-2", { is: "-ready -serving" }]]] },
  { name: "ending", n: 6, slices: [[["web-1", { is: "-ready ending" }], ["web-2", { is: "-ready -serving ending" }]]] },
  { name: "mixed", n: 7, slices: [[["web-1"], ["web-2", { is: "-ready ending" }], ["web-3", { is: "-ready -serving" }]]] },
  { name: "published", n: 8, slices: [[["web-1", { is: "-serving" }], ["web-2", { is: "-serving ending" }]]] },
  { name: "alone", n: 9, slices: [[["web-1"]]] },
  { name: "inner", n: 10, slices: [ALL], spec: { internalTrafficPolicy: "Local" } },
  { name: "inner-away", n: 11, slices: [THERE], spec: { internalTrafficPolicy: "Local" } },
  { name: "inner-empty", n: 12, spec: { internalTrafficPolicy: "Local" } },
  { name: "inner-ending", n: 13, slices: [[["web-1", { is: "-ready ending" }], ["web-2"]]], spec: { internalTrafficPolicy: "Local" } },
  { name: "zone", n: 14, slices: [[["web-1", { zones: ["b"] }], ["web-2", { zones: ["a"] }], ["web-3", { zones: ["a", "b"] }]]], spec: { trafficDistribution: "PreferSameZone" } },
  { name: "zone-partly", n: 15, slices: [[["web-1", { zones: ["b"] }], ["web-2", { zones: ["a"] }], ["web-3"]]] },
  { name: "zone-away", n: 16, slices: [[["web-1", { zones: ["b"] }], ["web-2", { zones: ["c"] }]]] },
  { name: "zone-ending", n: 17, slices: [[["web-1", { zones: ["b"] }], ["web-2", { zones: ["a"], is: "-ready ending" }], ["web-3", { zones: ["b"] }]]] },
  { name: "near", n: 18, slices: [[["web-1", { nodes: ["node-1"], zones: ["b"] }], ["web-2", { nodes: ["node-2"], zones: ["a"] }]]], spec: { trafficDistribution: "PreferSameNode" } },
  { name: "near-away", n: 19, slices: [[["web-1", { nodes: ["node-3"], zones: ["b"] }], ["web-2", { nodes: ["node-2"], zones: ["a"] }]]] },
  { name: "near-partly", n: 20, slices: [[["web-1", { nodes: ["node-1"] }], ["web-2"]]] },
  { name: "door", n: 21, slices: [HERE_AND_THERE], spec: { type: "NodePort" }, ports: [["http", "TCP", 80, 8080, 30_080], ["dns", "UDP", 53, 5353, 30_053], ["sig", "SCTP", 9000, 9000, 30_090]] },
  { name: "door-here", n: 22, slices: [HERE_AND_THERE], spec: { type: "NodePort", externalTrafficPolicy: "Local" }, ports: door(30_081) },
  { name: "door-away", n: 23, slices: [THERE], spec: { type: "NodePort", externalTrafficPolicy: "Local" }, ports: door(30_082) },
  { name: "door-empty", n: 24, spec: { type: "NodePort" }, ports: door(30_083) },
  { name: "door-here-empty", n: 25, spec: { type: "NodePort", externalTrafficPolicy: "Local" }, ports: door(30_084) },
  { name: "door-ending", n: 26, slices: [[["web-1", { is: "-ready ending" }], ["web-2"]]], spec: { type: "NodePort", externalTrafficPolicy: "Local" }, ports: door(30_085) },
  { name: "door-zone", n: 27, slices: [[["web-1", { zones: ["b"] }], ["web-2", { zones: ["a"] }]]], spec: { type: "NodePort", externalTrafficPolicy: "Local" }, ports: door(30_086) },
  { name: "door-inner", n: 28, slices: [HERE_AND_THERE], spec: { type: "NodePort", internalTrafficPolicy: "Local" }, ports: door(30_087) },
  { name: "shop", ...balanced(40), slices: [HERE_AND_THERE], ports: door(30_140) },
  { name: "shop-here", ...balanced(41, { externalTrafficPolicy: "Local" }), slices: [HERE_AND_THERE], ports: door(30_141) },
  { name: "shop-away", ...balanced(42, { externalTrafficPolicy: "Local" }), slices: [THERE] },
  { name: "shop-empty", ...balanced(43) },
  { name: "shop-proxied", ...balanced(44), ipMode: "Proxy", slices: [HERE_AND_THERE], ports: door(30_144) },
  { name: "shop-guarded", ...balanced(45, { loadBalancerSourceRanges: OUTSIDE }), slices: [HERE_AND_THERE], ports: door(30_145) },
  { name: "shop-guarded-here", ...balanced(46, { loadBalancerSourceRanges: OUTSIDE, externalTrafficPolicy: "Local" }), slices: [HERE_AND_THERE] },
  { name: "shop-guarded-empty", ...balanced(47, { loadBalancerSourceRanges: OUTSIDE }) },
  { name: "shop-nodes", ...balanced(48, { loadBalancerSourceRanges: NODES }), slices: [HERE_AND_THERE] },
  { name: "shop-open", ...balanced(49, { loadBalancerSourceRanges: ["10.0.0.0/8", "0.0.0.0/0", " ::/0 "] }), slices: [HERE_AND_THERE] },
  { name: "shop-four", ...balanced(50, { loadBalancerSourceRanges: ["198.51.100.0/25", "198.51.100.0/24"] }), slices: [HERE_AND_THERE] },
  { name: "shop-only", ...balanced(51, { allocateLoadBalancerNodePorts: false }), slices: [HERE_AND_THERE] },
  { name: "ext", ...external(60), slices: [HERE_AND_THERE] },
  { name: "ext-here", ...external(61, { externalTrafficPolicy: "Local" }), slices: [HERE_AND_THERE] },
  { name: "ext-empty", ...external(62) },
  { name: "ext-b", ...external(60), n: 63, slices: [THERE] }, // asks for what `ext` has
  { name: "sticky", n: 70, slices: [ALL], spec: { type: "NodePort", sessionAffinity: "ClientIP" }, ports: [["http", "TCP", 80, 8080, 30_170], ["dns", "UDP", 53, 5353]] },
  { name: "sticky-here", n: 71, slices: [ALL], spec: { type: "NodePort", externalTrafficPolicy: "Local", sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }, ports: door(30_171) },
  { name: "headless", n: 80, slices: [HERE_AND_THERE], spec: { clusterIP: "None", clusterIPs: ["None"] } },
  { name: "elsewhere", n: 81, spec: { type: "ExternalName", externalName: "example.com", clusterIP: "", clusterIPs: [] } },
  { name: "others", n: 82, slices: [HERE_AND_THERE], spec: { externalIPs: FAMILIES.map((family) => publicIp(82, family)) }, labels: { "service.kubernetes.io/service-proxy-name": "another" } },
  { name: "four", n: 83, slices: [HERE_AND_THERE], families: [4] },
  { name: "six", n: 84, slices: [HERE_AND_THERE], families: [6] },
  { name: "host", n: 85, slices: [[["node-1"], ["node-2"]]], ports: [["https", "TCP", 443, 6443]] },
];

/** A service's last number. */
export const numberOf = (name: string): number => wordsOfServices.find((words) => words.name === name)?.n ?? 0;

export interface Made {
  service: ClusterService;
  slices: ClusterSlice[];
}

export const made = (words: Words): Made => ({ service: readService(serviceObject(words)), slices: sliceObjects(words).map(readSlice) });

const USUAL: NonNullable<Words["ports"]> = [["", "TCP", 80, 8080]];

export function serviceObject({ name, n, spec = {}, ports = USUAL, families = FAMILIES, labels = {}, ipMode }: Words) {
  const clusterIPs = families.map((family) => ip(n, family));
  return {
    apiVersion: "v1", kind: "Service",
    metadata: { namespace: "default", name, labels },
    spec: { type: "ClusterIP", clusterIP: clusterIPs[0], clusterIPs, ports: ports.map(([port, protocol, number, targetPort, nodePort]) => ({ name: port, protocol, port: number, targetPort, ...(nodePort && { nodePort }) })), ...spec },
    ...(ipMode && { status: { loadBalancer: { ingress: families.map((family) => ({ ip: publicIp(n, family), ipMode })) } } }),
  };
}

export function sliceObjects({ name, slices = [], ports = USUAL, otherTargets = [], labels = {} }: Words) {
  return slices.flatMap((endpoints, at) => FAMILIES.map((family) => ({
    apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: `IPv${family}`,
    metadata: { namespace: "default", name: `${name}-${at}-${family}`, labels: { [SERVICE_NAME]: name, ...labels } },
    ports: ports.map(([port, protocol, , target], index) => ({ name: port, protocol, port: at === 0 ? target : otherTargets[index] ?? target })),
    endpoints: endpoints.map(([who, behind]) => endpointObject(who, { family, behind })),
  })));
}

function endpointObject(who: Who, { family, behind: { is = "", zones = [], nodes = [] } = {} }: { family: Family; behind: Behind | undefined }) {
  const words = is.split(" ");
  const hints = { ...(zones.length > 0 && { forZones: zones.map((name) => ({ name })) }), ...(nodes.length > 0 && { forNodes: nodes.map((name) => ({ name })) }) };
  return {
    addresses: [String(addressOf(who, family))],
    nodeName: nodeOf(who),
    targetRef: { kind: "Pod", namespace: "default", name: who },
    conditions: { ready: !words.includes("-ready"), serving: !words.includes("-serving"), terminating: words.includes("ending") },
    ...(zones.length + nodes.length > 0 && { hints }),
  };
}
