/**
 * Reads a Node (Kubernetes API, core/v1): of some kilobytes the few facts that a network is made of.
 *
 *     metadata.name, labels, annotations      who it is, where it stands, what its agent tells the others
 *     spec.podCIDRs                           what its pods have their addresses from
 *     status.addresses, conditions            where it is, and whether somebody says that it has no network
 */
import { isWireguardKey, networkOf, parseCidr, parseIp, type Cidr } from "@vethwork/linux";
import type { JsonObject } from "@vethwork/cni";
import type { ClusterNode, Published } from "../cluster.ts";
import type { Kind } from "../sources/source.ts";
import { listAt, objectAt, parsedAt, textAt, wrong } from "./reading.ts";

/** Where a node's agent publishes its key. The part before the slash is what Kubernetes asks of names that are not its own. */
export const KEY_ANNOTATION = "vethwork/wireguard-key";
/** Set by a cloud's route controller, which keeps pods from the node meanwhile; others are to say when their network is there. */
export const UNAVAILABLE = "NetworkUnavailable";

/** Put on a node by the cluster's autoscaler before it takes the machine away. */
const TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler";

export const nodes: Kind<ClusterNode> = { apiVersion: "v1", kind: "Node", path: "/api/v1/nodes", read: readNode };

/** RangeError names the place that is wrong. */
export function readNode(object: JsonObject): ClusterNode {
  return {
    name: textAt(object, "metadata", "name"),
    addresses: listAt(object, "status", "addresses").flatMap((entry, at) => addressesIn(entry, `status.addresses[${at}]`)),
    podSubnets: podSubnetsOf(object),
    zone: textAt(objectAt(object, "metadata", "labels"), "topology.kubernetes.io/zone"),
    published: publishedIn(objectAt(object, "metadata", "annotations")),
    ...(isUnavailable(object) && { unavailable: true }),
    ...(isLeaving(object) && { leaving: true }),
  };
}

function addressesIn(entry: unknown, place: string): ReturnType<typeof parseIp>[] {
  const address = objectAt({ entry }, "entry");
  if (textAt(address, "type") !== "InternalIP") return [];
  return [parsedAt(`${place}.address`, address["address"], parseIp)];
}

/** `podCIDR` is the first of `podCIDRs`, from the time when there was only one. */
function podSubnetsOf(object: JsonObject): Cidr[] {
  const list = listAt(object, "spec", "podCIDRs");
  const first = textAt(object, "spec", "podCIDR");
  const texts = list.length === 0 && first !== "" ? [first] : list;
  const subnets = texts.map((text, at) => networkOf(parsedAt(`spec.podCIDRs[${at}]`, text, parseCidr)));
  const twice = subnets.find((one, at) => subnets.findIndex(({ family }) => family === one.family) !== at);
  if (twice) throw wrong("spec.podCIDRs", subnets.join(", "), `one prefix of IPv${twice.family}`);
  return subnets;
}

/** What an agent wrote, or somebody in its name: what does not read counts as not published. */
function publishedIn(annotations: JsonObject): Published {
  const key = annotations[KEY_ANNOTATION];
  return typeof key === "string" && isWireguardKey(key) ? { wireguardKey: key } : {};
}

function isUnavailable(object: JsonObject): boolean {
  return listAt(object, "status", "conditions").some((entry) => {
    const condition = objectAt({ entry }, "entry");
    return textAt(condition, "type") === UNAVAILABLE && textAt(condition, "status") !== "False";
  });
}

function isLeaving(object: JsonObject): boolean {
  if (textAt(object, "metadata", "deletionTimestamp") !== "") return true;
  return listAt(object, "spec", "taints").some((entry) => textAt(objectAt({ entry }, "entry"), "key") === TO_BE_DELETED);
}
