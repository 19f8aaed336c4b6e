/**
 * Services on a real Kubernetes without kube-proxy: the API server's own, names by CoreDNS, node ports from outside, a rolling update
 * under constant requests, affinity, and that nothing is left of what is deleted.
 */
import { afterAll, beforeAll, expect } from "bun:test";
import { dirname } from "node:path";
import { WORLD } from "@vethwork/lab/plan.ts";
import { imageName } from "../../conformance/containerd/image.ts";
import { list, text } from "../../conformance/containerd/read.ts";
import { until } from "../../conformance/node/until.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { dnsService } from "./control.ts";
import { installNetwork } from "./network.ts";
import { lacks, program, vethwork } from "./programs.ts";
import { endCluster, play } from "./testing.ts";

const REPLICAS = 6;
const NODE_PORT = 30_080;
let cluster: Cluster;

beforeAll(async () => {
  if (lacks !== "") return;
  cluster = await startCluster({ nodes: 2 });
  await installNetwork(cluster);
  await apply(...dns(), webDeployment(), webService(), client("client-1", "node-1"), client("client-2", "node-2"));
  await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=120s"], { timeoutMs: 130_000 });
  await cluster.kubectl(["rollout", "status", "--namespace=kube-system", "deployment/coredns", "--timeout=120s"], { timeoutMs: 130_000 });
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "pod/client-1", "pod/client-2"], { timeoutMs: 70_000 });
}, 300_000);

afterAll(() => endCluster(cluster), 60_000);

const apply = (...objects: readonly object[]) => cluster.kubectl(["apply", "--filename=-"], { stdin: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }) });
const inPod = (pod: string, script: string) => cluster.kubectl(["exec", pod, "--", "sh", "-c", script], { timeoutMs: 120_000 });
/** What somebody outside of the cluster gets. */
const outside = async (url: string) => (await cluster.control.exec(["ip", "netns", "exec", WORLD, "busybox", "timeout", "3", "busybox", "wget", "-q", "-O", "-", url])).out.trim();

const pods = (labels: object, containers: readonly object[], more: object = {}) => ({ metadata: { labels }, spec: { terminationGracePeriodSeconds: 1, containers, ...more } });

/** Each server says which one it is, and from whom it is asked. */
const webDeployment = () => ({
  apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" },
  spec: {
    replicas: REPLICAS, selector: { matchLabels: { app: "web" } }, strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 2 } },
    template: pods({ app: "web" }, [{
      name: "web", image: imageName, command: ["sh", "-c", "hostname >/www/name; exec httpd -f -p 8080 -h /www"], ports: [{ name: "http", containerPort: 8080 }],
      readinessProbe: { httpGet: { port: 8080, path: "/name" }, periodSeconds: 1 },
      lifecycle: { preStop: { exec: { command: ["sleep", "3"] } } },
    }], { terminationGracePeriodSeconds: 5, topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway", labelSelector: { matchLabels: { app: "web" } } }] }),
  },
});

const webService = (spec: object = {}) => ({
  apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default" },
  spec: { type: "NodePort", ipFamilyPolicy: "PreferDualStack", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http", nodePort: NODE_PORT }], ...spec },
});

const client = (name: string, nodeName: string) => ({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { nodeName, terminationGracePeriodSeconds: 1, containers: [{ name: "sh", image: imageName }] } });

/** CoreDNS as clusters have it, but for where its program is from. It reaches the API server by the Service `kubernetes`. */
function dns(): object[] {
  const metadata = { name: "coredns", namespace: "kube-system" };
  const corefile = ".:53 {\n  errors\n  health :8181\n  ready :8182\n  kubernetes cluster.local in-addr.arpa ip6.arpa\n  cache 5\n}\n";
  const rights = [["", ["services", "pods", "namespaces", "endpoints"]], ["discovery.k8s.io", ["endpointslices"]]] as const;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "coredns" }, rules: rights.map(([group, resources]) => ({ apiGroups: [group], resources, verbs: ["list", "watch"] })) },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: "coredns" }, roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "coredns" }, subjects: [{ kind: "ServiceAccount", ...metadata }] },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: corefile } },
    {
      apiVersion: "apps/v1", kind: "Deployment", metadata,
      spec: {
        replicas: 2, selector: { matchLabels: { app: "coredns" } },
        template: pods({ app: "coredns" }, [{
          name: "coredns", image: imageName, command: ["/programs/coredns", "-conf", "/config/Corefile"], readinessProbe: { httpGet: { port: 8182, path: "/ready" }, periodSeconds: 1 },
          volumeMounts: [{ name: "programs", mountPath: "/programs", readOnly: true }, { name: "config", mountPath: "/config" }],
        }], { serviceAccountName: "coredns", dnsPolicy: "Default", volumes: [{ name: "programs", hostPath: { path: dirname(program("coredns")) } }, { name: "config", configMap: { name: "coredns" } }] }),
      },
    },
    { apiVersion: "v1", kind: "Service", metadata: { name: "kube-dns", namespace: "kube-system" }, spec: { clusterIP: dnsService, selector: { app: "coredns" }, ports: [{ name: "dns", port: 53, protocol: "UDP" }, { name: "dns-tcp", port: 53, protocol: "TCP" }] } },
  ];
}

