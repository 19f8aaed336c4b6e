/**
 * podman on a node of its own, with the network back end that calls CNI plugins (podman before 5; later ones know only
 * netavark). Unlike containerd there is no daemon: each command reads the network's configuration list, asks each
 * plugin's VERSION, and calls ADD or DEL itself.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imageName, writeImage } from "../containerd/image.ts";
import { missing } from "../node/needs.ts";
import { startNode, type Node, type Output } from "../node/node.ts";

export interface Podman {
  node: Node;
  /** Runs `podman ARGV` on the node, whatever its exit code. */
  exec(...argv: string[]): Promise<Output>;
  /** Runs `podman ARGV` and gives what it printed. Throws RigFailure when it fails. */
  run(...argv: string[]): Promise<string>;
  /** Ends every container and removes the node. May be called twice. */
  stop(): Promise<void>;
}

export interface PodmanOptions {
  /** The CNI bin folder's contents: name there, program that it links to. */
  plugins: Readonly<Record<string, string>>;
  /** The network that containers are in unless they ask for another: a configuration list, with its name. */
  network: Readonly<{ cniVersion: string; name: string; plugins: readonly object[] }>;
}

/** What the machine lacks for podman with CNI; "" when nothing. */
export function podmanLacks(): string {
  return missing({ root: true, programs: ["podman", "conmon", "runc", "busybox", "unshare", "ip", "nft"] });
}

/**
 * Makes a node with podman and the tests' image.
 * @throws RigFailure when podman refuses its configuration or the image; nothing is left then.
 */
export async function startPodman({ plugins, network }: PodmanOptions): Promise<Podman> {
  const node = await startNode();
  const place = (name: string) => join(node.dir, name);
  const env = {
    CONTAINERS_CONF: place("containers.conf"),
    CONTAINERS_STORAGE_CONF: place("storage.conf"),
    TMPDIR: place("tmp"),
  };
  const podman: Podman = {
    node,
    exec: (...argv) => node.exec(["podman", ...argv], { env, timeoutMs: 60_000 }),
    run: (...argv) => node.run(["podman", ...argv], { env, timeoutMs: 60_000 }),
    stop: node.stop,
  };
  try {
    for (const folder of ["cni-bin", "cni-conf", "tmp"]) mkdirSync(place(folder));
    for (const [name, program] of Object.entries(plugins)) symlinkSync(program, join(place("cni-bin"), name));
    writeFileSync(join(place("cni-conf"), `${network.name}.conflist`), JSON.stringify(network));
    writeFileSync(env.CONTAINERS_CONF, containersConf(node.dir, network.name));
    writeFileSync(env.CONTAINERS_STORAGE_CONF, storageConf(node.dir));
    writeImage(place("image.tar"));
    await podman.run("load", "--quiet", "--input", place("image.tar"));
  } catch (error) {
    await node.stop();
    throw error;
  }
  return podman;
}

/** Runs a container in the background that serves the web as a pod of containerd does; gives its id. */
export async function runContainer(podman: Podman, name: string, ...options: string[]): Promise<string> {
  const command = ["httpd", "-f", "-p", "8080", "-h", "/www"];
  return (await podman.run("run", "--detach", "--name", name, ...options, imageName, ...command)).trim();
}

/** Asks as a container. */
export function inside(podman: Podman, name: string) {
  return async (...argv: string[]) => {
    const { code, out, err } = await podman.exec("exec", name, ...argv);
    return { code, said: `${out}${err}`.trim() };
  };
}

/** The container's address. */
export async function addressOf(podman: Podman, name: string): Promise<string> {
  return await inspect(podman, name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
}

/** What podman knows of a container, in a Go template's words. */
export const inspect = async (podman: Podman, name: string, format: string): Promise<string> => (await podman.run("inspect", "--format", format, name)).trim();

// Limits below the machine's own, because root may have lost CAP_SYS_RESOURCE and podman asks for more than it has; no
// systemd, hence cgroupfs and files.
const containersConf = (dir: string, network: string) => `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["${dir}/cni-bin"]
network_config_dir = "${dir}/cni-conf"
default_network = "${network}"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${dir}/libpod"
static_dir = "${dir}/storage/libpod"
volume_path = "${dir}/storage/volumes"
[engine.runtimes]
runc = ["/usr/sbin/runc", "/usr/bin/runc"]
`;

const storageConf = (dir: string) => `[storage]
driver = "overlay"
graphroot = "${dir}/storage"
runroot = "${dir}/runroot"
`;
