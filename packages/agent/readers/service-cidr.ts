/**
 * Reads a ServiceCIDR (Kubernetes API, networking.k8s.io/v1): where addresses of services are taken from. There may be several, and
 * more may come. What goes to one of them that no service has would be sent round between routers.
 */
import { networkOf, parseCidr } from "@vethwork/linux";
import type { JsonObject } from "@vethwork/cni";
import type { ServiceSubnets } from "../cluster.ts";
import type { Kind } from "../sources/source.ts";
import { listAt, parsedAt, textAt } from "./reading.ts";

export const serviceCidrs: Kind<ServiceSubnets> = { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", path: "/apis/networking.k8s.io/v1/servicecidrs", isRecent: true, read: readServiceCidr };

/** RangeError names the place that is wrong. */
export function readServiceCidr(object: JsonObject): ServiceSubnets {
  return {
    name: textAt(object, "metadata", "name"),
    subnets: listAt(object, "spec", "cidrs").map((text, at) => networkOf(parsedAt(`spec.cidrs[${at}]`, text, parseCidr))),
  };
}
