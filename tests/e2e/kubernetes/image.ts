/**
 * The agent's image as deploy/Dockerfile makes it: the binary, and what of glibc it is linked with. There is no registry and no
 * docker, so it is packed here, of the same files, and given to every node's containerd.
 */
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, succeeded, type Node } from "../../conformance/node/node.ts";
import { tar, type Entry } from "../../conformance/containerd/tar.ts";
import { otherBuild, release, vethwork } from "./programs.ts";

export const image = "conformance.invalid/vethwork";

export interface AgentBuild {
  binary: string;
  tag: string;
}

/** What agents are upgraded from, and to. */
export const builds = { first: { binary: vethwork, tag: "1" }, second: { binary: otherBuild, tag: "2" } } as const satisfies Record<string, AgentBuild>;

/** Packs a binary as an image with a tag; gives the archive's path. */
export async function writeAgentImage(folder: string, { binary, tag }: AgentBuild): Promise<string> {
  const linked = succeeded(["ldd"], await command(["ldd", binary])).match(/\/[^ ]+/g) ?? [];
  const folders = new Set([...linked, "/usr/local/bin/x", "/opt/cni/bin/x", "/etc/cni/net.d/x", "/etc/vethwork/masquerade/x", "/run/vethwork/x", "/var/lib/vethwork/x", "/host/proc/sys/net/x"].flatMap(foldersOf));
  const layer = tar([
    ...[...folders].sort().map((path): Entry => ({ kind: "folder", path: `${path}/` })),
    { kind: "file", path: "usr/local/bin/vethwork", bytes: readFileSync(binary) },
    ...linked.map((path): Entry => ({ kind: "file", path: path.slice(1), bytes: readFileSync(realpathSync(path)) })),
  ]);
  const config = JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux",
    config: { Entrypoint: ["/usr/local/bin/vethwork"], Cmd: ["agent"], Env: ["PATH=/usr/local/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${createHash("sha256").update(layer).digest("hex")}`] },
  });
  const manifest = JSON.stringify([{ Config: "config.json", RepoTags: [`${image}:${tag}`], Layers: ["layer.tar"] }]);
  const path = join(folder, `agent-image-${tag}.tar`);
  writeFileSync(path, tar([
    { kind: "file", path: "manifest.json", bytes: Buffer.from(manifest), mode: 0o644 },
    { kind: "file", path: "config.json", bytes: Buffer.from(config), mode: 0o644 },
    { kind: "file", path: "layer.tar", bytes: layer, mode: 0o644 },
  ]));
  return path;
}

/** Every folder above a path, without the slash in front. */
function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

export async function importImage(node: Node, archive: string): Promise<void> {
  const env = { PATH: `${release.bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
  await node.run(["ctr", "-a", join(node.dir, "containerd.sock"), "-n", "k8s.io", "images", "import", archive], { env, timeoutMs: 60_000 });
}
