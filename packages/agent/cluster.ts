/**
 * What the agent knows of the cluster: a few facts of each object, and nothing else of it.
 *
 *     Node (4 KiB of YAML) ──► name, addresses, pod subnets, what its agent published ──► the data path
 *
 * A Node object carries images, conditions, managed fields; a thousand of them kept whole would be most of the agent's memory.
 * Objects are read once, where they come in (./sources), and everything behind works on these.
 */
import type { Cidr, Ip } from "@vethwork/linux";

/** A Node (Kubernetes API, core/v1), as far as its network goes. */
export interface ClusterNode {
  name: string;
  /** `status.addresses` of type InternalIP, in their order; of both families where the node has both. */
  addresses: readonly Ip[];
  /** `spec.podCIDRs`, one for each family at the most. None: not given yet, and then nothing leads there. */
  podSubnets: readonly Cidr[];
  /** Label `topology.kubernetes.io/zone`, "" where there is none. */
  zone: string;
  /** What that node's agent published in annotations; absent where none has, or where it does not read. */
  published: Published;
  /** True where the condition NetworkUnavailable says so: somebody has to say that the network is there now. */
  unavailable?: boolean;
}

/** What a node's agent tells the others, by annotations of the Node object. */
export interface Published {
  /** Public WireGuard key, base64. */
  wireguardKey?: string;
}
