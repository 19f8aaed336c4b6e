/**
 * The agent of a lab's node: the real one, as a process of the node, that knows the cluster from a folder of YAML.
 *
 *     /etc/vethwork/cluster/nodes.yaml ──▶ vethwork agent ──▶ routes, tunnels, masquerade, /etc/cni/net.d/10-lab.conflist
 *                                              └──▶ /run/vethwork-agent.log; vethwork status
 *
 * Each node has a copy of the file: what one is told, and the others are not, is one of the things to try.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NoAgent, askAgent, type ToldStatus } from "@vethwork/agent/ask.ts";
import { DEFAULT_RUN_FOLDER, socketIn } from "@vethwork/agent/place.ts";
import { LabFailure } from "./failure.ts";
import { fileIn, outputOf, type Machine } from "./machine.ts";
import { NETWORK_NAME, nodeObjects, podNetwork, type NodePlan } from "./plan.ts";
import { BIN } from "./runtime.ts";

export const CLUSTER = "/etc/vethwork/cluster";
const LOG = "/run/vethwork-agent.log";
const PATIENCE_MS = 30_000;

/** Writes down which nodes there are, for one node's agent. */
export function writeCluster(node: Machine, nodes: readonly NodePlan[]): void {
  writeObjects(node, "nodes.yaml", nodeObjects(nodes));
}

/** Writes a file of the cluster's folder on a machine. */
export function writeObjects(machine: Machine, file: string, objects: readonly object[]): void {
  mkdirSync(fileIn(machine, CLUSTER), { recursive: true });
  writeFileSync(fileIn(machine, join(CLUSTER, file)), objects.map((object) => `${JSON.stringify(object, undefined, 2)}\n`).join("---\n"));
}

/** Starts the agent, which outlives this command; does not wait for it. */
export async function startAgent(machine: Machine, { name, podSubnets }: NodePlan, more: readonly string[] = []): Promise<void> {
  const subnets = podSubnets.flatMap(({ family }) => ["--cluster-subnet", String(podNetwork(family))]);
  const agent = [join(BIN, "vethwork"), "agent", "--source", CLUSTER, "--node", name, "--network", NETWORK_NAME, ...subnets, ...more];
  await outputOf(machine, ["sh", "-c", 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null &', "sh", LOG, ...agent]);
}

/** Kills a node's agent, as the kernel would for want of memory. What it made stays. */
export async function killAgent(machine: Machine): Promise<void> {
  const pid = findStatus(machine)?.pid;
  if (pid !== undefined) await outputOf(machine, ["kill", "-9", String(pid)]);
}

/** Waits until the agent says that pods can be added. LabFailure with its last words where it does not. */
export async function untilReady(machine: Machine, signal?: AbortSignal): Promise<ToldStatus> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    signal?.throwIfAborted();
    const told = findStatus(machine);
    if (told?.isReady) return told;
    // The shell has started it, so a log without an agent is one that has ended.
    const ended = told === undefined && performance.now() > deadline - PATIENCE_MS + 500 && !(await isRunning(machine));
    if (ended || performance.now() > deadline) throw new LabFailure(`The agent of ${machine.name} ${ended ? "has ended" : `is not ready: it waits for ${told?.waitingFor ?? "nobody knows what"}`}: ${lastWords(machine)}`);
    await Bun.sleep(5);
  }
}

/** How a node's agent is; undefined where none is running. */
export function findStatus(machine: Pick<Machine, "pid">): ToldStatus | undefined {
  try {
    return askAgent(fileIn(machine, socketIn(DEFAULT_RUN_FOLDER)));
  } catch (error) {
    if (error instanceof NoAgent) return undefined;
    throw error;
  }
}

async function isRunning(machine: Machine): Promise<boolean> {
  return (await outputOf(machine, ["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"])).includes(`${join(BIN, "vethwork")} agent`);
}

function lastWords(machine: Machine): string {
  const path = fileIn(machine, LOG);
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").slice(-3).join("; ") : "it has no log";
}
