/**
 * The runtime of a lab's node: does for its pods what containerd does, and nothing more.
 *
 *     a namespace for the pod ──▶ /etc/cni/net.d/10-lab.conflist ──▶ ADD by /opt/cni/bin/vethwork ──▶ /var/lib/cni/results
 *
 * The plugin is the real binary, started in the node as a process, as on a node of a real cluster. So is libcni, which
 * this is built on: what it knows of an attachment stands in the node's cache, where any other runtime would find it.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { createCni, loadNetworkConf, type Cni, type Exec, type Result, type RuntimeConf } from "@vethwork/cni";
import { types } from "@vethwork/plugins/registry.ts";
import { LabFailure } from "./failure.ts";
import { fileIn, openNetwork, outputOf, podNetns, runIn, type Machine } from "./machine.ts";
import { NETWORK_NAME } from "./plan.ts";
import { turnOn } from "./wires.ts";

export const BIN = "/opt/cni/bin";
const CONF = "/etc/cni/net.d";
const CACHE = "/var/lib/cni";

/** The name of a pod's interface, inside. */
export const POD_LINK = "eth0";

export interface Runtime {
  /** Makes a pod and attaches it; gives the plugin's result and how long it took, with starting it. */
  addPod(pod: string): Promise<{ result: Result; addMs: number }>;
  /** Asks the plugin whether the pod is still as ADD left it. Rejects with its CniError. */
  checkPod(pod: string): Promise<void>;
  /** Detaches a pod and takes its namespace away. */
  deletePod(pod: string): Promise<void>;
  /** What ADD gave; undefined where there is no such pod. */
  find(pod: string): Promise<Result | undefined>;
  /** The pods of this node. */
  list(): Promise<string[]>;
}

/** Puts links to the program where runtimes look for plugins. The configuration of the network is the agent's to bring. */
export function install(node: Machine, program: string): void {
  for (const folder of [BIN, CONF]) mkdirSync(fileIn(node, folder), { recursive: true });
  for (const type of types) symlinkSync(program, fileIn(node, join(BIN, type)));
}

export function runtimeOf(node: Machine): Runtime {
  // Files are looked for from outside; programs run inside, where the same folders have shorter names.
  const exec: Exec = async ({ path, env, stdin }) => {
    const variables = Object.entries(env).filter((entry): entry is [string, string] => entry[0].startsWith("CNI_") && entry[1] !== undefined);
    const inside = { ...Object.fromEntries(variables), CNI_PATH: BIN };
    const { code, out, err } = await runIn(node, [join(BIN, basename(path))], { env: inside, stdin });
    return { status: code, stdout: out, stderr: err };
  };
  const cni = createCni({ path: [fileIn(node, BIN)], cacheDir: fileIn(node, CACHE), exec });
  const network = () => loadNetworkConf(fileIn(node, CONF), NETWORK_NAME);
  return {
    addPod: async (pod) => {
      await makeNamespace(node, pod);
      const begun = performance.now();
      const result = await cni.addNetworkList(network(), attachmentOf(pod));
      return { result, addMs: performance.now() - begun };
    },
    checkPod: (pod) => cni.checkNetworkList(network(), attachmentOf(pod)),
    deletePod: async (pod) => {
      await cni.delNetworkList(network(), attachmentOf(pod));
      await outputOf(node, ["sh", "-c", 'umount "$1" && rm "$1"', "sh", podNetns(pod)]);
    },
    find: (pod) => cni.getNetworkListCachedResult(network(), attachmentOf(pod)),
    list: () => podsOf(cni),
  };
}

async function podsOf(cni: Cni): Promise<string[]> {
  const attachments = await cni.getCachedAttachments();
  return attachments.map(({ containerId }) => containerId).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** A namespace stays while a file is mounted on it, without any process in it; `ip netns` lists it in the node. */
async function makeNamespace(node: Machine, pod: string): Promise<void> {
  const path = podNetns(pod);
  const made = await runIn(node, ["sh", "-c", ': > "$1" && exec unshare --net="$1" true', "sh", path]);
  if (made.code !== 0) throw new LabFailure(`Cannot make a namespace for "${pod}": ${made.err.trim()}`);
  using netns = openNetwork(node, pod);
  turnOn(netns, "lo");
}

/** The variables that containerd passes for a pod of Kubernetes. */
function attachmentOf(pod: string): RuntimeConf {
  const args = [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "default"], ["K8S_POD_NAME", pod], ["K8S_POD_INFRA_CONTAINER_ID", pod]] as const;
  return { containerId: pod, netns: podNetns(pod), ifname: POD_LINK, args };
}
