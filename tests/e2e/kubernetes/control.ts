/**
 * The control plane on a node of its own, which runs no pods:
 *
 *     kubectl, kubelets ──▶ kube-apiserver ──▶ etcd
 *                              ▲      ▲
 *        kube-controller-manager      kube-scheduler
 *
 * The API server is the only one who speaks with etcd, and everybody else speaks only with the API server. The controller
 * manager gives each node its share of the pod network (`--allocate-node-cidrs`); that is all that Kubernetes itself does
 * for the network.
 */
import { join } from "node:path";
import type { Cidr, Ip } from "@vethwork/linux";
import { listens, startDaemon } from "../../conformance/node/daemon.ts";
import type { ExecOptions, Node } from "../../conformance/node/node.ts";
import type { Authority } from "./certificates.ts";
import { program } from "./programs.ts";

export interface Control {
  node: Node;
  /** Where the API server listens. */
  server: string;
  /** Kubeconfig of one who may do everything. */
  admin: string;
  /** Runs kubectl with all rights and gives what it printed; throws RigFailure when it fails. */
  kubectl(argv: readonly string[], options?: ExecOptions): Promise<string>;
}

export interface ControlOptions {
  authority: Authority;
  /** The node's own, the first of which is told to others. */
  addresses: readonly Ip[];
  podNetworks: readonly Cidr[];
}

/** What Services get their addresses from: IPv4, then IPv6. The first address is the API server's own Service. */
export const serviceNetworks = ["10.96.0.0/16", "fd00:10:96::/112"] as const;
const apiService = ["10.96.0.1", "fd00:10:96::1"] as const;
/** Whom pods are told to ask for names. */
export const dnsService = "10.96.0.10";

const etcdPort = 2379;
const etcdUrl = `http://127.0.0.1:${etcdPort}`; // in the node's own network: nobody else is on this loopback

/** Starts the control plane; returns when the API server says that it is ready. */
export async function startControl(node: Node, { authority, addresses, podNetworks }: ControlOptions): Promise<Control> {
  const server = `https://${String(addresses[0])}:6443`;
  const admin = authority.kubeconfig("admin", await authority.issue("admin", { group: "system:masters" }), server);
  const kubectl = (argv: readonly string[], options: ExecOptions = {}) =>
    node.run([program("kubectl"), ...argv], { ...options, env: { KUBECONFIG: admin } });
  const ready = async () => {
    const { code } = await node.exec([program("kubectl"), "get", "--raw", "/readyz"], { env: { KUBECONFIG: admin } });
    return code === 0;
  };
  await startDaemon(node, { name: "etcd", argv: etcdCommand(node), answers: listens(node, etcdPort) });
  await startDaemon(node, { name: "kube-apiserver", argv: await apiCommand(authority, addresses), answers: ready });
  await startController(node, authority, server, "kube-controller-manager", controllerArguments(authority, podNetworks));
  await startController(node, authority, server, "kube-scheduler", []);
  return { node, server, admin, kubectl };
}

/** Without fsync: a cluster that dies with its test has nothing to come back to. */
function etcdCommand(node: Node): string[] {
  const peers = "http://127.0.0.1:2380";
  return [
    program("etcd"), `--data-dir=${join(node.dir, "etcd")}`, "--unsafe-no-fsync", "--log-level=warn",
    `--listen-client-urls=${etcdUrl}`, `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peers}`, `--initial-advertise-peer-urls=${peers}`, `--initial-cluster=default=${peers}`,
  ];
}

async function apiCommand(authority: Authority, addresses: readonly Ip[]): Promise<string[]> {
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  const own = await authority.issue("kube-apiserver", {
    names: [...names.map((name) => `DNS:${name}`), ...[...addresses.map(String), ...apiService].map((ip) => `IP:${ip}`)],
  });
  // It is a client, too: of the kubelets, for exec and logs.
  const asClient = await authority.issue("kube-apiserver-kubelet-client", { group: "system:masters" });
  return [
    program("kube-apiserver"), `--etcd-servers=${etcdUrl}`, `--advertise-address=${String(addresses[0])}`,
    `--tls-cert-file=${own.certificate}`, `--tls-private-key-file=${own.key}`, `--client-ca-file=${authority.certificate}`,
    `--kubelet-certificate-authority=${authority.certificate}`,
    "--kubelet-preferred-address-types=InternalIP", // nobody resolves the nodes' names
    `--kubelet-client-certificate=${asClient.certificate}`, `--kubelet-client-key=${asClient.key}`,
    "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${authority.tokens.certificate}`, `--service-account-signing-key-file=${authority.tokens.key}`,
    `--service-cluster-ip-range=${serviceNetworks.join(",")}`,
  ];
}

function controllerArguments(authority: Authority, podNetworks: readonly Cidr[]): string[] {
  return [
    "--allocate-node-cidrs", `--cluster-cidr=${podNetworks.join(",")}`, `--service-cluster-ip-range=${serviceNetworks.join(",")}`,
    "--use-service-account-credentials", `--service-account-private-key-file=${authority.tokens.key}`,
    `--root-ca-file=${authority.certificate}`,
  ];
}

type Controller = "kube-controller-manager" | "kube-scheduler";

/** There is one of each, so nobody has to be elected. */
async function startController(node: Node, authority: Authority, server: string, name: Controller, more: readonly string[]): Promise<void> {
  const user = `system:${name}`;
  const kubeconfig = authority.kubeconfig(user, await authority.issue(user), server);
  const argv = [program(name), `--kubeconfig=${kubeconfig}`, "--leader-elect=false", "--bind-address=127.0.0.1", ...more];
  const port = { "kube-controller-manager": 10_257, "kube-scheduler": 10_259 }[name];
  await startDaemon(node, { name, argv, answers: listens(node, port) });
}