const clusterIps = async () => list(await cluster.get("service", "web"), "spec", "clusterIPs").map((ip) => text(ip));
const urlOf = (ip: string, path: string) => `http://${ip.includes(":") ? `[${ip}]` : ip}/${path}`;

play("the API server answers pods at the address of the Service kubernetes", async () => {
  for (const pod of ["client-1", "client-2"]) expect(await inPod(pod, "wget -q -O - http://10.96.0.1:443/ 2>&1 || true")).toContain("400 Bad Request"); // it speaks TLS only, and says so
});

play("CoreDNS tells pods on both nodes the addresses of names", async () => {
  const [four = "", six = ""] = await clusterIps();
  for (const pod of ["client-1", "client-2"]) {
    const told = await inPod(pod, "busybox nslookup web.default.svc.cluster.local 2>&1");
    expect(told).toContain(four);
    expect(told).toContain(six);
  }
});

play("connections are spread over all endpoints, and each sees the pod's own address", async () => {
  for (const ip of await clusterIps()) {
    const out = await inPod("client-1", `for i in $(busybox seq 80); do wget -q -O - ${urlOf(ip, "name")}; done; wget -q -O - ${urlOf(ip, "cgi-bin/peer")}`);
    const names = out.trim().split("\n");
    const peer = names.pop() ?? "";
    expect(new Set(names).size).toBe(REPLICAS);
    expect(peer).toContain(ip.includes(":") ? "fd00:10:244:" : "10.244.");
  }
});

play("a node port is open on both nodes to who is outside; with the local policy he is seen as he is", async () => {
  const ips = cluster.workers.flatMap(({ addresses }) => addresses);
  const ask = (ip: string, path: string) => outside(urlOf(ip, path).replace(`/${path}`, `:${NODE_PORT}/${path}`));
  for (const ip of ips) expect(await ask(ip, "name")).toMatch(/^web-/);
  await apply(webService({ externalTrafficPolicy: "Local" }));
  for (const ip of ips) expect(await until(async () => (await ask(ip, "cgi-bin/peer")).includes(ip.includes(":") ? "fd50::1" : "192.168.50.1"))).toBe(true);
  await apply(webService({ externalTrafficPolicy: "Cluster" }));
});

play("a rolling update under constant requests fails none", async () => {
  const [ip = ""] = await clusterIps();
  const asking = ["client-1", "client-2"].map((pod) => inPod(pod, `n=0; while [ ! -e /run/stop ]; do n=$((n+1)); wget -q -O /dev/null ${urlOf(ip, "name")} || echo failed $n; done; echo asked $n`));
  await cluster.kubectl(["rollout", "restart", "deployment/web"]);
  await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=100s"], { timeoutMs: 110_000 });
  for (const pod of ["client-1", "client-2"]) await inPod(pod, "touch /run/stop");
  for (const out of await Promise.all(asking)) {
    expect(out).toMatch(/^asked \d{2,}\n$/);
    console.log(out.trim());
  }
});

play("a client with affinity meets one server, and others meet others", async () => {
  await apply(webService({ sessionAffinity: "ClientIP" }));
  const [ip = ""] = await clusterIps();
  const met = async (pod: string) => new Set((await inPod(pod, `for i in $(busybox seq 20); do wget -q -O - ${urlOf(ip, "name")}; done`)).trim().split("\n"));
  expect(await until(async () => (await met("client-1")).size === 1)).toBe(true);
  const first = await met("client-1");
  expect([await met("client-1"), (await met("client-2")).size]).toEqual([first, 1]);
});

play("a Service that is deleted is gone from both nodes, and its port is closed", async () => {
  const [ip = ""] = await clusterIps();
  await cluster.kubectl(["delete", "service", "web"]);
  for (const { node, addresses: [address = ""] } of cluster.workers) {
    expect(await until(async () => (await node.exec([vethwork, "service", "web"])).code === 1)).toBe(true);
    expect((await node.run(["nft", "list", "table", "inet", "vethwork-services"])).includes("default/web")).toBe(false);
    expect((await node.exec([vethwork, "explain", "10.244.9.9", ip, "80"])).out).toContain("is dropped: no service has this address");
    expect(await outside(`http://${address}:${NODE_PORT}/name`)).toBe("");
  }
});
