/**
 * What the agent knows of the cluster: a few facts of each object, and nothing else of it.
 *
 *     Node (4 KiB of YAML) ──► name, addresses, pod subnets, what its agent published ──► the data path
 *
 * A Node object carries images, conditions, managed fields; a thousand of them kept whole would be most of the agent's memory.
 * Objects are read once, where they come in (./sources), and everything behind works on these.
 */
import type { Cidr, Family, Ip } from "@vethwork/linux";

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
  /** True where the node is being taken away: load balancers are to send it nothing new. */
  leaving?: boolean;
}

/** What a node's agent tells the others, by annotations of the Node object. */
export interface Published {
  /** Public WireGuard key, base64. */
  wireguardKey?: string;
}

export type TransportProtocol = "tcp" | "udp" | "sctp";

/**
 * A Service (Kubernetes API, core/v1), as far as packets go. One without an address of the cluster (headless, ExternalName), or
 * that another proxy serves, has no `clusterIps`, and nothing is to be done for it.
 */
export interface ClusterService {
  namespace: string;
  name: string;
  /** One for each family at the most. */
  clusterIps: readonly Ip[];
  ports: readonly ServicePort[];
  externalIps: readonly Ip[];
  /** Of load balancers that hand packets on as they are (ipMode VIP): a node may act in their place. */
  loadBalancerIps: readonly Ip[];
  /** Who may use `loadBalancerIps`, by family; of a family without any, everybody. */
  sourceRanges: readonly Cidr[];
  /** For so long a client is sent to the endpoint that it was sent to before; 0: each connection goes where it happens to. */
  affinitySeconds: number;
  /** Only endpoints of the node that the packet is on: towards `clusterIps`, towards all other addresses. */
  isInternalLocal: boolean;
  isExternalLocal: boolean;
  /** Where a load balancer asks whether this node has endpoints; 0: nowhere. */
  healthCheckPort: number;
}

export interface ServicePort {
  /** "" where the service has only one. */
  name: string;
  protocol: TransportProtocol;
  port: number;
  /** On addresses of every node; 0: none. */
  nodePort: number;
}

/** An EndpointSlice (discovery.k8s.io/v1): some of those who answer for a service, of one family. */
export interface ClusterSlice {
  namespace: string;
  name: string;
  /** Of the same namespace; "" where the slice is nobody's, or of no use to us. */
  service: string;
  family: Family;
  /** Behind each of the service's ports, by name; another slice of the same service may have others. */
  ports: readonly SlicePort[];
  endpoints: readonly SliceEndpoint[];
}

export interface SlicePort {
  name: string;
  protocol: TransportProtocol;
  port: number;
}

export interface SliceEndpoint {
  ip: Ip;
  /** "" where it is on no node. */
  node: string;
  /** The pod's name, "" where it is none. */
  pod: string;
  /** To be used. */
  isReady: boolean;
  /** It answers, though it may be about to end. */
  isServing: boolean;
  isTerminating: boolean;
  /** Who is to use it, by what the control plane thinks; absent where it does not say. */
  forNodes?: readonly string[];
  forZones?: readonly string[];
}

/** A ServiceCIDR (networking.k8s.io/v1): where addresses of services are taken from. */
export interface ServiceSubnets {
  name: string;
  subnets: readonly Cidr[];
}
