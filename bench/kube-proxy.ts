/**
 * npm run bench:kube-proxy: our agent and kube-proxy, each alone with the same objects of a real API server.
 *
 *   bun bench/kube-proxy.ts [--services 1000,10000] [--json]
 *
 * A cluster of one node (tests/e2e/kubernetes) gets so many Services of two endpoints each. On the node one after the other is started:
 * told are from its start until the kernel has all of them, from one Service more (the API server has answered) until the kernel has it,
 * from one endpoint less until it is sent nothing, how long a connection takes to be there, and resident memory. kube-proxy is the
 * pinned Kubernetes' own, in nftables mode, with its defaults: it waits up to a second between two passes, as it would in a cluster.
 *
 *     client ── node-1 ── server        of one Service more, which is asked: namespaces, like the node
 */
import { parseArgs } from "node:util";
import { Netns, isErrno, openSocket, parseIp, type IpSocket, type NftSet } from "@vethwork/linux";
import { forward, plugPod } from "@vethwork/agent/datapath/testing/cluster.ts";
import { identityFromFile } from "@vethwork/agent/sources/kubeconfig.ts";
import { setsOf } from "@vethwork/agent/services/table.ts";
import { startCluster, type Cluster } from "../tests/e2e/kubernetes/cluster.ts";
import { lacks, program, vethwork } from "../tests/e2e/kubernetes/programs.ts";
import { startDaemon } from "../tests/conformance/node/daemon.ts";
import { until } from "../tests/conformance/node/until.ts";
import { quantile } from "./figures.ts";

interface Subject {
  name: "vethwork agent" | "kube-proxy";
  argv: string[];
  /** Where its Services are in the kernel. */
  map: NftSet;
}

interface Row {
  who: Subject["name"];
  services: number;
  measure: "cold start" | "one service more" | "one endpoint less" | "connection, p50" | "connection, p99" | "resident memory";
  value: number;
  unit: "ms" | "µs" | "MiB";
}

const ipAt = (at: number): string => `10.96.${1 + (at >> 8)}.${at & 255}`;
const MORE = 5;
const AT_ONCE = 40;

const serviceAt = (at: number) => ({ apiVersion: "v1", kind: "Service", metadata: { name: `service-${at}` }, spec: { clusterIP: ipAt(at), ports: [{ name: "http", port: 80, targetPort: 8080 }] } });
const sliceAt = (at: number) => ({
  apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4", metadata: { name: `service-${at}-a`, labels: { "kubernetes.io/service-name": `service-${at}` } },
  ports: [{ name: "http", port: 8080 }], endpoints: [1, 2].map((number) => ({ addresses: [`10.${128 + (at >> 12)}.${(at >> 4) & 255}.${((at & 15) << 4) + number}`], conditions: { ready: true } })),
});

/** The Service that is asked. It has one server, or none. */
const PROBE = 0;
const PROBE_SERVER = parseIp("10.244.0.202");
const CONNECTIONS = 3000;
const probeSlice = (isThere: boolean) => ({ ...sliceAt(PROBE), endpoints: isThere ? [{ addresses: [String(PROBE_SERVER)], conditions: { ready: true } }] : [] });

/** Inside the cluster's network: asks the API server for something. */
async function client(kubeconfig: string): Promise<(method: "POST" | "PUT", path: string, object: object) => Promise<void>> {
  const identity = identityFromFile(kubeconfig);
  const { headers, tls } = await identity.credentials();
  return async (method, path, object) => {
    const request = { method, body: JSON.stringify(object), signal: AbortSignal.timeout(60_000) };
    const response = await fetch(`${identity.server}${path}`, { ...request, tls, headers: { ...headers, "content-type": "application/json" } });
    if (!response.ok) throw new RangeError(`Cannot make an object: ${await response.text()}`);
    await response.body?.cancel();
  };
}

