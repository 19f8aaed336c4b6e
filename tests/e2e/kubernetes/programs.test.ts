/** What build.sh made is there as a whole: each program runs, and is of the version that go.mod names. */
import { expect, test } from "bun:test";
import { skipped } from "../../conformance/node/needs.ts";
import { command } from "../../conformance/node/node.ts";
import { lacks, program, versions, type Program } from "./programs.ts";

const asked: readonly (readonly [name: Program, question: readonly string[], project: string])[] = [
  ["kube-apiserver", ["--version"], "kubernetes"],
  ["kube-controller-manager", ["--version"], "kubernetes"],
  ["kube-scheduler", ["--version"], "kubernetes"],
  ["kube-proxy", ["--version"], "kubernetes"],
  ["kubelet", ["--version"], "kubernetes"],
  ["kubectl", ["version", "--client"], "kubernetes"],
  ["etcd", ["--version"], "etcd"],
  ["coredns", ["-version"], "coredns"],
];

for (const [name, question, project] of asked) {
  test.skipIf(lacks !== "")(skipped(`${name} says its version`, lacks), async () => {
    const version = new RegExp(`^${project} v(\\S+)$`, "m").exec(versions())?.[1] ?? "none";
    expect((await command([program(name), ...question])).out).toContain(version);
  });
}
