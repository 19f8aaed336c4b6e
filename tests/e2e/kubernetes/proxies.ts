/**
 * Who makes Services work on the nodes of a cluster, one at a time:
 *
 *     vethwork agent   pods' network and Services, one process
 *     kube-proxy       Services, in nftables mode; the agent beside it keeps to pods' network
 *
 * Tests are plays of what Kubernetes promises. Kubernetes' own proxy is there to hold the plays against: what fails for it as well is
 * wrong with the play. VETHWORK_E2E_PROXY=kube-proxy takes it for a run.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { podNetwork } from "@vethwork/lab/plan.ts";
import { startDaemon } from "../../conformance/node/daemon.ts";
import { families, type Cluster } from "./cluster.ts";
import { program } from "./programs.ts";
import type { Worker } from "./worker.ts";

export interface Proxy {
  name: string;
  /** What the node's agent is told. */
  agent: readonly string[];
  /** What runs on the node beside the agent. */
  start(cluster: Cluster, worker: Worker): Promise<void>;
}

export const ours: Proxy = { name: "vethwork agent", agent: ["--services", "on"], start: () => Promise.resolve() };

const kubeProxy: Proxy = {
  name: "kube-proxy (nftables)",
  agent: ["--services", "off"],
  start: async ({ admin }, { name, node }) => {
    const config = join(node.dir, "kube-proxy.json");
    writeFileSync(config, JSON.stringify({
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1", kind: "KubeProxyConfiguration", mode: "nftables", hostnameOverride: name,
      clientConnection: { kubeconfig: admin }, clusterCIDR: families.map((family) => String(podNetwork(family))).join(","),
      conntrack: { maxPerCore: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" }, // of the whole machine
    }));
    await startDaemon(node, { name: "kube-proxy", argv: [program("kube-proxy"), `--config=${config}`], answers: async () => (await node.exec(["nft", "list", "chain", "ip", "kube-proxy", "services"])).code === 0 });
  },
};

export const proxy: Proxy = process.env["VETHWORK_E2E_PROXY"] === "kube-proxy" ? kubeProxy : ours;
