/**
 * The programs that a cluster is made of, and whether this machine has them. Kubernetes, etcd and CoreDNS are built from
 * their Go modules by build.sh into one folder; containerd, runc and openssl are Debian's.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installed, newest, type Release } from "../../conformance/containerd/release.ts";
import { missing } from "../../conformance/node/needs.ts";
import { subject } from "../../conformance/subject.ts";

const root = join(import.meta.dir, "../../..");
const folder = join(root, ".cache/kubernetes");

export type Program =
  | "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "kubelet" | "kubectl" | "kube-proxy" | "coredns";

/** Path of a program that build.sh made. */
export const program = (name: Program): string => join(folder, name);

/** What was built: `etcd v3.…` and so on, a line each; "" before that. */
export function versions(): string {
  const about = join(folder, "versions");
  return existsSync(about) ? readFileSync(about, "utf8") : "";
}

/** The containerd of the nodes: the newest that Debian has, or the installed one. */
export const release: Release = newest().lacks === "" ? newest() : installed();

/** Our own program, which is the nodes' plugin and their command. */
export const vethwork = join(root, "dist/vethwork");

/** Another build of it, which is not the same file: the one with points of failure. */
export const otherBuild = join(root, "dist/test/vethwork");

/** What this machine lacks for a cluster, in words; "" when nothing. */
export const lacks: string =
  missing({
    root: true,
    programs: ["unshare", "nsenter", "ip", "nft", "iptables", "openssl", "pgrep"],
    files: { [join(folder, "versions")]: "Kubernetes, which tests/e2e/kubernetes/build.sh builds with Go", [otherBuild]: "npm run build" },
  }) || release.lacks || subject.lacks;
