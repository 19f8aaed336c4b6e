/** Node objects for tests, as an API server has them. */
import type { ClusterNode } from "../cluster.ts";
import { readNode } from "../readers/node.ts";

export interface NodeWords {
  name: string;
  addresses?: readonly string[];
  podCIDRs?: readonly string[];
  annotations?: Readonly<Record<string, string>>;
  conditions?: readonly object[];
}

export function nodeObject({ name, addresses = [], podCIDRs = [], annotations = {}, conditions = [] }: NodeWords) {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "a" }, annotations },
    spec: { ...(podCIDRs.length > 0 && { podCIDR: podCIDRs[0], podCIDRs }) },
    status: { addresses: [...addresses.map((address) => ({ type: "InternalIP", address })), { type: "Hostname", address: name }], conditions },
  };
}

/** The `number`-th of many, from 1, each with its own addresses and pods. */
export const numbered = (number: number): NodeWords => ({
  name: `node-${number}`,
  addresses: [`172.16.${number >> 8}.${number & 0xff}`],
  podCIDRs: [`10.${64 + (number >> 8)}.${number & 0xff}.0/24`],
});

export const clusterNode = (words: NodeWords): ClusterNode => readNode(nodeObject(words));
