/**
 * A lab as those who probe it see it: everybody who can send or receive, with a door into the network of each.
 *
 * The doors are sockets and file descriptors; whoever opens a scene closes it.
 */
import type { Family, Ip, Netns } from "@vethwork/linux";
import { listPods, type Lab, type LabNode, type LabPod } from "./lab.ts";
import { openNetwork } from "./machine.ts";
import { WORLD, worldAddress, type Links } from "./plan.ts";

/** A pod, a node, or the world. */
export interface Party {
  kind: "pod" | "node" | "world";
  name: string;
  netns: Netns;
  /** What others call it by. */
  addresses: Ip[];
  /** The node that it is, or is on; undefined of the world. */
  node: NodeParty | undefined;
  /** Of a pod its cable. */
  pod: LabPod | undefined;
}

export interface NodeParty extends Party {
  plan: LabNode;
}

export interface Scene extends Disposable {
  families: readonly Family[];
  links: Links;
  world: Party;
  nodes: NodeParty[];
  pods: Party[];
}

/** Opens the network of everybody. KernelError where a pod's namespace is gone. */
export async function openScene(lab: Lab): Promise<Scene> {
  const doors = new DisposableStack();
  try {
    const nodes = lab.nodes.map((plan): NodeParty => {
      const netns = doors.use(openNetwork(plan.machine));
      const node: NodeParty = { kind: "node", name: plan.name, netns, addresses: plan.addresses, node: undefined, pod: undefined, plan };
      node.node = node;
      return node;
    });
    const pods: Party[] = [];
    for (const node of nodes) {
      for (const pod of await listPods(node.plan)) {
        const netns = doors.use(openNetwork(node.plan.machine, pod.name));
        pods.push({ kind: "pod", name: pod.name, netns, addresses: pod.addresses, node, pod });
      }
    }
    const addresses = lab.size.families.map(worldAddress);
    const world: Party = { kind: "world", name: WORLD, netns: doors.use(openNetwork(lab.world)), addresses, node: undefined, pod: undefined };
    return { families: lab.size.families, links: lab.size.links ?? "l2", world, nodes, pods, [Symbol.dispose]: () => doors.dispose() };
  } catch (error) {
    doors.dispose();
    throw error;
  }
}

export const addressOf = ({ addresses }: Party, family: Family): Ip | undefined => addresses.find((ip) => ip.family === family);
