/**
 * Kubernetes itself, on two nodes, with nothing of it left out but the Service proxy: our plugin makes the nodes ready, gives
 * pods a network as Kubernetes wants it, and leaves nothing when they go.
 */
import { afterAll, beforeAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { at, list, text } from "../../conformance/containerd/read.ts";
import { from, serve } from "../../conformance/containerd/web.ts";
import { networkState, type NetworkState } from "../../conformance/node/leftovers.ts";
import { until } from "../../conformance/node/until.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { installNetwork } from "./network.ts";
import { lacks } from "./programs.ts";
import { endCluster, play } from "./testing.ts";
import { ask, deploy, port, reachFrom, rows, type Pod } from "./workload.ts";

let cluster: Cluster;
let unready: Map<string, string>;
let ready: Map<string, string>;
let empty: NetworkState[];
let pods: Pod[];
let parameters: string;

/** What a kubelet sets that no namespace has of its own: on a real node it is the node's. */
const machineParameters = () => ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"].map((name) => readFileSync(`/proc/sys/${name}`, "utf8")).join("");

beforeAll(async () => {
  if (lacks !== "") return;
  parameters = machineParameters();
  cluster = await startCluster({ nodes: 2 });
  unready = await readiness();
  await installNetwork(cluster);
  ready = await readiness();
  empty = await states();
  pods = await deploy(cluster, "web", 6);
}, 240_000);

afterAll(() => endCluster(cluster), 60_000);

const states = () => Promise.all(cluster.workers.map(({ node }) => networkState(node)));

play("the plugin's configuration makes a node ready, and nothing else did", async () => {
  expect([...unready.keys()]).toEqual(["node-1", "node-2"]);
  for (const message of unready.values()) expect(message).toMatch(/^False: .*cni plugin not initialized/);
  for (const message of ready.values()) expect(message).toMatch(/^True: /);
});

play("a Deployment's pods spread over both nodes, with addresses of each node's share in both families", async () => {
  expect(pods.map(({ node }) => node).sort()).toEqual(["node-1", "node-1", "node-1", "node-2", "node-2", "node-2"]);
  expect(new Set(pods.flatMap(({ ips }) => ips)).size).toBe(12);
  for (const { name } of cluster.workers) {
    const shares = list(await cluster.get("node", name), "spec", "podCIDRs").map((share) => text(share));
    const prefixes = shares.map((share) => share.replace(/0\/24$|\/64$/, ""));
    for (const pod of pods.filter(({ node }) => node === name)) {
      expect(pod.ips.map((ip, at) => ip.startsWith(prefixes[at] ?? "?"))).toEqual([true, true]);
    }
  }
});

play("every pod reaches every pod and every node by ICMP and TCP, and is seen with its own address", async () => {
  for (const { node } of cluster.workers) await serve(node);
  const targets = [...pods.flatMap(({ ips }) => ips), ...cluster.workers.flatMap(({ addresses }) => addresses)];
  for (const reached of await Promise.all(pods.map((pod) => reachFrom(cluster, pod, targets)))) {
    const pod = pods.find(({ name }) => name === reached[0]?.from);
    expect(reached).toEqual(targets.map((to) => ({ from: pod?.name ?? "", to, echo: true, seen: own(pod?.ips ?? [], to) })));
  }
});

play("every node reaches every pod, and is seen with an address of its own", async () => {
  const targets = pods.flatMap(({ ips }) => ips);
  for (const { name, node } of cluster.workers) {
    const { said } = await from(node)("sh", "-c", ask, "sh", String(port), ...targets);
    const addresses = await node.run(["ip", "-o", "addr"]);
    for (const { to, echo, seen } of rows(name, said)) {
      expect({ to, echo }).toEqual({ to, echo: true });
      expect(addresses).toContain(` ${seen}/`);
    }
  }
});

play("kubectl exec and logs reach a pod on each node", async () => {
  for (const { name } of cluster.workers) {
    const pod = pods.find(({ node }) => node === name);
    expect(await cluster.kubectl(["exec", pod?.name ?? "", "--", "hostname"])).toBe(`${pod?.name}\n`);
    expect(await cluster.kubectl(["logs", pod?.name ?? ""])).toBe(`serving as ${pod?.name}\n`);
  }
});

play("the kubelets have set no kernel parameter of the machine", async () => {
  for (const { node } of cluster.workers) expect(await node.run(["cat", "/proc/sys/kernel/panic"])).toBe("10\n");
  expect(machineParameters()).toBe(parameters);
});

play("sixty pods come and go, and leave no address, link, rule or cache entry on either node", async () => {
  const many = await deploy(cluster, "web", 60);
  expect(new Set(many.flatMap(({ ips }) => ips)).size).toBe(120);
  const added = (await states()).map(({ links, netns }, at) => [links.length - (empty[at]?.links.length ?? 0), netns.length]);
  expect(added).toEqual([[30, 30], [30, 30]]);
  expect(await deploy(cluster, "web", 0)).toEqual([]);
  // The API server forgets a pod when its containers have ended; the runtime is done with the sandbox a little later.
  await until(async () => Bun.deepEquals(await states(), empty), 90_000);
  expect(await states()).toEqual(empty);
}, 400_000);

/** The pod's address of the family that an address is of. */
function own(ips: readonly string[], to: string): string {
  return ips.find((ip) => ip.includes(":") === to.includes(":")) ?? "";
}

/** Node → "True" or "False", and why. */
async function readiness(): Promise<Map<string, string>> {
  const nodes = list(await cluster.get("nodes"), "items");
  return new Map(nodes.map((node) => {
    const condition = list(node, "status", "conditions").find((one) => at(one, "type") === "Ready");
    return [text(node, "metadata", "name"), `${text(condition, "status")}: ${text(condition, "message")}`];
  }));
}
