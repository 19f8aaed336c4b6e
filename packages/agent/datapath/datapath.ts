/**
 * The data path between nodes: what the kernel has to know so that pods here reach pods there.
 *
 *     cluster's nodes ──► plan (what should be) ──┐
 *                                                 ├──► the difference, and nothing else, is written
 *     the kernel ───────► what is ────────────────┘
 *
 * It is level-based: there are no events in here. A pass with nothing to do writes nothing; whatever of ours somebody deleted
 * is back after the next pass. All of it outlives the agent: it is the kernel that forwards.
 */
import type { Cidr, Netns } from "@vethwork/linux";
import type { ClusterNode, Published } from "../cluster.ts";
import type { Offload } from "./offload.ts";

export interface DatapathOptions {
  /** This node's name in the cluster. */
  self: string;
  /** When packets to another node's pods are wrapped (VXLAN): where the other is on no link of ours, always, never. */
  tunnel: "auto" | "always" | "never";
  /** Wraps in WireGuard what goes to nodes that published a key; nothing goes to others unencrypted then. */
  encrypt: "none" | "wireguard";
  /** All pods of the cluster, where that is known: inside it addresses stay. Without it, the nodes' pod subnets. */
  clusterSubnets: readonly Cidr[];
  /** Whether what leaves the cluster gets the node's address. */
  masquerade: boolean;
  /** Destinations outside the cluster towards which pods keep their address. */
  nonMasqueradeSubnets: readonly Cidr[];
  /** Largest packet of a pod, in bytes; 0: worked out from the underlay and the tunnel. */
  mtu: number;
  /** Where this node's key is kept; it outlives reboots, so on a disk. */
  stateFolder: string;
}

/** How another node's pods are reached, for people and for metrics. */
export interface PeerStatus {
  name: string;
  podSubnets: readonly Cidr[];
  way: "direct" | "vxlan" | "wireguard" | "none";
  /** Why so: `on link eth0`, `behind 192.0.2.1, so wrapped`, `no key published yet`. */
  because: string;
}

export interface DatapathStatus {
  peers: PeerStatus[];
  /** What a pod's interface should have, in bytes; 0 where nothing is known yet. */
  podMtu: number;
  /** Of each device that packets are wrapped in: whether the network card fills in checksums inside, as it is asked to (./offload.ts). */
  offload: { link: string; state: Offload }[];
  /** What is wrong and stays so, in words for a person; traffic that needs it does not flow. */
  problems: string[];
}

/** What a pass found and did. */
export interface Pass extends DatapathStatus {
  /** What was written, one line each: `add route 10.244.2.0/24 via 192.168.50.12`. Empty: all was as it should be. */
  changes: string[];
  /** What this node has to publish for the others. */
  publish: Published;
}

export interface Datapath {
  /** Makes the kernel as these nodes want it. One node's fault is a problem in the answer and does not keep the others from theirs. */
  reconcile(nodes: readonly ClusterNode[]): Pass;
  /**
   * Asks other nodes whether checksums arrive right, and switches the card's help off where they do not; later passes keep it so.
   * To be asked after a pass with tunnels, and again as long as one is untested: it waits for answers up to two seconds.
   */
  testOffload(): Promise<DatapathStatus["offload"]>;
  /** Takes away everything that reconcile ever made; gives what. */
  clear(): string[];
}

/** Opens the data path of the namespace: ./open.ts. */
export type OpenDatapath = (host: Netns, options: DatapathOptions) => Datapath;
