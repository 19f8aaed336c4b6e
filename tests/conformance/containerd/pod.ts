/**
 * A pod as the kubelet makes one: a sandbox (the namespaces, and CNI's ADD for the network), then a container in it. The
 * container here is a web server that answers with the address it sees the question come from.
 */
import type { Containerd } from "./containerd.ts";
import { imageName } from "./image.ts";
import { at, entry, list, text } from "./read.ts";

export interface Pod {
  /** The sandbox's id, which CNI calls the container id. */
  id: string;
  /** The addresses that the runtime reports, the first one first. */
  ips: string[];
  /** Path of the pod's network namespace. */
  netns: string;
  /** Runs a command in the pod's container; gives what it printed, on either output. */
  exec(...argv: string[]): Promise<{ code: number; said: string }>;
  /** What the kubelet does when a pod goes: stops the sandbox (DEL), then removes it. */
  remove(): Promise<void>;
}

export const port = 8080;

export interface PodWish {
  annotations?: Readonly<Record<string, string>>;
  /** Ports of the node, each with the pod's that it leads to: all of TCP. */
  hostPorts?: Readonly<Record<number, number>>;
}

/** Runs a pod. Throws CriError when the runtime refuses, which is where a failed ADD shows. */
export async function runPod({ cri, node }: Containerd, name: string, { annotations = {}, hostPorts = {} }: PodWish = {}): Promise<Pod> {
  const config = {
    metadata: { name, uid: `uid-${name}`, namespace: "default", attempt: 0 },
    annotations: Object.entries(annotations).map(([key, value]) => ({ key, value })), // a map in protobuf
    port_mappings: Object.entries(hostPorts).map(([host, pod]) => ({ protocol: "TCP", host_port: Number(host), container_port: pod })),
    hostname: name,
    log_directory: `${node.dir}/logs`,
    linux: { cgroup_parent: "/pods" },
  };
  const id = text(await cri.call("RunPodSandbox", { config }), "pod_sandbox_id");
  const request = {
    pod_sandbox_id: id,
    sandbox_config: config,
    config: {
      metadata: { name: "web" },
      image: { image: imageName },
      command: ["httpd", "-f", "-p", String(port), "-h", "/www"],
      log_path: `${name}.log`,
      linux: {},
    },
  };
  const container_id = text(await cri.call("CreateContainer", request), "container_id");
  await cri.call("StartContainer", { container_id });

  const status = await cri.call("PodSandboxStatus", { pod_sandbox_id: id, verbose: true });
  const network = at(status, "status", "network");
  return {
    id,
    ips: [text(network, "ip"), ...list(network, "additional_ips").map((more) => text(more, "ip"))],
    netns: netnsOf(status),
    exec: async (...cmd) => {
      const done = await cri.call("ExecSync", { container_id, cmd, timeout: 20 });
      const said = [at(done, "stdout"), at(done, "stderr")].map((bytes) => Buffer.isBuffer(bytes) ? bytes.toString() : "");
      return { code: Number(at(done, "exit_code")), said: said.join("").trim() };
    },
    remove: async () => {
      await cri.call("StopPodSandbox", { pod_sandbox_id: id });
      await cri.call("RemovePodSandbox", { pod_sandbox_id: id });
    },
  };
}

/** The verbose status carries the sandbox's OCI spec, in which the network namespace has a path. */
function netnsOf(status: object): string {
  const info: unknown = JSON.parse(String(entry(status, "info", "info")));
  const spaces = list(info, "runtimeSpec", "linux", "namespaces");
  return text(spaces.find((space) => at(space, "type") === "network"), "path");
}
