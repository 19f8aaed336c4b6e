/**
 * `vethwork agent`: makes a node part of the pod network, and keeps it so; as a DaemonSet of Kubernetes, or by a folder of YAML.
 *
 * What it does is packages/agent's; here are its options, and what is told to whom.
 */
import { hostname } from "node:os";
import { checkNetworkName } from "@vethwork/cni";
import { clearAgent, runAgent, runOnce, type Outcome, type Settings } from "@vethwork/agent/main.ts";
import { DEFAULT_RUN_FOLDER } from "@vethwork/agent/place.ts";
import { DEFAULT_LISTEN, endpointIn } from "@vethwork/agent/server.ts";
import { DEFAULT_HEALTH } from "@vethwork/agent/services/health.ts";
import { ignore, networkOf, parseCidr, type Cidr } from "@vethwork/linux";
import { types } from "@vethwork/plugins/registry.ts";
import { levels, logTo } from "@vethwork/plugins/shared/log.ts";
import { endOf } from "../signals.ts";
import { version } from "../version.ts";
import { UsageError, readArguments, type Command } from "../usage.ts";
import { builtProgram } from "./install.ts";

const help = `Usage: vethwork agent [--source SOURCE] [options]
       vethwork agent --once [--dry-run] [--source SOURCE] [options] [--json]
       vethwork agent --clear [options] [--json]

Makes this node part of the pod network and keeps it so: routes and tunnels to the pods of all
other nodes, masquerade of what leaves the cluster, Services, and the configuration by which the
container runtime adds pods. It reads the cluster's objects, compares what is with what should be,
and writes the difference; it may be stopped, killed and replaced at any time, and the network goes on.

Where the cluster is known from:
  --source SOURCE       kubernetes, or a folder of YAML: Nodes, Services, EndpointSlices; kubernetes
  --kubeconfig FILE     how the API server is reached; in a pod its service account
  --api-server URL      the API server, in place of what that says: https://192.0.2.10:6443,
                        where Services do not work before the network does
  --node NAME           this node's name there; the host name

The network:
  --cluster-subnet P    all pods of the cluster: a prefix, may be given several times; unless
                        given, the nodes' own pod subnets
  --tunnel WHEN         whether packets to other nodes' pods are wrapped (VXLAN): auto (where the
                        other node is on no link of this one), always, never; auto
  --encrypt HOW         none, or wireguard: what goes to other nodes' pods; none
  --no-masquerade       pods keep their address towards the world, too
  --no-masquerade-to P  a prefix outside the cluster towards which pods keep their address; may
                        be given several times
  --masquerade-file F   more of those, in a file as ip-masq-agent has it; read when it changes
  --mtu BYTES           largest packet of a pod; 0: what gets through to all nodes; 0

Services:
  --services WHEN       whether this node translates addresses of services: on, off, or auto (unless
                        a kube-proxy's rules are there); auto
  --nodeport-addresses P  a prefix on whose addresses of this node NodePorts are; may be given
                        several times; unless given, the addresses that the Node object tells
  --masquerade-all      to services in the cluster no client keeps its address
  --services-health HOST:PORT  /healthz for load balancers; "" for nowhere; ${DEFAULT_HEALTH}

The container runtime:
  --network NAME        the network's name, and its file's: 10-NAME.conflist; vethwork
  --cni-conf-dir DIR    where the runtime looks for networks; /etc/cni/net.d
  --cni-bin-dir DIR     where it looks for plugins; /opt/cni/bin
  --no-cni              leave both alone

The agent itself:
  --once                one pass, and an end; prints what was changed
  --dry-run             of --once: only says what would change
  --clear               takes away all that an agent made on this node; plugins stay, pods need them
  --listen HOST:PORT    /healthz, /readyz and /metrics; "" for nowhere; ${DEFAULT_LISTEN}
  --resync SECONDS      how often to look without being told that something changed; 30
  --run-dir DIR         lock, socket and mark, in memory; ${DEFAULT_RUN_FOLDER}
  --state-dir DIR       the node's key; /var/lib/vethwork
  --sysctl-dir DIR      in a container, where the node's /proc/sys is, which it may write to
  --log-format F        text or json; text
  --log-level L         ${levels.join(", ")}; info
  --json                of --once and --clear: prints changes as JSON

Exit code: 0 ended or done, 1 it failed or something is wrong, 2 not understood.
`;

const OPTIONS = {
  source: { type: "string", default: "kubernetes" },
  kubeconfig: { type: "string" },
  "api-server": { type: "string" },
  node: { type: "string", default: hostname().toLowerCase() },
  "cluster-subnet": { type: "string", multiple: true },
  tunnel: { type: "string", default: "auto" },
  encrypt: { type: "string", default: "none" },
  "no-masquerade": { type: "boolean", default: false },
  "no-masquerade-to": { type: "string", multiple: true },
  "masquerade-file": { type: "string" },
  mtu: { type: "string", default: "0" },
  services: { type: "string", default: "auto" },
  "nodeport-addresses": { type: "string", multiple: true },
  "masquerade-all": { type: "boolean", default: false },
  "services-health": { type: "string", default: DEFAULT_HEALTH },
  network: { type: "string", default: "vethwork" },
  "cni-conf-dir": { type: "string", default: "/etc/cni/net.d" },
  "cni-bin-dir": { type: "string", default: "/opt/cni/bin" },
  "no-cni": { type: "boolean", default: false },
  once: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  clear: { type: "boolean", default: false },
  listen: { type: "string", default: DEFAULT_LISTEN },
  resync: { type: "string", default: "30" },
  "run-dir": { type: "string", default: DEFAULT_RUN_FOLDER },
  "state-dir": { type: "string", default: "/var/lib/vethwork" },
  "sysctl-dir": { type: "string" },
  "log-format": { type: "string", default: "text" },
  "log-level": { type: "string", default: "info" },
  json: { type: "boolean", default: false },
} as const;

