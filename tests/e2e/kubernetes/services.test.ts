/**
 * Services on a real Kubernetes without kube-proxy: the API server's own, names by CoreDNS, node ports from outside, a rolling update
 * under constant requests, affinity, pods that ask themselves, flows of UDP to a pod that is replaced, Services without pods, and that
 * nothing is left of what is deleted. The same plays hold for kube-proxy (proxies.ts).
 */
import { afterAll, beforeAll, expect } from "bun:test";
import { dirname } from "node:path";
import { WORLD } from "@vethwork/lab/plan.ts";
import { Netns, openSocket, parseIp, unless, type IpSocket } from "@vethwork/linux";
import { imageName } from "../../conformance/containerd/image.ts";
import { list, text } from "../../conformance/containerd/read.ts";
import { until } from "../../conformance/node/until.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { dnsService } from "./control.ts";
import { installNetwork, netnsWith } from "./network.ts";
import { lacks, program, vethwork } from "./programs.ts";
import { ours, proxy } from "./proxies.ts";
import { endCluster, play } from "./testing.ts";
import { podsOf } from "./workload.ts";

const REPLICAS = 6;
const NODE_PORT = 30_080;
const ALONE_PORT = 30_081;
const UDP_PORT = 5000;
let cluster: Cluster;

beforeAll(async () => {
  if (lacks !== "") return;
  cluster = await startCluster({ nodes: 2 });
  await installNetwork(cluster, proxy.agent);
  for (const worker of cluster.workers) await proxy.start(cluster, worker);
  await apply(...dns(), webDeployment(), webService(), ...alone(), client("client-1", "node-1"), client("client-2", "node-2"));
  await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=120s"], { timeoutMs: 130_000 });
  await cluster.kubectl(["rollout", "status", "--namespace=kube-system", "deployment/coredns", "--timeout=120s"], { timeoutMs: 130_000 });
  await cluster.kubectl(["rollout", "status", "deployment/alone", "--timeout=60s"], { timeoutMs: 70_000 });
  await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "pod/client-1", "pod/client-2"], { timeoutMs: 70_000 });
}, 300_000);

afterAll(() => endCluster(cluster), 60_000);

const apply = (...objects: readonly object[]) => cluster.kubectl(["apply", "--filename=-"], { stdin: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }) });
const inPod = (pod: string, script: string) => cluster.kubectl(["exec", pod, "--", "sh", "-c", script], { timeoutMs: 120_000 });
/** What somebody outside of the cluster gets; what he complains of has its place in `err`. */
const askOutside = (url: string) => cluster.control.exec(["ip", "netns", "exec", WORLD, "busybox", "timeout", "3", "busybox", "wget", "-q", "-O", "-", url]);
const outside = async (url: string) => (await askOutside(url)).out.trim();

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

/** One server, on the first node, that is a server of datagrams as well, and whose Service sends who is outside to a pod of the same node only. */
const alone = (): object[] => [
  {
    apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "alone" },
    spec: {
      replicas: 1, selector: { matchLabels: { app: "alone" } }, strategy: { type: "Recreate" },
      template: pods({ app: "alone" }, [{ name: "web", image: imageName, command: ["sh", "-c", "hostname >/www/name; exec httpd -f -p 8080 -h /www"], readinessProbe: { httpGet: { port: 8080, path: "/name" }, periodSeconds: 1 } }], { nodeName: "node-1" }),
    },
  },
  {
    apiVersion: "v1", kind: "Service", metadata: { name: "alone", namespace: "default" },
    spec: {
      type: "NodePort", externalTrafficPolicy: "Local", ipFamilyPolicy: "PreferDualStack", selector: { app: "alone" },
      ports: [{ name: "http", port: 80, targetPort: 8080, nodePort: ALONE_PORT }, { name: "udp", protocol: "UDP", port: UDP_PORT, targetPort: UDP_PORT }],
    },
  },
];

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

