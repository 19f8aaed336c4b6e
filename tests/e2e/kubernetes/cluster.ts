/**
 * A real Kubernetes cluster on this one machine: every program is the one that runs in production, and every node is a
 * machine made of namespaces (tests/conformance/node), with a network, mounts, processes and control groups of its own.
 *
 *       control 192.168.50.2              node-1 192.168.50.11             node-2 192.168.50.12
 *    ┌────────────────────────────┐    ┌───────────────────────────┐    ┌───────────────────────────┐
 *    │ etcd ── kube-apiserver     │    │ kubelet ── containerd     │    │ kubelet ── containerd     │
 *    │    kube-controller-manager │    │    runc ── pods           │    │    runc ── pods           │
 *    │    kube-scheduler          │    │    cni-bin/vethwork       │    │    cni-bin/vethwork       │
 *    └─────────────┬──────────────┘    └────────────┬──────────────┘    └────────────┬──────────────┘
 *                  │ eth0                           │ eth0                           │ eth0
 *                ══╧═══════════════════════ lan ════╧════════════════════════════════╧═══ world 192.168.50.1
 *
 * The wire and the addresses are the lab's (packages/lab). `world` is a namespace on the control node's machine that knows
 * no pod. No packet leaves these namespaces. There is no kube-proxy and no DNS, and no network yet: nodes are NotReady
 * until the agents of network.ts bring one, with Services.
 *
 * Every node's life is a pipe that this process holds, so the whole cluster ends when it is disposed of, and when the
 * process dies of anything at all.
 */
import { join } from "node:path";
import { Netns, parseIp, type Family } from "@vethwork/linux";
import { planNodes, podNetwork, WORLD } from "@vethwork/lab/plan.ts";
import { layLan, plugIn, type Seat } from "@vethwork/lab/wires.ts";
import { RigFailure } from "../../conformance/node/failure.ts";
import { startNode, type ExecOptions, type Node } from "../../conformance/node/node.ts";
import { until } from "../../conformance/node/until.ts";
import { createAuthority } from "./certificates.ts";
import { startControl } from "./control.ts";
import { startWorker, type Worker } from "./worker.ts";

export interface Cluster extends AsyncDisposable {
  /** The node of the control plane. */
  control: Node;
  workers: Worker[];
  /** Kubeconfig of one who may do everything, for a program in the control node's network. */
  admin: string;
  /** Where the API server listens, and the certificate of the authority that it is known by. */
  server: string;
  authority: string;
  /** Runs kubectl with all rights and gives what it printed; throws RigFailure when it fails. */
  kubectl(argv: readonly string[], options?: ExecOptions): Promise<string>;
  /** `kubectl get … --output=json`, read. */
  get(...argv: string[]): Promise<unknown>;
}

/** Every pod and node has an address of each. */
export const families: readonly Family[] = [4, 6];
const controlPlan = { name: "control", addresses: [parseIp("192.168.50.2"), parseIp("fd50::2")] };

/**
 * Starts a cluster whose nodes have made themselves known.
 * @throws RigFailure with the end of the log of what did not start; nothing is left then.
 */
export async function startCluster({ nodes = 2 } = {}): Promise<Cluster> {
  const plans = planNodes({ nodes, pods: nodes, families });
  await using machines = new AsyncDisposableStack();
  const start = async (plan: Seat) => ({ plan, node: machines.adopt(await startNode({ bare: true }), (node) => node.stop()) });
  const control = await start(controlPlan);
  const others = [];
  for (const plan of plans) others.push(await start(plan));
  await lay(control.node, [control, ...others]);

  const authority = await createAuthority(join(control.node.dir, "keys"));
  const { addresses } = controlPlan;
  const { server, admin, kubectl } = await startControl(control.node, { authority, addresses, podNetworks: families.map(podNetwork) });
  const workers = await Promise.all(others.map(({ plan, node }) => startWorker(node, plan, authority, server)));
  for (const { containerd } of workers) machines.defer(() => containerd.cri.close());
  const known = async () => (await kubectl(["get", "nodes", "--output=name"])).match(/^node/gm)?.length === nodes;
  if (!(await until(known, 60_000))) {
    throw new RigFailure(`Cannot start the cluster: ${nodes} nodes are wanted, the API server knows ${await kubectl(["get", "nodes"])}`);
  }

  const life = machines.move();
  const get = async (...argv: string[]): Promise<unknown> => JSON.parse(await kubectl(["get", ...argv, "--output=json"]));
  return { control: control.node, workers, admin, server, authority: authority.certificate, kubectl, get, [Symbol.asyncDispose]: () => life.disposeAsync() };
}

/** Plugs machines into the wire, whose switch is in a namespace of `host`'s. */
async function lay(host: Node, machines: readonly { plan: Seat; node: Node }[]): Promise<void> {
  await host.run(["ip", "netns", "add", WORLD]);
  using world = Netns.open(`/proc/${host.pid}/root/run/netns/${WORLD}`);
  layLan(world, families);
  for (const { plan, node } of machines) {
    using network = Netns.open(`/proc/${node.pid}/ns/net`);
    plugIn(world, network, plan);
  }
}
