/**
 * Reads an EndpointSlice (Kubernetes API, discovery.k8s.io/v1): some of those who answer for a service.
 *
 *     metadata.labels[kubernetes.io/service-name]    whose it is
 *     ports[]                                        behind which of its ports, by name
 *     endpoints[].addresses[0]                       further ones are not used by anybody
 *     endpoints[].conditions, nodeName, hints        whether, where, and for whom
 */
import { parseIp } from "@vethwork/linux";
import type { JsonObject } from "@vethwork/cni";
import type { ClusterSlice, SliceEndpoint, SlicePort } from "../cluster.ts";
import type { Kind } from "../sources/source.ts";
import { eachAt, flagAt, listAt, numberAt, objectAt, parsedAt, textAt, wordAt, wrong } from "./reading.ts";
import { isOurs, protocolAt } from "./service.ts";

export const endpointSlices: Kind<ClusterSlice> = { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", path: "/apis/discovery.k8s.io/v1/endpointslices", page: 500, read: readSlice };

export const SERVICE_NAME = "kubernetes.io/service-name";

const FAMILIES = { IPv4: 4, IPv6: 6, FQDN: undefined } as const;

/** RangeError names the place that is wrong. */
export function readSlice(object: JsonObject): ClusterSlice {
  const family = FAMILIES[wordAt(object, ["addressType"], ["IPv4", "IPv6", "FQDN"])];
  const isUsed = family !== undefined && isOurs(object);
  return {
    namespace: textAt(object, "metadata", "namespace") || "default",
    name: textAt(object, "metadata", "name"),
    service: isUsed ? textAt(objectAt(object, "metadata", "labels"), SERVICE_NAME) : "",
    family: family ?? 4,
    ports: isUsed ? eachAt(object, ["ports"], portOf).flat() : [],
    endpoints: isUsed ? eachAt(object, ["endpoints"], (entry) => endpointOf(entry, family)) : [],
  };
}

/** A port without a number is all of them, which no service of ours asks for. */
function portOf(entry: JsonObject): SlicePort[] {
  const port = numberAt(entry, ["port"], { most: 65_535 });
  return port === 0 ? [] : [{ name: textAt(entry, "name"), protocol: protocolAt(entry), port }];
}

function endpointOf(entry: JsonObject, family: 4 | 6): SliceEndpoint {
  const ip = parsedAt("addresses[0]", listAt(entry, "addresses")[0], parseIp);
  if (ip.family !== family) throw wrong("addresses[0]", String(ip), `an address of IPv${family}`);
  const [forNodes, forZones] = [namesAt(entry, "forNodes"), namesAt(entry, "forZones")];
  return {
    ip,
    node: textAt(entry, "nodeName"),
    pod: textAt(entry, "targetRef", "kind") === "Pod" ? textAt(entry, "targetRef", "name") : "",
    isReady: flagAt(entry, ["conditions", "ready"], true),
    isServing: flagAt(entry, ["conditions", "serving"], true),
    isTerminating: flagAt(entry, ["conditions", "terminating"], false),
    ...(forNodes.length > 0 && { forNodes }),
    ...(forZones.length > 0 && { forZones }),
  };
}

const namesAt = (entry: JsonObject, key: string): string[] => eachAt(entry, ["hints", key], (hint) => textAt(hint, "name"));
