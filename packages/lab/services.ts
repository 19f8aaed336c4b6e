/**
 * Services of a lab: what Kubernetes' controllers would do for them.
 *
 *     a file of Services ──▶ world: what was asked for ──▶ an address for each, EndpointSlices of the pods that it selects
 *                                                             └──▶ each node's /etc/vethwork/cluster/services.yaml ──▶ its agent
 *
 * A lab's pods have two labels, `name` and `node`; a Service without a selector has none of them behind it. Slices are
 * written with each `vethwork lab apply`: a pod that somebody adds by hand is in them with the next one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject } from "@vethwork/cni";
import { SOURCE_IS_NEW } from "@vethwork/agent/agent.ts";
import { eachAt, listAt, numberAt, objectAt, textAt } from "@vethwork/agent/readers/reading.ts";
import { SERVICE_NAME } from "@vethwork/agent/readers/endpoint-slice.ts";
import { documentsIn } from "@vethwork/agent/sources/documents.ts";
import { unless, type Family } from "@vethwork/linux";
import { CLUSTER, findStatus, writeObjects } from "./agent.ts";
import { LabFailure } from "./failure.ts";
import { listPods, type Lab, type LabPod } from "./lab.ts";
import { fileIn, type Machine } from "./machine.ts";

const PATIENCE_MS = 2_000;
const SERVICES = "services.yaml";
const serviceSubnet = (family: Family): string => (family === 4 ? "10.96.0.0/16" : "fd00:10:96::/112");
/** The first address is the API server's in a cluster that has one. */
const FIRST = 10;

/** Takes Services in, beside those that there are; gives the names of all. LabFailure where the text is of something else. */
export async function applyServices(lab: Lab, text: string): Promise<string[]> {
  const wanted = new Map(storedIn(lab).map((service) => [nameOf(service), service]));
  for (const document of documentsIn(text)) {
    if ("problem" in document) throw new LabFailure(`Cannot read Services: ${document.problem}`);
    const { line, value } = document;
    if (!isObject(value) || value["kind"] !== "Service" || nameOf(value) === "") throw new LabFailure(`Cannot take in what stands at line ${line}: it is no Service with a name`);
    wanted.set(nameOf(value), value);
  }
  writeObjects(lab.world, SERVICES, withAddresses([...wanted.values()], lab.size.families));
  await keepSlices(lab);
  return [...wanted.keys()];
}

/** Tells each node's agent the Services, and which of the pods that there are now are behind them. */
export async function keepSlices(lab: Lab): Promise<void> {
  const pods = (await Promise.all(lab.nodes.map(listPods))).flat();
  const services = storedIn(lab);
  const cidrs = { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: { name: "kubernetes" }, spec: { cidrs: lab.size.families.map(serviceSubnet) } };
  const objects = [cidrs, ...services, ...services.flatMap((service) => lab.size.families.flatMap((family) => sliceOf(service, { pods, family })))];
  await Promise.all(lab.nodes.map(async ({ machine }) => {
    const since = new Date().toISOString();
    writeObjects(machine, SERVICES, objects);
    await untilTaken(machine, since);
  }));
}

/** Waits until the node's agent has looked at its source since then. Where nothing is new for it, or there is no agent, that is not for ever. */
async function untilTaken(machine: Machine, since: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const told = findStatus(machine);
    if (!told || (told.lastPass && told.lastPass.at > since && told.lastPass.why.includes(SOURCE_IS_NEW))) return;
    await Bun.sleep(5);
  }
}

const storedIn = ({ world }: Lab): JsonObject[] =>
  documentsIn(unless(["ENOENT"], () => readFileSync(fileIn(world, join(CLUSTER, SERVICES)), "utf8")) ?? "").flatMap((document) => ("value" in document && isObject(document.value) ? [document.value] : []));

const nameOf = (service: JsonObject): string => textAt(service, "metadata", "name");

/** The next free addresses for those that have none and want one. */
function withAddresses(services: readonly JsonObject[], families: readonly Family[]): JsonObject[] {
  const taken = new Set(services.flatMap((service) => listAt(service, "spec", "clusterIPs").map(String)));
  let number = FIRST;
  const next = (): string[] => {
    const ips = families.map((family) => serviceSubnet(family).replace(/0\.0\/16$|\/112$/, family === 4 ? `0.${number}` : number.toString(16)));
    number += 1;
    return ips.some((ip) => taken.has(ip)) ? next() : ips;
  };
  return services.map((service): JsonObject => {
    const spec = objectAt(service, "spec");
    const isLeft = spec["clusterIPs"] !== undefined || spec["clusterIP"] !== undefined || spec["type"] === "ExternalName";
    return isLeft ? service : { ...service, spec: { ...spec, clusterIPs: next() } };
  });
}

function sliceOf(service: JsonObject, { pods, family }: { pods: readonly LabPod[]; family: Family }): object[] {
  const selector = Object.entries(objectAt(service, "spec", "selector"));
  const chosen = pods.filter(({ name, node }) => selector.length > 0 && selector.every(([key, value]) => (key === "name" && value === name) || (key === "node" && value === node)));
  const endpoints = chosen.flatMap(({ name, node, addresses }) => addresses.filter((ip) => ip.family === family).map((ip) => ({
    addresses: [String(ip)], nodeName: node, targetRef: { kind: "Pod", name }, conditions: { ready: true, serving: true, terminating: false },
  })));
  const ports = eachAt(service, ["spec", "ports"], (port) => ({ name: textAt(port, "name"), protocol: textAt(port, "protocol") || "TCP", port: numberAt(port, ["targetPort"], { absent: numberAt(port, ["port"], { most: 65_535 }), most: 65_535 }) }));
  return [{
    apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: `IPv${family}`, ports, endpoints,
    metadata: { name: `${nameOf(service)}-ipv${family}`, labels: { [SERVICE_NAME]: nameOf(service) } },
  }];
}
