/**
 * containerd on a node of its own, as the kubelet finds it: a socket that speaks CRI, a folder of CNI plugins, a folder
 * with a CNI configuration, and an image that need not be pulled.
 *
 *   test ── CRI ── containerd ── shim ── runc ── pod
 *                     └── CNI: cni-conf/10-mynet.conf names the type, cni-bin/TYPE is run
 *
 * Everything it keeps is in the node's work folder, everything it starts is in the node's pid namespace; stopping the
 * node is stopping it (node.ts).
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../node/daemon.ts";
import { cleanEnv, startNode, type Node } from "../node/node.ts";
import { connect, type Cri } from "./cri.ts";
import { imageName, writeImage } from "./image.ts";
import type { Release } from "./release.ts";

export interface ContainerdOptions {
  release: Release;
  /** The CNI bin folder's contents: name there, program that it links to. */
  plugins: Readonly<Record<string, string>>;
  /** The CNI configuration folder's contents: file name, JSON. */
  conf: Readonly<Record<string, object>>;
  /** Further lines at the end of the daemon's own configuration (TOML). */
  settings?: string;
}

export interface Containerd {
  node: Node;
  cri: Cri;
  /** Starts the daemon again after `kill`; pods that live on are found again. */
  start(): Promise<void>;
  /** kill -9 of the daemon only: shims and pods live on. */
  kill(): Promise<void>;
  /** Ends daemon, pods and node, and removes everything. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a node with a containerd that answers.
 * @throws RigFailure with the end of the daemon's log when it does not; nothing is left then.
 */
export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  const node = await startNode();
  try {
    return await startOn(node, options);
  } catch (error) {
    await node.stop();
    throw error;
  }
}

/**
 * Starts containerd on a node that is there, with the tests' image in it.
 * @throws RigFailure as startContainerd does; the node stays.
 */
export async function startOn(node: Node, { release, plugins, conf, settings = "" }: ContainerdOptions): Promise<Containerd> {
  const place = (...names: string[]) => join(node.dir, ...names);
  for (const folder of ["cni-bin", "cni-conf", "logs"]) mkdirSync(place(folder));
  for (const [name, program] of Object.entries(plugins)) symlinkSync(program, place("cni-bin", name));
  for (const [name, json] of Object.entries(conf)) writeFileSync(place("cni-conf", name), JSON.stringify(json));
  writeFileSync(place("config.toml"), `${configuration(release, node.dir)}${settings}`);

  const socket = place("containerd.sock");
  const cri = connect(socket, join(release.bin, "containerd"));
  // The shim and ctr have to be of the daemon's release; runc is the machine's.
  const env = { PATH: `${release.bin}:${cleanEnv.PATH}` };
  const daemon = {
    name: "containerd",
    argv: ["containerd", "--config", place("config.toml")],
    env,
    answers: () => cri.call("Version").then(() => true, () => false),
  };
  let running = await startDaemon(node, daemon);
  const start = async () => {
    running = await startDaemon(node, daemon);
  };
  const kill = () => running.kill();
  const stop = async () => {
    cri.close();
    await node.stop();
  };

  writeImage(place("image.tar"));
  const namespace = "k8s.io"; // containerd's own namespace for what the kubelet asks for
  await node.run(["ctr", "-a", socket, "-n", namespace, "images", "import", place("image.tar")], { env });
  return { node, cri, start, kill, stop };
}

/**
 * containerd's configuration: every path in the node's folder, and no network port. `restrict_oom_score_adj` because root
 * may have lost CAP_SYS_RESOURCE, and without it a score below one's own is refused.
 */
function configuration(release: Release, dir: string): string {
  return `version = ${release.config}
root = "${dir}/root"
state = "${dir}/state"
[grpc]
address = "${dir}/containerd.sock"
[ttrpc]
address = "${dir}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "${dir}/opt"
${release.config === 2 ? criVersion2(dir) : criVersion3(dir)}`;
}

const criVersion2 = (dir: string) => `[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${imageName}"
disable_tcp_service = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${dir}/cni-bin"
conf_dir = "${dir}/cni-conf"
`;

const criVersion3 = (dir: string) => `[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${imageName}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["${dir}/cni-bin"]
conf_dir = "${dir}/cni-conf"
`;
