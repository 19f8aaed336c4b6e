/**
 * A node that runs pods: the kubelet, which is told by the API server what to run; containerd, which it tells; and in
 * containerd's bin folder our plugin, which nobody has configured yet.
 *
 *     API server ──▶ kubelet ── CRI ──▶ containerd ──▶ runc
 *                                           └──▶ cni-conf/*, cni-bin/vethwork
 *
 * The kubelet knows nothing of CNI. It asks containerd whether the network is ready, containerd says no as long as it finds
 * no configuration, and the node is NotReady: who brings the configuration makes the node ready.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NodePlan } from "@vethwork/lab/plan.ts";
import { startOn, type Containerd } from "../../conformance/containerd/containerd.ts";
import { listens, startDaemon } from "../../conformance/node/daemon.ts";
import type { Node } from "../../conformance/node/node.ts";
import { subject } from "../../conformance/subject.ts";
import type { Authority } from "./certificates.ts";
import { dnsService } from "./control.ts";
import { program, release } from "./programs.ts";

export interface Worker {
  name: string;
  node: Node;
  /** On the wire that all share. */
  addresses: string[];
  containerd: Containerd;
}

/**
 * What a kubelet finds and changes outside of its folder. Its logs' place is fixed. Of the kernel's parameters that it
 * sets, these are the whole machine's: the node has copies that say what a kubelet wants to read.
 */
const furnish = `set -eu
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p /run/node/sys
while read -r parameter value; do
  copy=/run/node/sys/\${parameter//\\//.}
  echo "$value" >"$copy"
  mount --bind "$copy" "/proc/sys/$parameter"
done <<PARAMETERS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
PARAMETERS`;

/** Starts containerd and a kubelet that makes itself known; does not wait for the node to be ready. */
export async function startWorker(node: Node, plan: Pick<NodePlan, "name" | "addresses">, authority: Authority, server: string): Promise<Worker> {
  const { name } = plan;
  const own = plan.addresses.map(String);
  await node.run(["bash", "-c", furnish, "bash", name]);
  const containerd = await startOn(node, { release, plugins: subject.plugins, conf: {} });

  const user = `system:node:${name}`;
  const identity = await authority.issue(user, { group: "system:nodes", names: own.map((ip) => `IP:${ip}`) });
  writeFileSync(join(node.dir, "resolv.conf"), "nameserver 203.0.113.1\n");
  mkdirSync(join(node.dir, "kubelet"));
  const config = join(node.dir, "kubelet.json");
  writeFileSync(config, JSON.stringify({
    ...configuration(node.dir, authority),
    tlsCertFile: identity.certificate,
    tlsPrivateKeyFile: identity.key,
  }));
  await startDaemon(node, {
    name: "kubelet",
    argv: [
      program("kubelet"), `--config=${config}`, `--kubeconfig=${authority.kubeconfig(user, identity, server)}`,
      `--hostname-override=${name}`, `--node-ip=${own.join(",")}`, `--root-dir=${join(node.dir, "kubelet")}`,
    ],
    answers: listens(node, 10_248),
  });
  return { name, node, addresses: own, containerd };
}

/**
 * KubeletConfiguration. The machine is shared with its other work, so nothing is evicted from it for lack of memory or
 * disk, and no image is collected: there is nowhere to get it again.
 */
function configuration(dir: string, authority: Authority): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority.certificate } },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: `unix://${dir}/containerd.sock`,
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0, // a score below one's own wants CAP_SYS_RESOURCE, which root may have lost
    evictionHard: { "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%" },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    resolvConf: join(dir, "resolv.conf"),
    podLogsDir: join(dir, "pods"),
    volumePluginDir: join(dir, "volume-plugins"),
    nodeStatusUpdateFrequency: "1s",
    clusterDomain: "cluster.local",
    clusterDNS: [dnsService],
  };
}
