/**
 * The cluster's network, put in by hand: what a node agent does by itself. Each node is told by the API server which share
 * of the pod network is its own (`spec.podCIDRs`); that goes into the plugin's configuration, which makes the node ready,
 * and all nodes' shares go into the list of peers, which makes the routes between them.
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCidr, parseIp } from "@vethwork/linux";
import { peersFile, pluginConfig, type NodePlan } from "@vethwork/lab/plan.ts";
import { list, text } from "../../conformance/containerd/read.ts";
import type { Cluster } from "./cluster.ts";
import { release, vethwork } from "./programs.ts";
import type { Worker } from "./worker.ts";

/** Configures all nodes; returns when the API server calls them ready. */
export async function installNetwork(cluster: Cluster): Promise<void> {
  const nodes = await Promise.all(cluster.workers.map(async (worker) => ({ ...worker, plan: await planOf(cluster, worker) })));
  const peers = JSON.stringify(peersFile(nodes.map(({ plan }) => plan)));
  for (const { node, plan } of nodes) {
    await node.run([vethwork, "node", "--peers", "-"], { stdin: peers });
    configure(join(node.dir, "cni-conf"), plan);
  }
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "node", "--all"], { timeoutMs: 70_000 });
}

/** What the API server knows of a node, in the lab's words. The share comes a moment after the node. */
async function planOf(cluster: Cluster, { name, addresses }: Worker): Promise<NodePlan> {
  const shared = ["wait", "--for=jsonpath={.spec.podCIDRs}", "--timeout=60s", `node/${name}`];
  await cluster.kubectl(shared, { timeoutMs: 70_000 });
  const shares = list(await cluster.get("node", name), "spec", "podCIDRs");
  return { name, addresses: addresses.map(parseIp), podSubnets: shares.map((share) => parseCidr(text(share))), pods: [] };
}

/** Beside, then renamed: containerd looks at the folder at any time, and must not meet half a file. */
function configure(folder: string, plan: NodePlan): void {
  const { cniVersion: _newest, name, ...plugin } = { cniVersion: "", name: "", ...pluginConfig(plan) };
  const path = join(folder, "10-vethwork.conflist");
  writeFileSync(`${path}.new`, JSON.stringify({ cniVersion: release.cniVersion, name, plugins: [plugin] }));
  renameSync(`${path}.new`, path);
}
