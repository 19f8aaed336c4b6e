/**
 * The agent as its manifests bring it, on a real Kubernetes: a DaemonSet with one capability makes the nodes ready and their pods
 * reach each other, may do nothing but that, and goes on while the API server is away.
 */
import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { isObject } from "@vethwork/cni";
import { findStatus } from "@vethwork/lab/agent.ts";
import { talkDuring, told, type Talk } from "@vethwork/lab/testing/talk.ts";
import { parseIp } from "@vethwork/linux";
import { at, list, text } from "../../conformance/containerd/read.ts";
import { from, seenBy } from "../../conformance/containerd/web.ts";
import { until } from "../../conformance/node/until.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { builds, image, importImage, writeAgentImage } from "./image.ts";
import { netnsWith } from "./network.ts";
import { lacks, program, vethwork } from "./programs.ts";
import { endCluster, play } from "./testing.ts";
import { deploy, podSpec, port, reachFrom, type Pod } from "./workload.ts";

const deployFolder = join(import.meta.dir, "../../../deploy");
let cluster: Cluster;
let pods: Pod[];

beforeAll(async () => {
  if (lacks !== "") return;
  cluster = await startCluster({ nodes: 2 });
  const archives = await Promise.all(Object.values(builds).map((build) => writeAgentImage(cluster.control.dir, build)));
  for (const { node } of cluster.workers) {
    await node.run(["bash", "-c", places, "bash", node.dir]);
    for (const archive of archives) await importImage(node, archive);
  }
  await cluster.kubectl(["patch", "node", "node-1", "--subresource=status", "--type=strategic", "--patch", JSON.stringify({ status: { conditions: [{ type: "NetworkUnavailable", status: "True", reason: "NoRouteCreated" }] } })]);
  await cluster.kubectl(["apply", "--kustomize", overlay(cluster)]);
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=90s", "node", "--all"], { timeoutMs: 100_000 });
  pods = await deploy(cluster, "web", 4);
}, 240_000);

afterAll(() => endCluster(cluster), 60_000);

/** The paths that the manifests name, in a node whose containerd has its own places. Nothing of it is the machine's. */
const places = `set -eu
mount -t tmpfs tmpfs /opt
mkdir -p /opt/cni/bin /run/node/etc /run/node/etc-work
mount --bind "$1/cni-bin" /opt/cni/bin
mount -t overlay -o lowerdir=/etc,upperdir=/run/node/etc,workdir=/run/node/etc-work overlay /etc
mkdir -p /etc/cni/net.d
mount --bind "$1/cni-conf" /etc/cni/net.d`;

/** An overlay as docs/install.md shows one: the image, and an API server that is reached without Services. */
function overlay({ control, server }: Cluster): string {
  const folder = join(control.dir, "overlay");
  mkdirSync(folder);
  const path = (name: string): string => relative(folder, join(deployFolder, name));
  const more = ["--api-server", server, "--cluster-subnet=10.244.0.0/16", "--cluster-subnet=fd00:10:244::/48", "--log-level=debug"];
  writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify({
    resources: [path("base")],
    components: [path("own-node")],
    images: [{ name: "vethwork", newName: image, newTag: builds.first.tag }],
    patches: [{ target: { kind: "DaemonSet" }, patch: JSON.stringify(more.map((value) => ({ op: "add", path: "/spec/template/spec/containers/0/args/-", value }))) }],
  }));
  return folder;
}

const agents = async () => list(await cluster.get("pods", "--namespace=kube-system", "--selector=app.kubernetes.io/name=vethwork-agent"), "items");

