/**
 * Commands for a person (or a program outside of the cluster): a folder with a small script for each machine, which runs
 * what it is given there, and one for kubectl, which runs with the caller's files in the control node's network.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "../../conformance/node/node.ts";
import type { Cluster } from "./cluster.ts";
import { program, release } from "./programs.ts";

/** Writes the scripts into the control node's folder, with which they go; gives their folder's path. */
export function writeTools({ control, workers, admin }: Cluster): string {
  const folder = join(control.dir, "bin");
  mkdirSync(folder);
  const write = (name: string, line: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  write("kubectl", `export KUBECONFIG=${admin}\nexec nsenter --net=/proc/${control.pid}/ns/net -- ${program("kubectl")} "$@"`);
  write("control", entering(control));
  for (const { name, node } of workers) {
    // What ctr, containerd's own client, has to know.
    const ctr = `export PATH=${release.bin}:$PATH CONTAINERD_ADDRESS=${join(node.dir, "containerd.sock")} CONTAINERD_NAMESPACE=k8s.io`;
    write(name, `${ctr}\n${entering(node)}`);
  }
  return folder;
}

const entering = (node: Node): string => `[ $# -gt 0 ] || set -- bash\nexec ${node.entering([]).join(" ")} "$@"`;
