/**
 * A lab: a cluster on one machine, to look at and to play with.
 *
 *      node-1                           node-2                          world
 *    ┌───────────────────────────┐    ┌───────────────────────────┐   ┌───────────────┐
 *    │ pod-1          pod-2      │    │ pod-3          pod-4      │   │ 203.0.113.1   │
 *    │ 10.244.1.2     10.244.1.3 │    │ 10.244.2.2     10.244.2.3 │   │               │
 *    │     └─── route ──┘        │    │     └─── route ──┘        │   │               │
 *    │  eth0 192.168.50.11       │    │  eth0 192.168.50.12       │   │ 192.168.50.1  │
 *    └────────────┼──────────────┘    └────────────┼──────────────┘   └───────┼───────┘
 *                 └────────────────────────────────┴──── lan ─────────────────┘
 *
 * Machines are namespaces (./machine.ts), the wire is a bridge or a router (./wires.ts), pods are attached by the real plugin
 * (./runtime.ts), and each node has the agent that a real one has (./agent.ts).
 * Whether packets get through is ./check.ts's question.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { find, isObject, parseJson } from "@vethwork/cni";
import { parseIp, unless, type Family, type Ip } from "@vethwork/linux";
import { LabFailure } from "./failure.ts";
import { startAgent, untilReady, writeCluster } from "./agent.ts";
import { fileIn, findMachines, openNetwork, startMachine, stopMachines, type Machine } from "./machine.ts";
import { WORLD, planNodes, worldAddress, type LabSize, type NodePlan } from "./plan.ts";
import { install, runtimeOf } from "./runtime.ts";
import { layLan, plugIn } from "./wires.ts";

export interface Lab {
  name: string;
  size: LabSize;
  world: Machine;
  nodes: LabNode[];
}

export interface LabNode extends NodePlan {
  machine: Machine;
}

export interface LabPod {
  name: string;
  node: string;
  addresses: Ip[];
  /** The pod's interface and the other end of its cable, on the node. */
  link: string;
  hostEnd: string;
}

/** What was made, as soon as it is there. */
export type Event =
  | { what: "world"; addresses: Ip[]; tookMs: number }
  | { what: "agent"; name: string; podMtu: number; ways: string[]; tookMs: number }
  | { what: "node"; name: string; addresses: Ip[]; podSubnets: NodePlan["podSubnets"]; tookMs: number }
  | ({ what: "pod"; tookMs: number } & LabPod);

export interface LabOptions {
  name: string;
  size: LabSize;
  /** The built program: what is linked into each node's /opt/cni/bin. */
  program: string;
  /** Stops the making; what was made until then goes. */
  signal?: AbortSignal | undefined;
  onEvent?: (event: Event) => void;
}

/** Where the size stands, in the world's own memory: it goes when the lab goes. */
const SIZE_FILE = "/run/lab.json";

/** Makes a lab. When that fails or is stopped, nothing is left of it. LabFailure where there is one of that name. */
export async function startLab({ name, size, program, signal, onEvent = () => {} }: LabOptions): Promise<Lab> {
  const plans = planNodes(size);
  if (findMachines(name).length > 0) throw new LabFailure(`Cannot start lab "${name}": it is up already ("vethwork lab down" takes it down)`);
  try {
    const lab = await startMachines({ name, size, program, signal, onEvent }, plans);
    await connectNodes(lab.nodes, { signal, onEvent });
    for (const node of lab.nodes) {
      const runtime = runtimeOf(node.machine);
      for (const pod of node.pods) {
        signal?.throwIfAborted();
        const { addMs } = await runtime.addPod(pod);
        onEvent({ what: "pod", tookMs: addMs, ...(await getPod(node, pod)) });
      }
    }
    return lab;
  } catch (error) {
    await stopMachines(findMachines(name));
    throw error;
  }
}

type Making = LabOptions & Required<Pick<LabOptions, "onEvent">>;