const clusterIps = async (service = "web") => list(await cluster.get("service", service), "spec", "clusterIPs").map((ip) => text(ip));
const urlOf = (ip: string, path: string) => `http://${ip.includes(":") ? `[${ip}]` : ip}/${path}`;

play("the API server answers pods at the address of the Service kubernetes", async () => {
  for (const pod of ["client-1", "client-2"]) expect(await inPod(pod, "wget -q -O - http://10.96.0.1:443/ 2>&1 || true")).toContain("400 Bad Request"); // it speaks TLS only, and says so
});

play("CoreDNS tells pods on both nodes the addresses of names", async () => {
  const [four = "", six = ""] = await clusterIps();
  for (const pod of ["client-1", "client-2"]) {
    let told = "";
    const asks = async (): Promise<boolean> => (told = await inPod(pod, "busybox nslookup web.default.svc.cluster.local 2>&1 || true")).includes(four) && told.includes(six);
    expect((await until(asks, 20_000)) || told).toBe(true); // CoreDNS hears of a Service after it is ready
  }
});

play("connections are spread over all endpoints, and each sees the pod's own address", async () => {
  for (const ip of await clusterIps()) {
    const names = async () => new Set((await inPod("client-1", `for i in $(busybox seq 80); do wget -q -O - ${urlOf(ip, "name")}; done`)).trim().split("\n"));
    expect(await until(async () => (await names()).size === REPLICAS)).toBe(true); // a pod that is ready may be news to this node yet
    expect(await inPod("client-1", `wget -q -O - ${urlOf(ip, "cgi-bin/peer")}`)).toContain(ip.includes(":") ? "fd00:10:244:" : "10.244.");
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

play("a rolling update under constant requests, of pods in both families and from outside, fails none", async () => {
  const [four = "", six = ""] = await clusterIps();
  const asking = (url: string) => `n=0; while [ ! -e /run/stop ]; do n=$((n+1)); busybox wget -q -O /dev/null ${url} || echo failed $n; done; echo asked $n`;
  const door = `http://${cluster.workers[0]?.addresses[0]}:${NODE_PORT}/name`;
  const world = (script: string) => cluster.control.run(["ip", "netns", "exec", WORLD, "sh", "-c", script], { timeoutMs: 120_000 });
  const askers = [inPod("client-1", asking(urlOf(four, "name"))), inPod("client-2", asking(urlOf(six, "name"))), world(asking(door))];
  await cluster.kubectl(["rollout", "restart", "deployment/web"]);
  await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=100s"], { timeoutMs: 110_000 });
  expect(await until(async () => (await podsOf(cluster, "web")).length === REPLICAS, 60_000)).toBe(true); // those that end have ended
  const stop = "touch /run/stop";
  await Promise.all([inPod("client-1", stop), inPod("client-2", stop), world(stop)]);
  for (const out of await Promise.all(askers)) {
    expect(out).toMatch(/^asked \d{2,}\n$/);
    console.log(`# ${out.trim()} while all pods were replaced`);
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

play("a port of the local policy is dead on a node without a pod, and a pod's way to it is not limited", async () => {
  for (const { name, addresses } of cluster.workers) {
    for (const ip of addresses) {
      const url = urlOf(ip, "cgi-bin/peer").replace("/cgi", `:${ALONE_PORT}/cgi`);
      const { code, out, err } = await askOutside(url);
      if (name === "node-1") expect(out).toContain(ip.includes(":") ? "fd50::1" : "192.168.50.1");
      else expect({ code, out, err }).toEqual({ code: 143, out: "", err: "" }); // nobody answers, not even by a refusal
      expect(await inPod("client-2", `wget -q -O - ${url}`)).not.toBe("");
    }
  }
});

play("a pod reaches itself by its Service", async () => {
  const [pod] = await podsOf(cluster, "alone");
  for (const ip of await clusterIps("alone")) expect(await inPod(pod?.name ?? "", `wget -q -O - ${urlOf(ip, "name")}`)).toBe(`${pod?.name}\n`);
});

play("a flow of UDP that goes on while its pod is replaced goes to the new one", async () => {
  const worker = (name: string) => cluster.workers.find((one) => one.name === name) ?? expect.unreachable();
  const clientIps = list(await cluster.get("pod", "client-2"), "status", "podIPs").map((entry) => text(entry, "ip"));
  using all = new DisposableStack();
  const within = async (node: string, ip: string | undefined) => all.use(Netns.open(await netnsWith(worker(node), ip)));
  const serve = async (): Promise<IpSocket[]> => {
    const [pod] = await podsOf(cluster, "alone");
    const netns = await within("node-1", pod?.ips[0]);
    return (pod?.ips ?? []).map((ip) => {
      const server = all.use(openSocket(netns, { kind: "udp", family: parseIp(ip).family }));
      server.bind(parseIp(ip), UDP_PORT);
      return server;
    });
  };
  const asker = await within("node-2", clientIps[0]);
  const clients = (await clusterIps("alone")).map((ip) => {
    const socket = all.use(openSocket(asker, { kind: "udp", family: parseIp(ip).family }));
    socket.connect({ ip: parseIp(ip), port: UDP_PORT });
    return socket;
  });
  const send = () => clients.forEach((one) => unless(["ECONNREFUSED", "EHOSTUNREACH"], () => one.send(new Uint8Array(1)))); // told of the packet before
  const arrivesAt = (servers: readonly IpSocket[]) => until(() => (send(), servers.length === 2 && servers.every((one) => one.wait("in", 0))));
  expect(await arrivesAt(await serve())).toBe(true);
  const sending = setInterval(send, 50);
  all.defer(() => clearInterval(sending));
  await cluster.kubectl(["delete", "pod", "--selector=app=alone"], { timeoutMs: 60_000 });
  await cluster.kubectl(["rollout", "status", "deployment/alone", "--timeout=60s"], { timeoutMs: 70_000 });
  expect(await arrivesAt(await serve())).toBe(true);
});

play("without pods a Service refuses at once, to pods, nodes and who is outside, and with pods it is there again", async () => {
  await cluster.kubectl(["scale", "deployment/web", "--replicas=0"]);
  await cluster.kubectl(["wait", "--for=delete", "pod", "--selector=app=web", "--timeout=60s"], { timeoutMs: 70_000 });
  const refuses = (what: string) => what.includes("Connection refused");
  for (const ip of await clusterIps()) {
    const ask = `busybox timeout 2 wget -q -O - ${urlOf(ip, "name")} 2>&1 || true`;
    for (const pod of ["client-1", "client-2"]) expect(await until(async () => refuses(await inPod(pod, ask)))).toBe(true);
    for (const { node } of cluster.workers) expect(refuses(await node.run(["sh", "-c", ask.replace("wget", "busybox wget")]))).toBe(true);
  }
  for (const ip of cluster.workers.flatMap(({ addresses }) => addresses)) expect(refuses((await askOutside(urlOf(ip, "name").replace("/name", `:${NODE_PORT}/name`))).err)).toBe(true);
  await cluster.kubectl(["scale", "deployment/web", "--replicas=2"]);
  await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"], { timeoutMs: 70_000 });
  for (const ip of await clusterIps()) expect(await until(async () => (await inPod("client-2", `wget -q -O - ${urlOf(ip, "name")} || true`)).startsWith("web-"))).toBe(true);
});

play("a Service that is deleted is gone from both nodes, and its port is closed", async () => {
  const [ip = ""] = await clusterIps();
  await cluster.kubectl(["delete", "service", "web"]);
  for (const { node, addresses: [address = ""] } of cluster.workers) {
    expect(await until(async () => (await node.run(["nft", "list", "ruleset"])).includes("default/web") === false)).toBe(true);
    expect(await outside(`http://${address}:${NODE_PORT}/name`)).toBe("");
    if (proxy !== ours) continue;
    expect((await node.exec([vethwork, "service", "web"])).code).toBe(1);
    expect((await node.exec([vethwork, "explain", "10.244.9.9", ip, "80"])).out).toContain("is dropped: no service has this address");
  }
});