play("the DaemonSet's pods are ready on every node, with one capability, and say how they are", async () => {
  await cluster.kubectl(["rollout", "status", "--namespace=kube-system", "daemonset/vethwork-agent", "--timeout=60s"], { timeoutMs: 70_000 });
  const all = await agents();
  expect(all.map((pod) => text(pod, "spec", "nodeName")).sort()).toEqual(["node-1", "node-2"]);
  const name = text(all[0], "metadata", "name");
  const node = text(all[0], "spec", "nodeName");
  expect(await cluster.kubectl(["exec", "--namespace=kube-system", name, "--", "vethwork", "status"])).toContain(`${node} is ready for pods: 10.244.`);
  const [worker] = cluster.workers.filter((one) => one.name === node);
  const pid = (await worker?.node.run(["pgrep", "--full", "vethwork agent"]))?.trim().split("\n")[0] ?? "";
  const about = await worker?.node.run(["cat", `/proc/${pid}/status`]) ?? "";
  const bits = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)$`, "m").exec(about)?.[1] ?? "";
  expect({ effective: bits("CapEff"), bounding: bits("CapBnd"), noNewPrivileges: bits("NoNewPrivs"), seccomp: bits("Seccomp") }).toEqual({ effective: "0000000000001000", bounding: "0000000000001000", noNewPrivileges: "1", seccomp: "2" });
  console.log(`# agent: ${/^VmRSS:.*$/m.exec(about)?.[0]}, ${/^RssAnon:.*$/m.exec(about)?.[0]}`);
});

play("pods reach pods on both nodes, and are seen with their own address", async () => {
  const targets = pods.flatMap(({ ips }) => ips);
  for (const pod of pods) {
    for (const { to, echo, seen } of await reachFrom(cluster, pod, targets)) {
      expect({ from: pod.name, to, echo, seen }).toEqual({ from: pod.name, to, echo: true, seen: pod.ips.find((ip) => ip.includes(":") === to.includes(":")) ?? "" });
    }
  }
});

play("the condition that a node has no network is taken back where somebody had set it, and made nowhere else", async () => {
  const condition = async (node: string) => {
    const one = list(await cluster.get("node", node), "status", "conditions").find((found) => at(found, "type") === "NetworkUnavailable");
    return one === undefined ? undefined : `${text(one, "status")} ${text(one, "reason")}`;
  };
  expect(await until(async () => (await condition("node-1")) === "False VethworkIsUp")).toBe(true);
  expect(await condition("node-2")).toBeUndefined();
});

play("an agent may list nodes and tell of its own, and nothing else", async () => {
  const token = await tokenOf("node-1");
  const may = async (...what: string[]) => {
    const { out } = await cluster.control.exec([program("kubectl"), `--server=${cluster.server}`, `--certificate-authority=${cluster.authority}`, `--token=${token}`, "--kubeconfig=/dev/null", "auth", "can-i", ...what]);
    return [what.join(" "), out.trim()];
  };
  for (const what of [["list", "nodes"], ["watch", "nodes"], ["patch", "nodes", "--subresource=status"]]) expect(await may(...what)).toEqual([what.join(" "), "yes"]);
  for (const what of [["get", "nodes"], ["patch", "nodes"], ["delete", "nodes"], ["get", "secrets", "--all-namespaces"], ["list", "pods", "--all-namespaces"], ["create", "pods", "--namespace=kube-system"]]) {
    expect(await may(...what)).toEqual([what.join(" "), "no"]);
  }
  const [key, value] = ["vethwork/wireguard-key", Buffer.alloc(32, 7).toString("base64")];
  expect(await tell(token, "node-1", { annotations: { [key]: value } })).toContain(`"${key}": "${value}"`);
  expect(await tell(token, "node-2", { annotations: { [key]: value } })).toContain('an agent on node \\"node-1\\" tells of node \\"node-2\\"');
  expect(await tell(token, "node-1", { annotations: { other: "x" } })).toContain("an agent sets annotations that begin with vethwork/");
  expect(await tell(token, "node-1", { labels: { other: "x" } })).toContain("an agent sets no labels");
  expect(await until(async () => !JSON.stringify(await cluster.get("node", "node-1")).includes("wireguard-key"))).toBe(true); // the agent has no key to publish
});

