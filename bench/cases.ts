/**
 * What is measured: each case is two programs that do the same work, ours and the reference's, and the budget that the
 * ratio of their times is to keep. A case is a row here and no code.
 */
import { join } from "node:path";

/** Who calls a chain of plugins: our library, which is `vethwork cni`, or Go's. */
export type Runtime = "vethwork" | "libcni";

export interface Side {
  /** The folder that the plugin is in, and those that it calls. */
  bin: string;
  /** CNI type: the file's name in the folder of plugins. */
  type: string;
  /** The plugin's configuration; with a runtime a list. The text HOST_PORT in it becomes a number that is each pod's own. */
  config: object;
  /** Through it the plugin is called; without one, as a process of its own. */
  runtime?: Runtime;
  /** What the runtime has for the capabilities that a list's plugins declare. */
  capabilities?: object;
  /** So many addresses of host-local's folder, or host ports of portmap, are taken before anything is measured. */
  taken?: number;
  /** Of DEL only the kernel's own work is timed: one netlink request that deletes the cable. */
  kernelOnly?: boolean;
}

export interface Case {
  name: string;
  about: string;
  ours: Side;
  peer: Side;
  /** What is taken of it, and the largest ratio that is allowed; null: shown only. */
  takes: Partial<Record<Measure, number | null>>;
}

/**
 * version  a process that answers VERSION: start, read, write, end
 * add      ADD into a fresh namespace; del: the DEL after it
 * adds     a hundred ADDs at once, until the last is done; dels: the DELs likewise
 * addBusy  the time of all processors that an ADD takes; delBusy: a DEL. What counts in a crowd, and on a machine that others use, too
 * memory   the most that the process of an ADD had resident, with what it shares with others
 */
export const measures = ["version", "add", "del", "adds", "dels", "addBusy", "delBusy", "memory"] as const;
export type Measure = (typeof measures)[number];

const root = join(import.meta.dir, "..");
/** Where the reference plugins were unpacked; its file .version says which they are. */
export const reference = join(root, ".cache/reference-plugins");
const REFERENCE = join(reference, "usr/lib/cni");
const OURS = join(root, "dist/cni-bin");

const NETWORK = "10.250.0.0/16";
const vethwork: Side = { bin: OURS, type: "vethwork", config: { cniVersion: "1.0.0", name: "bench", type: "vethwork", network: NETWORK, subnet: NETWORK } };

/** The same configuration for both: that ours takes the reference's unchanged is the point of it. */
const both = (config: Readonly<Record<string, unknown>> & { type: string }): Pick<Case, "ours" | "peer"> => {
  const whole = { cniVersion: "1.0.0", name: "bench", ...config };
  return { ours: { bin: OURS, type: config.type, config: whole }, peer: { bin: REFERENCE, type: config.type, config: whole } };
};
const ipam = { type: "host-local", subnet: NETWORK, routes: [{ dst: "0.0.0.0/0" }] };
const ptp = both({ type: "ptp", ipMasq: true, ipam });
const alone = both({ type: "host-local", ipam });
/** One port, behind whatever gave the pod its address. */
const port = {
  type: "portmap", runtimeConfig: { portMappings: [{ hostPort: "HOST_PORT", containerPort: 80, protocol: "tcp" }] },
  prevResult: { cniVersion: "1.0.0", interfaces: [{ name: "eth0", sandbox: "/run/netns/bench" }], ips: [{ address: "10.250.0.2/16", interface: 0 }] },
};
const portmap = both(port);
const bridge = { type: "bridge", bridge: "bench0", isGateway: true, ipam };

/** What podman and many nodes have: an address and a cable, a host port, limits, leave to pass, and settings. */
const chain = {
  cniVersion: "1.0.0", name: "bench",
  plugins: [
    { ...bridge, ipMasq: true },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "bandwidth", capabilities: { bandwidth: true } },
    { type: "firewall" },
    { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_ignore": "1" } },
  ],
};
const capabilities = {
  portMappings: [{ hostPort: "HOST_PORT", containerPort: 80, protocol: "tcp" }],
  bandwidth: { ingressRate: 10_000_000, ingressBurst: 1_000_000, egressRate: 10_000_000, egressBurst: 1_000_000 },
};
const through = (runtime: Runtime, bin: string): Side => ({ bin, type: "vethwork", config: chain, capabilities, runtime });
const referenceChain = through("libcni", REFERENCE);

export const cases: readonly Case[] = [
  {
    name: "vethwork",
    about: "vethwork beside ptp + host-local + ipMasq",
    ours: vethwork,
    peer: ptp.peer,
    takes: { version: 2, add: 0.5, del: null, adds: 0.6, dels: null, addBusy: null, memory: null },
  },
  { name: "ptp", about: "ptp + host-local + ipMasq, ours beside the reference's", ...ptp, takes: { add: null, del: null } },
  { name: "bridge", about: "bridge + host-local, ours beside the reference's", ...both(bridge), takes: { add: 0.8, del: null, adds: 0.6, addBusy: null, delBusy: null } },
  {
    name: "bridge-delete",
    about: "DEL of bridge + host-local beside the kernel's own time to delete the cable",
    ours: both(bridge).ours,
    peer: { ...both(bridge).ours, kernelOnly: true },
    takes: { del: 1.1 },
  },
  { name: "bridge-masquerade", about: "bridge + host-local + ipMasq, ours beside the reference's", ...both({ ...bridge, ipMasq: true }), takes: { add: 0.4, del: null, addBusy: null, delBusy: null } },
  { name: "macvlan", about: "macvlan + host-local, ours beside the reference's", ...both({ type: "macvlan", master: "eth0", ipam }), takes: { add: 1, del: null, addBusy: null } },
  { name: "host-local", about: "host-local alone, ours beside the reference's", ...alone, takes: { add: null, del: null } },
  { name: "host-local-full", about: "host-local with 60,000 addresses taken beside host-local with none, both ours", ours: { ...alone.ours, taken: 60_000 }, peer: alone.ours, takes: { add: 1.2, del: 1.2 } },
  { name: "portmap", about: "portmap with one port, ours beside the reference's, which takes iptables", ...portmap, takes: { add: 0.5, del: null } },
  { name: "portmap-nftables", about: "portmap with one port by nftables, ours beside the reference's", ...both({ ...port, backend: "nftables" }), takes: { add: 0.6, del: null } },
  { name: "portmap-full", about: "portmap with 100 ports mapped beside portmap with none, both ours", ours: { ...portmap.ours, taken: 100 }, peer: portmap.ours, takes: { add: 1.2, del: null } },
  {
    name: "chain",
    about: "bridge → portmap → bandwidth → firewall → tuning by our library, beside the reference's through Go's libcni",
    ours: through("vethwork", OURS),
    peer: referenceChain,
    takes: { add: 0.5, del: 0.5, addBusy: 0.5, delBusy: 0.5 },
  },
  {
    name: "chain-libcni",
    about: "the same five, ours beside the reference's, both through Go's libcni: each plugin a process",
    ours: through("libcni", OURS),
    peer: referenceChain,
    takes: { add: null, del: null, addBusy: null, delBusy: null },
  },
];
