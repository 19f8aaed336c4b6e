/**
 * Reads a Service (Kubernetes API, core/v1): at which addresses and ports it is reached, and how its clients are spread.
 *
 *     spec.clusterIPs, ports            in the cluster            spec.externalTrafficPolicy, internalTrafficPolicy
 *     spec.ports[].nodePort             at every node             spec.sessionAffinity
 *     spec.externalIPs                  wherever routes lead      spec.loadBalancerSourceRanges
 *     status.loadBalancer.ingress       where a cloud made one
 *
 * What it leads to stands in EndpointSlices (./endpoint-slice.ts); its selector and its target ports are the controller's affair.
 */
import { networkOf, parseCidr, parseIp, type Cidr, type Ip } from "@vethwork/linux";
import type { JsonObject } from "@vethwork/cni";
import type { ClusterService, ServicePort, TransportProtocol } from "../cluster.ts";
import type { Kind } from "../sources/source.ts";
import { eachAt, listAt, numberAt, objectAt, parsedAt, textAt, wordAt, wrong } from "./reading.ts";

export const services: Kind<ClusterService> = { apiVersion: "v1", kind: "Service", path: "/api/v1/services", page: 500, read: readService };

/** With this label on it a service, and what leads to it, is some other program's. */
const OTHER_PROXY = "service.kubernetes.io/service-proxy-name";
/** A service without an address has this label, and so have its slices. */
const HEADLESS = "service.kubernetes.io/headless";

const PORTS = 65_535;
const LONGEST_AFFINITY = 86_400;
const USUAL_AFFINITY = 10_800;

/** RangeError names the place that is wrong. */
export function readService(object: JsonObject): ClusterService {
  const isServed = textAt(object, "spec", "type") !== "ExternalName" && isOurs(object);
  const isLoadBalancer = textAt(object, "spec", "type") === "LoadBalancer";
  const isExternalLocal = wordAt(object, ["spec", "externalTrafficPolicy"], ["Cluster", "Local"]) === "Local";
  return {
    namespace: textAt(object, "metadata", "namespace") || "default",
    name: textAt(object, "metadata", "name"),
    clusterIps: isServed ? clusterIpsOf(object) : [],
    ports: eachAt(object, ["spec", "ports"], portOf),
    externalIps: ipsAt(object, "externalIPs"),
    loadBalancerIps: isLoadBalancer ? eachAt(object, ["status", "loadBalancer", "ingress"], handedOn).flat() : [],
    sourceRanges: isLoadBalancer ? sourceRangesOf(object) : [],
    affinitySeconds: wordAt(object, ["spec", "sessionAffinity"], ["None", "ClientIP"]) === "None" ? 0 : affinityOf(object),
    isInternalLocal: wordAt(object, ["spec", "internalTrafficPolicy"], ["Cluster", "Local"]) === "Local",
    isExternalLocal,
    healthCheckPort: isLoadBalancer && isExternalLocal ? numberAt(object, ["spec", "healthCheckNodePort"], { most: PORTS }) : 0,
  };
}

/** Neither another program's nor without an address on purpose. */
export function isOurs(object: JsonObject): boolean {
  const labels = objectAt(object, "metadata", "labels");
  return !Object.hasOwn(labels, OTHER_PROXY) && !Object.hasOwn(labels, HEADLESS);
}

/** `clusterIP` is the first of `clusterIPs`, from the time when there was only one; "None" is a headless service's. */
function clusterIpsOf(object: JsonObject): Ip[] {
  const list = listAt(object, "spec", "clusterIPs");
  const first = textAt(object, "spec", "clusterIP");
  const texts = list.length === 0 && first !== "" ? [first] : list;
  const ips = texts.filter((text) => text !== "None" && text !== "").map((text, at) => parsedAt(`spec.clusterIPs[${at}]`, text, parseIp));
  const twice = ips.find((one, at) => ips.findIndex(({ family }) => family === one.family) !== at);
  if (twice) throw wrong("spec.clusterIPs", ips.join(", "), `one address of IPv${twice.family}`);
  return ips;
}

const ipsAt = (object: JsonObject, key: string): Ip[] => listAt(object, "spec", key).map((text, at) => parsedAt(`spec.${key}[${at}]`, text, parseIp));

function portOf(entry: JsonObject): ServicePort {
  const port = numberAt(entry, ["port"], { most: PORTS });
  if (port === 0) throw wrong("port", "0", "a port");
  return { name: textAt(entry, "name"), protocol: protocolAt(entry), port, nodePort: numberAt(entry, ["nodePort"], { most: PORTS }) };
}

const PROTOCOLS = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** As the API has it, in capitals; TCP unless said. */
export const protocolAt = (entry: JsonObject): TransportProtocol => PROTOCOLS[wordAt(entry, ["protocol"], ["TCP", "UDP", "SCTP"])];

/** Where a load balancer changes packets (ipMode Proxy) they have to go there; one with a name only has no address to look for. */
function handedOn(ingress: JsonObject, place: string): Ip[] {
  const isProxy = wordAt(ingress, ["ipMode"], ["VIP", "Proxy"]) === "Proxy";
  return isProxy || textAt(ingress, "ip") === "" ? [] : [parsedAt(`${place}.ip`, ingress["ip"], parseIp)];
}

/** Spaces around a prefix are passed over, as the API server lets them be; a prefix of everything is no limit. */
function sourceRangesOf(object: JsonObject): Cidr[] {
  const ranges = listAt(object, "spec", "loadBalancerSourceRanges").map((text, at) =>
    networkOf(parsedAt(`spec.loadBalancerSourceRanges[${at}]`, typeof text === "string" ? text.trim() : text, parseCidr)));
  const open = new Set(ranges.filter(({ prefix }) => prefix === 0).map(({ family }) => family));
  return ranges.filter(({ family }) => !open.has(family));
}

function affinityOf(object: JsonObject): number {
  const seconds = numberAt(object, ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"], { absent: USUAL_AFFINITY, most: LONGEST_AFFINITY });
  if (seconds > 0) return seconds;
  throw wrong("spec.sessionAffinityConfig.clientIP.timeoutSeconds", "0", `1 to ${LONGEST_AFFINITY}`);
}
