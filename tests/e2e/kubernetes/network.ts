/**
 * The cluster's network: our agent on each node, as a process with the rights of its service account and no more. It reads from
 * the API server which share of the pod network is the node's (`spec.podCIDRs`), writes the runtime's configuration, which makes
 * the node ready, and makes the way to the other nodes' pods.
 *
 *     API server ◀── list, watch nodes; patch nodes/status ── vethwork agent ──▶ cni-conf/10-vethwork.conflist, routes
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findStatus } from "@vethwork/lab/agent.ts";
import { podNetwork } from "@vethwork/lab/plan.ts";
import { startDaemon, type Daemon } from "../../conformance/node/daemon.ts";
import { RigFailure } from "../../conformance/node/failure.ts";
import type { Node } from "../../conformance/node/node.ts";
import { families, type Cluster } from "./cluster.ts";
import { vethwork } from "./programs.ts";
import type { Worker } from "./worker.ts";

/** The manifest of what agents may do, as it is in production. */
export const rights = join(import.meta.dir, "../../../deploy/base/rights.yaml");
const account = ["--namespace", "kube-system", "vethwork-agent"];

/** Starts an agent on each node, told `more`; returns when the API server calls all of them ready. */
export async function installNetwork(cluster: Cluster, more: readonly string[] = []): Promise<Daemon[]> {
  await cluster.kubectl(["apply", "--filename", rights]);
  const agents = await Promise.all(cluster.workers.map((worker) => startAgent(cluster, worker, more)));
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "node", "--all"], { timeoutMs: 70_000 });
  return agents;
}

/** Starts a node's agent; returns when it answers, which is before anything else. */
export async function startAgent(cluster: Cluster, { name, node }: Worker, more: readonly string[] = []): Promise<Daemon> {
  const subnets = families.flatMap((family) => ["--cluster-subnet", String(podNetwork(family))]);
  const argv = [
    vethwork, "agent", "--kubeconfig", await kubeconfigFor(cluster, node), "--node", name, ...subnets, "--log-level", "debug",
    "--cni-conf-dir", join(node.dir, "cni-conf"), "--cni-bin-dir", join(node.dir, "cni-bin"), "--state-dir", join(node.dir, "state"), ...more,
  ];
  return startDaemon(node, { name: "agent", argv, answers: () => Promise.resolve(findStatus(node) !== undefined) });
}

/** A token of the agents' account; the server and its authority are those of the administrator's file. */
async function kubeconfigFor({ kubectl, server, authority }: Cluster, node: Node): Promise<string> {
  const token = (await kubectl(["create", "token", ...account, "--duration=24h"])).trim();
  const path = join(node.dir, "agent.kubeconfig");
  writeFileSync(path, JSON.stringify({
    clusters: [{ name: "c", cluster: { server, "certificate-authority": authority } }],
    users: [{ name: "agent", user: { token } }], contexts: [{ name: "c", context: { cluster: "c", user: "agent" } }], "current-context": "c",
  }), { mode: 0o600 });
  return path;
}

/** The path, from here, of the namespace on a node that has an address. RigFailure where there is none. */
export async function netnsWith({ name, node }: Worker, ip = ""): Promise<string> {
  for (const netns of (await node.run(["ls", "/run/netns"])).trim().split("\n")) {
    const { out } = await node.exec(["nsenter", `--net=/run/netns/${netns}`, "ip", "-o", "addr"]); // a pod may go meanwhile
    if (out.includes(` ${ip}/`)) return `/proc/${node.pid}/root/run/netns/${netns}`;
  }
  throw new RigFailure(`Cannot find a pod on ${name}: none has ${ip}`);
}