async function startMachines({ name, size, program, signal, onEvent }: Making, plans: readonly NodePlan[]): Promise<Lab> {
  const begun = performance.now();
  const world = await startMachine({ lab: name, name: WORLD });
  using outside = openNetwork(world);
  layLan(outside, size.families, size.links);
  writeFileSync(fileIn(world, SIZE_FILE), JSON.stringify(size));
  onEvent({ what: "world", addresses: size.families.map(worldAddress), tookMs: performance.now() - begun });

  const nodes: LabNode[] = [];
  for (const plan of plans) {
    signal?.throwIfAborted();
    const begunNode = performance.now();
    const machine = await startMachine({ lab: name, name: plan.name });
    using inside = openNetwork(machine);
    plugIn(outside, inside, plan, size.links);
    install(machine, program);
    nodes.push({ ...plan, machine });
    onEvent({ what: "node", ...plan, tookMs: performance.now() - begunNode });
  }
  return { name, size, world, nodes };
}

/** Tells each node of the others, and has its agent make the way to them. All begin before any is waited for. */
async function connectNodes(nodes: readonly LabNode[], { signal, onEvent }: Pick<Making, "signal" | "onEvent">): Promise<void> {
  const begun = performance.now();
  for (const node of nodes) {
    writeCluster(node.machine, nodes);
    await startAgent(node.machine, node);
  }
  for (const { name, machine } of nodes) {
    const { podMtu, peers } = await untilReady(machine, signal);
    onEvent({ what: "agent", name, podMtu, ways: peers.map(({ way }) => way), tookMs: performance.now() - begun });
  }
}

/** The lab of that name; undefined where none of its machines runs. LabFailure where only a part of it is there. */
export function findLab(name: string): Lab | undefined {
  const machines = findMachines(name);
  if (machines.length === 0) return undefined;
  const broken = (what: string): LabFailure => new LabFailure(`Lab "${name}" is not whole: ${what} ("vethwork lab down" takes away what is left)`);
  const world = machines.find((machine) => machine.name === WORLD);
  const size = world && unless(["ENOENT"], () => readFileSync(fileIn(world, SIZE_FILE), "utf8"));
  if (!world || size === undefined) throw broken("its world is missing");
  const parsed = sizeFrom(size);
  const nodes = planNodes(parsed).map((plan): LabNode => {
    const machine = machines.find((one) => one.name === plan.name);
    if (!machine) throw broken(`${plan.name} is missing`);
    return { ...plan, machine };
  });
  return { name, size: parsed, world, nodes };
}

/** As findLab; LabFailure where there is none. */
export function getLab(name: string): Lab {
  const lab = findLab(name);
  if (lab) return lab;
  throw new LabFailure(`There is no lab "${name}" ("vethwork lab up" makes one)`);
}

/** Takes a lab down, also what is left of one; gives the number of machines that went. */
export async function stopLab(name: string): Promise<number> {
  const machines = findMachines(name);
  await stopMachines(machines);
  return machines.length;
}

/** The pods that a node's runtime knows of, as their ADD left them. */
export async function listPods(node: LabNode): Promise<LabPod[]> {
  const names = await runtimeOf(node.machine).list();
  return Promise.all(names.map((name) => getPod(node, name)));
}

async function getPod(node: LabNode, name: string): Promise<LabPod> {
  const result = await runtimeOf(node.machine).find(name);
  if (!result) throw new LabFailure(`There is no pod "${name}" on ${node.name}`);
  const [hostEnd, inside] = result.interfaces ?? [];
  const addresses = (result.ips ?? []).map(({ address }) => parseIp(address.slice(0, address.indexOf("/"))));
  return { name, node: node.name, addresses, link: inside?.name ?? "", hostEnd: hostEnd?.name ?? "" };
}

function sizeFrom(text: string): LabSize {
  const size = parseJson(text);
  if (!isObject(size)) throw new TypeError(`Cannot read "${SIZE_FILE}" of the world: ${text} (an object is wanted)`);
  const families = find(size, "families");
  const links = find(size, "links");
  const isFamily = (one: unknown): one is Family => one === 4 || one === 6;
  return {
    nodes: Number(find(size, "nodes")),
    pods: Number(find(size, "pods")),
    families: Array.isArray(families) ? families.filter(isFamily) : [],
    links: links === "l3" ? "l3" : "l2",
  };
}