/** The token of the agent's pod on a node, as the kubelet gets it. */
async function tokenOf(node: string): Promise<string> {
  const pod = (await agents()).find((one) => text(one, "spec", "nodeName") === node);
  const bound = ["--bound-object-kind=Pod", `--bound-object-name=${text(pod, "metadata", "name")}`, `--bound-object-uid=${text(pod, "metadata", "uid")}`];
  return (await cluster.kubectl(["create", "token", "--namespace=kube-system", "vethwork-agent", ...bound])).trim();
}

/** Patches a node's metadata by its status, as the agent does (kubectl asks for the node first, which is more than it may). */
function tell(token: string, node: string, metadata: object): Promise<string> {
  const head = ["--header", `authorization: Bearer ${token}`, "--header", "content-type: application/merge-patch+json"];
  return cluster.control.run(["curl", "--silent", "--cacert", cluster.authority, "--request", "PATCH", ...head, "--data", JSON.stringify({ metadata }), `${cluster.server}/api/v1/nodes/${node}/status?pretty=true`]);
}

play("while the API server is away the network is kept, and when it is back the agents follow it again", async () => {
  const [one] = cluster.workers;
  if (!one) return expect.unreachable();
  const route = () => one.node.run(["ip", "route", "show", "proto", "119"]);
  const before = await route();
  expect(before).toContain("10.244.");
  await withoutApiServer(async () => {
    await one.node.run(["ip", "route", "flush", "proto", "119"]);
    expect(await until(async () => (await route()) === before)).toBe(true);
    expect(findStatus(one.node)).toMatchObject({ isReady: true });
  });
  const { addresses: [address = ""] } = one;
  await cluster.kubectl(["apply", "--filename=-"], { stdin: JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: "node-9" }, spec: { podCIDRs: ["10.244.99.0/24"], podCIDR: "10.244.99.0/24" } }) });
  await cluster.kubectl(["patch", "node", "node-9", "--subresource=status", "--type=merge", "--patch", JSON.stringify({ status: { addresses: [{ type: "InternalIP", address: address.replace(/\d+$/, "99") }] } })]);
  expect(await until(async () => (await route()).includes("10.244.99.0/24"))).toBe(true);
  await cluster.kubectl(["delete", "node", "node-9"]);
  expect(await until(async () => !(await route()).includes("10.244.99.0/24"))).toBe(true);
});

/** It is there, and answers nobody. */
async function withoutApiServer(act: () => Promise<void>): Promise<void> {
  const pid = (await cluster.control.run(["pgrep", "--exact", "kube-apiserver"])).trim();
  await cluster.control.run(["kill", "-STOP", pid]);
  try {
    await act();
  } finally {
    await cluster.control.run(["kill", "-CONT", pid]);
  }
}

play("agents are stopped, killed, upgraded to another build, and without an API server for a minute: no packet is lost", async () => {
  const [one, two] = cluster.workers;
  const [from, to] = [one, two].map((worker) => pods.find(({ node }) => node === worker?.name));
  if (!one || !two || !from || !to) return expect.unreachable();
  const places = { from: await netnsWith(one, from.ips[0]), to: await netnsWith(two, to.ips[0]) };
  const [ip4, ip6] = to.ips.map((ip) => ({ ...places, ip: parseIp(ip) }));
  if (!ip4 || !ip6) return expect.unreachable();
  const rollOut = () => cluster.kubectl(["rollout", "status", "--namespace=kube-system", "daemonset/vethwork-agent", "--timeout=90s"], { timeoutMs: 100_000 });
  const steps: [what: string, step: () => Promise<unknown>][] = [
    ["stopped", async () => (await cluster.kubectl(["delete", "pod", "--namespace=kube-system", "--selector=app.kubernetes.io/name=vethwork-agent"]), await rollOut())],
    ["killed", () => killAgents()],
    ["upgraded to another build", async () => (await cluster.kubectl(["set", "image", "--namespace=kube-system", "daemonset/vethwork-agent", `agent=${image}:${builds.second.tag}`]), await rollOut())],
    ["a minute without an API server", async () => withoutApiServer(async () => {
      const back = performance.now() + 60_000;
      await killAgents();
      expect(await until(() => performance.now() > back, 70_000)).toBe(true);
    })],
  ];
  for (const [what, step] of steps) {
    const talks: Talk[] = [];
    talks.push(await talkDuring(ip4, async () => void talks.push(await talkDuring(ip6, async () => void (await step())))));
    for (const talk of talks) {
      console.log(`# agents ${what}: ${told(talk)}`);
      expect(talk).toEqual({ ...talk, received: talk.sent, arrived: talk.bytes });
    }
  }
  for (const { node } of cluster.workers) {
    expect(readFileSync(join(node.dir, "cni-bin/vethwork")).equals(readFileSync(builds.second.binary))).toBe(true);
    expect(await until(() => findStatus(node)?.problems.length === 0)).toBe(true);
  }
}, 400_000);