const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/** Inside the cluster's network: makes Services from one number to another; says when each is there. */
async function fill(kubeconfig: string, from: number, to: number): Promise<void> {
  let next = from;
  const ask = await client(kubeconfig);
  const work = async (): Promise<void> => {
    for (let at = next++; at <= to; at = next++) {
      await ask("POST", SLICES, at === PROBE ? probeSlice(true) : sliceAt(at));
      await ask("POST", "/api/v1/namespaces/default/services", serviceAt(at));
      process.stdout.write(`${at} ${Date.now()}\n`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function subjectsOf({ admin }: Cluster): Subject[] {
  return [
    { name: "vethwork agent", argv: [vethwork, "agent", "--kubeconfig", admin, "--node", "node-1", "--no-cni", "--services", "on", "--log-level", "warning"], map: setsOf(4).services },
    {
      name: "kube-proxy", map: { table: { family: "ip", name: "kube-proxy" }, name: "service-ips", key: ["ipv4_addr", "inet_proto", "inet_service"], value: "verdict" },
      argv: [program("kube-proxy"), `--kubeconfig=${admin}`, "--proxy-mode=nftables", "--hostname-override=node-1", "--cluster-cidr=10.244.0.0/16", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"],
    },
  ];
}

/** Fills the cluster further; gives when each Service was there, by the clock. */
async function fillTo(cluster: Cluster, from: number, to: number): Promise<Map<number, number>> {
  const out = await cluster.control.run([process.execPath, import.meta.path, "--fill", `${from}-${to}`, "--kubeconfig", cluster.admin], { timeoutMs: 1_800_000 });
  return new Map(out.trim().split("\n").map((line) => line.split(" ").map(Number)).map(([at = 0, when = 0]) => [at, when]));
}

/** Gives the asked Service its server, or takes it away; gives when the API server had done so, by the clock. */
async function setProbe(cluster: Cluster, isThere: boolean): Promise<number> {
  return Number(await cluster.control.run([process.execPath, import.meta.path, "--probe", isThere ? "there" : "gone", "--kubeconfig", cluster.admin]));
}

interface Probe extends Disposable {
  /** Microseconds until a connection is there; "refused", or "silent" for a tenth of a second. */
  connect(): number | "refused" | "silent";
}

/** A client and a server, each a namespace on a cable to the node. */
function createProbe(node: Netns): Probe {
  using all = new DisposableStack();
  const [from, to] = [all.use(Netns.create()), all.use(Netns.create())];
  forward(node);
  plugPod(node, from, { name: "probe-client", ips: [parseIp("10.244.0.201")] });
  plugPod(node, to, { name: "probe-server", ips: [PROBE_SERVER] });
  const server = all.use(openSocket(to, { kind: "tcp", family: 4 }));
  server.bind(PROBE_SERVER, 8080);
  server.listen();
  const connect = (): ReturnType<Probe["connect"]> => {
    using socket = openSocket(from, { kind: "tcp", family: 4 });
    const begun = Bun.nanoseconds();
    socket.connect({ ip: parseIp(ipAt(PROBE)), port: 80 });
    if (!socket.wait("out", 100)) return "silent";
    const took = (Bun.nanoseconds() - begun) / 1000;
    if (isRefused(socket)) return "refused";
    if (server.wait("in", 1000)) server.accept().socket[Symbol.dispose]();
    return took;
  };
  const life = all.move();
  return { connect, [Symbol.dispose]: () => life.dispose() };
}

function isRefused(socket: IpSocket): boolean {
  try {
    return !socket.established();
  } catch (error) {
    if (isErrno(error, "ECONNREFUSED")) return true;
    throw error;
  }
}

/** Milliseconds from the API server's answer until nothing is sent to an endpoint that is gone, some times. */
async function lessTimes(cluster: Cluster, probe: Probe): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < MORE; round++) {
    const gone = setProbe(cluster, false);
    let seen = 0;
    while (seen === 0) {
      if (probe.connect() === "refused") seen = Date.now();
      else await Bun.sleep(2);
    }
    times.push(Math.max(0, seen - (await gone)));
    await setProbe(cluster, true);
    if (!(await until(() => typeof probe.connect() === "number", 120_000))) throw new RangeError("the endpoint is not asked again");
    await Bun.sleep(1500); // else the pass before is still waited for
  }
  return times;
}

async function measure(cluster: Cluster, { name, argv, map }: Subject, services: number, first: number): Promise<Row[]> {
  const [worker] = cluster.workers;
  if (!worker) throw new RangeError("there is no node");
  using netns = Netns.open(`/proc/${worker.node.pid}/ns/net`);
  const has = (at: number): boolean => netns.nft.findElement(map, [parseIp(ipAt(at)), "tcp", 80]) !== undefined;
  const some = Array.from({ length: 50 }, (_, index) => 1 + Math.floor((index * (services - 1)) / 49));
  const begun = performance.now();
  const daemon = await startDaemon(worker.node, { name: name.replace(" ", "-"), argv, answers: () => Promise.resolve(true) });
  if (!(await until(() => some.every(has), 600_000))) throw new RangeError(`${name} has not written ${services} services within ten minutes`);
  const cold = performance.now() - begun;
  const more: number[] = [];
  for (let at = first; at < first + MORE; at++) {
    const made = fillTo(cluster, at, at);
    let seen = 0;
    while (seen === 0) {
      if (has(at)) seen = Date.now();
      else await Bun.sleep(2);
    }
    more.push(Math.max(0, seen - ((await made).get(at) ?? seen)));
    await Bun.sleep(1500); // else the pass before is still waited for
  }
  using probe = createProbe(netns);
  if (!(await until(() => typeof probe.connect() === "number", 120_000))) throw new RangeError(`${name} leads to no server`);
  const took = Array.from({ length: CONNECTIONS }, () => probe.connect()).filter((one) => typeof one === "number");
  if (took.length < CONNECTIONS) throw new RangeError(`${name}: ${CONNECTIONS - took.length} connections of ${CONNECTIONS} failed`);
  const less = await lessTimes(cluster, probe);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(await worker.node.run(["sh", "-c", `cat /proc/$(pgrep --full --oldest "^${argv[0]}")/status`]))?.[1] ?? NaN) / 1024;
  await daemon.kill();
  await worker.node.run(["sh", "-c", "nft delete table ip kube-proxy; nft delete table ip6 kube-proxy; nft delete table inet vethwork-services; true"]);
  const row = (what: Row["measure"], value: number, unit: Row["unit"]): Row => ({ who: name, services, measure: what, value, unit });
  return [
    row("cold start", cold, "ms"), row("one service more", quantile(more, 0.5), "ms"), row("one endpoint less", quantile(less, 0.5), "ms"),
    row("connection, p50", quantile(took, 0.5), "µs"), row("connection, p99", quantile(took, 0.99), "µs"), row("resident memory", rss, "MiB"),
  ];
}

const tableOf = (rows: readonly Row[]): string =>
  rows.map(({ who, services, measure: what, value, unit }) => `${String(services).padStart(6)} services  ${who.padEnd(14)}  ${what.padEnd(18)} ${value.toFixed(0).padStart(8)} ${unit}\n`).join("");

const { values } = parseArgs({ options: { services: { type: "string", default: "1000,10000" }, json: { type: "boolean" }, fill: { type: "string" }, probe: { type: "string" }, kubeconfig: { type: "string" } } });
if (values.probe !== undefined) {
  await (await client(values.kubeconfig ?? ""))("PUT", `${SLICES}/${sliceAt(PROBE).metadata.name}`, probeSlice(values.probe === "there"));
  process.stdout.write(`${Date.now()}\n`);
} else if (values.fill !== undefined) {
  const [from = 1, to = 1] = values.fill.split("-").map(Number);
  await fill(values.kubeconfig ?? "", from, to);
} else {
  const counts = values.services.split(",").map(Number);
  if (lacks !== "" || !counts.every((count) => Number.isInteger(count) && count > 0 && count <= 50_000)) {
    process.stderr.write(`bench: ${lacks || "whole numbers of --services up to 50000 are wanted"}\n`);
    process.exit(2);
  }
  await using cluster = await startCluster({ nodes: 1 });
  const rows: Row[] = [];
  await fillTo(cluster, PROBE, PROBE);
  let there = 0;
  for (const services of counts.toSorted((a, b) => a - b)) {
    const begun = performance.now();
    await fillTo(cluster, there + 1, services);
    process.stderr.write(`bench: the API server has ${services} services; the last ${services - there} took ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
    there = services;
    for (const subject of subjectsOf(cluster)) {
      const measured = await measure(cluster, subject, services, there + 1);
      if (!values.json) process.stdout.write(tableOf(measured));
      rows.push(...measured);
      there += MORE;
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
}