export const agent: Command = {
  name: "agent",
  about: "makes a node part of the pod network, and keeps it so",
  help,
  run: async (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    if (positionals.length > 0) throw new UsageError(`"${positionals[0]}" is not understood (options are wanted)`);
    if (values.once && values.clear) throw new UsageError("one of --once and --clear is wanted");
    const { once, clear, json, "dry-run": dryRun } = values;
    if (dryRun && !once) throw new UsageError("--dry-run is of --once");
    const settings = settingsOf(values);
    if (clear) return tell({ changes: clearAgent(settings), problems: [] }, { json });
    if (once) return tell(await runOnce(dryRun ? { ...settings, log: () => {} } : settings, { dryRun }), { json, dryRun });
    process.stderr.on("error", (error) => ignore(error, "nobody reads the log any more, and the network goes on"));
    await runAgent(settings, endOf(["SIGINT", "SIGTERM"]));
    return 0;
  },
};

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

function settingsOf(values: Values): Settings {
  const { source, kubeconfig, "api-server": server, node: self, network, listen } = values;
  if (source === "" || (source !== "kubernetes" && !source.includes("/"))) throw new UsageError(`--source "${source}" (kubernetes, or the path of a folder, is wanted)`);
  if (server !== undefined && !URL.canParse(server)) throw new UsageError(`--api-server "${server}" (an address such as https://192.0.2.10:6443 is wanted)`);
  if (checkNetworkName(network)) throw new UsageError(`--network "${network}" (letters, digits, dots, dashes and underlines are wanted)`);
  if (listen !== "") understood("--listen", () => endpointIn(listen));
  const servicesHealth = values["services-health"];
  if (servicesHealth !== "") understood("--services-health", () => endpointIn(servicesHealth));
  const masqueradeFile = values["masquerade-file"];
  return {
    version,
    source: source === "kubernetes" ? { kubeconfig, server } : { folder: source },
    datapath: {
      self,
      tunnel: oneOf("--tunnel", values.tunnel, ["auto", "always", "never"]),
      encrypt: oneOf("--encrypt", values.encrypt, ["none", "wireguard"]),
      clusterSubnets: prefixes("--cluster-subnet", values["cluster-subnet"] ?? []),
      masquerade: !values["no-masquerade"],
      nonMasqueradeSubnets: prefixes("--no-masquerade-to", values["no-masquerade-to"] ?? []),
      mtu: wholeNumber("--mtu", values.mtu, 65_535),
      stateFolder: values["state-dir"],
    },
    services: {
      mode: oneOf("--services", values.services, ["auto", "on", "off"]),
      nodePortSubnets: prefixes("--nodeport-addresses", values["nodeport-addresses"] ?? []),
      masqueradeAll: values["masquerade-all"],
    },
    servicesHealth,
    masqueradeFile,
    cni: values["no-cni"] ? undefined : { network, confFolder: values["cni-conf-dir"], binFolder: values["cni-bin-dir"], program: builtProgram(), types },
    runFolder: values["run-dir"],
    sysctlFolder: values["sysctl-dir"],
    listen,
    fullMs: Math.max(1, wholeNumber("--resync", values.resync, 86_400)) * 1000,
    log: logTo((line) => void process.stderr.write(line), { format: oneOf("--log-format", values["log-format"], ["text", "json"]), least: oneOf("--log-level", values["log-level"], levels) }),
  };
}

function understood<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function oneOf<const T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new UsageError(`${option} "${value}" (one of ${known.join(", ")} is wanted)`);
}

const prefixes = (option: string, texts: readonly string[]): Cidr[] => texts.map((text) => understood(option, () => networkOf(parseCidr(text))));

function wholeNumber(option: string, text: string, most: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= most) return Number(text);
  throw new UsageError(`${option} "${text}" (a whole number up to ${most} is wanted)`);
}

/** Changes are the result, and problems make it a failure. */
function tell({ changes, problems }: Outcome, { json, dryRun = false }: { json: boolean; dryRun?: boolean }): number {
  const lines = changes.length === 0 ? "nothing to change\n" : changes.map((change) => `${dryRun ? "would " : ""}${change}\n`).join("");
  process.stdout.write(json ? `${JSON.stringify({ changes, problems }, undefined, 2)}\n` : lines);
  for (const problem of problems) process.stderr.write(`vethwork agent: ${problem}\n`);
  return problems.length === 0 ? 0 : 1;
}