/** SIGKILL for the agent of each node; returns when the kubelets have started others. */
async function killAgents(): Promise<void> {
  for (const { node } of cluster.workers) {
    const since = findStatus(node)?.startedAt;
    const pid = (await node.run(["pgrep", "--full", "vethwork agent"])).trim().split("\n")[0] ?? "";
    await node.run(["kill", "-KILL", pid]);
    expect(await until(() => ![undefined, since].includes(findStatus(node)?.startedAt), 60_000)).toBe(true);
  }
}

play("a port of the node leads to a pod, and annotations limit it, by the plugins that the agent's configuration has", async () => {
  const [worker] = cluster.workers;
  if (!worker) return expect.unreachable();
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "port", annotations: { "kubernetes.io/ingress-bandwidth": "20M" } }, spec: { nodeName: worker.name, ...podSpec({ ports: [{ containerPort: port, hostPort: 8081 }] }) } };
  const network = async () => [await worker.node.run(["nft", "-s", "list", "ruleset"]), await worker.node.run(["tc", "qdisc", "show"])].join("");
  const before = await network();
  await cluster.kubectl(["apply", "--filename=-"], { stdin: JSON.stringify(pod) });
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "pod/port"], { timeoutMs: 70_000 });
  const outside = ["192.168.50.2", "fd50::2"];
  for (const [at, address] of worker.addresses.entries()) expect(await seenBy(from(cluster.control), address, 8081)).toBe(outside[at] ?? "");
  expect(await worker.node.run(["tc", "qdisc", "show"])).toMatch(/qdisc tbf .* rate 20Mbit/);
  await cluster.kubectl(["delete", "pod", "port"], { timeoutMs: 60_000 });
  expect(await until(async () => (await network()) === before)).toBe(true);
});

play("a certificate is as good as a token: what an administrator's file says is enough to see the cluster", async () => {
  const { control, admin } = cluster;
  const { code, err } = await control.exec([vethwork, "agent", "--once", "--kubeconfig", admin, "--node", "nobody", "--no-cni", "--run-dir", join(control.dir, "run")]);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('the Node "nobody", which is not among the 2 of the API server') });
});

play("with encryption each agent publishes its key on its own Node", async () => {
  const patch = [{ op: "add", path: "/spec/template/spec/containers/0/args/-", value: "--encrypt=wireguard" }];
  await cluster.kubectl(["patch", "--namespace=kube-system", "daemonset/vethwork-agent", "--type=json", "--patch", JSON.stringify(patch)]);
  const keys = async () => list(await cluster.get("nodes"), "items").map((node) => at(node, "metadata", "annotations")).map((annotations) => (isObject(annotations) ? annotations["vethwork/wireguard-key"] : undefined));
  expect(await until(async () => (await keys()).every((key) => typeof key === "string"), 90_000)).toBe(true);
  expect(new Set(await keys()).size).toBe(2);
});
