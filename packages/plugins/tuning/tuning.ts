/**
 * tuning: sets what a pod's interface is like, and kernel parameters of the pod's own network.
 *
 *        pod, made by the plugin before                          afterwards
 *     ┌──────────────────────────────────┐             ┌──────────────────────────────────┐
 *     │ eth0  02:…:01  mtu 1500          │ ── tuning ─►│ eth0  c2:…:bd  mtu 1400  promisc │
 *     │ net.core.somaxconn = 4096        │             │ net.core.somaxconn = 500         │
 *     └──────────────────────────────────┘             └──────────────────────────────────┘
 *
 * ADD sets the parameters, then the interface. What the interface was like is written down first (./backup.ts), and DEL brings
 * it back: the interface may be one of the node's, which outlives the pod. Parameters end with the pod's namespace. Their
 * names, and which of them are allowed, are ./sysctls.ts.
 *
 * Same options, results and files as the reference tuning plugin.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, mac, object, path, record, type Args, type ConfigOf, type Result } from "@vethwork/cni";
import { KernelError, Netns, ignore, type Link } from "@vethwork/linux";
import { interfaceOf, resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { ethernetMac, macArgument } from "../shared/mac.ts";
import { openPod } from "../shared/pod.ts";
import { backupFile, collectBackups, findBackup, forget, keep, type LinkSettings } from "./backup.ts";
import { checkAllowed, sysctlPath, sysctlValue } from "./sysctls.ts";

const bytes = integer({ min: 0, max: 0x7fff_ffff });
const packets = integer({ min: 0, max: 0xffff_ffff });

const options = config({
  sysctl: [record(sysctlValue), {}, "Kernel parameters of the pod's network by their names, such as net.core.somaxconn; IFNAME in a name is the interface."],
  mac: [mac, undefined, "The interface's MAC address."],
  promisc: [boolean, false, "Take frames for everybody."],
  mtu: [bytes, 0, "Largest packet in bytes; 0 leaves it as it is."],
  allmulti: [boolean, undefined, "Take frames for every multicast group, or do not."],
  txQLen: [packets, undefined, "How many packets may wait to be sent."],
  dataDir: [path, "/run/cni/tuning", "The folder in which it is written down what interfaces were like before."],
  runtimeConfig: [object({ mac: [mac, undefined, "The interface's MAC address."] }), {}, "What the runtime supplies for declared capabilities: `mac`."],
  args: [object({
    cni: [object({
      sysctl: [record(sysctlValue), {}, "More kernel parameters, or others."],
      mac: [mac, undefined, "The interface's MAC address; comes before every other."],
      promisc: [boolean, undefined, "Take frames for everybody."],
      mtu: [bytes, undefined, "Largest packet in bytes."],
      allmulti: [boolean, undefined, "Take frames for every multicast group, or do not."],
      txQLen: [packets, undefined, "How many packets may wait to be sent."],
    }), {}, "Options for this pod, before those of the network."],
  }), {}, "What the runtime supplies for this pod: `cni`."],
});
type Config = ConfigOf<typeof options>;

export default definePlugin({
  type: "tuning",
  about: "sets an interface's MAC address, MTU and modes, and kernel parameters of the pod's network",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;
    const sysctls = sysctlsOf(given, args);
    const wanted = settingsOf(given, args);
    checkAllowed(sysctls.map(({ key }) => key));
    const before = resultBefore(context);
    const pod = undo.use(openPod(args.netns));

    for (const { path, value } of sysctls) {
      const old = pod.sysctl.find(path);
      if (old !== undefined) undo.defer(() => pod.sysctl.set(path, old));
      pod.sysctl.set(path, value);
    }
    if (Object.keys(wanted).length > 0) {
      const file = backupFile(given.dataDir, args);
      const link = interfaceOf(pod, args);
      undo.defer(() => restore(pod, args.ifname, file));
      keep(file, given.name, { link, wanted });
      pod.links.set(link, wanted);
    }
    return resultAfter(before, args, wanted);
  },

  // CHECK asks whether every value still stands. It changes nothing.
  check(context) {
    const { config: given, args } = context;
    resultBefore(context);
    using pod = openPod(args.netns);
    const link = pod.links.find(args.ifname);
    const faults = [
      ...sysctlsOf(given, args).flatMap(({ key, path, value }) => sysctlFaults(pod, { key, path, value })),
      ...(link ? linkFaults(link, settingsOf(given, args)) : [`the pod has no interface "${args.ifname}"`]),
    ];
    complain(`container "${args.containerId}" is not as it was tuned`, faults);
  },

  del({ config: { dataDir }, args }) {
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    restore(pod, args.ifname, backupFile(dataDir, args));
  },

  // GC: what was written down for attachments that the runtime no longer knows is of no use to anybody.
  gc({ config: { dataDir, name }, valid }) {
    if (valid) collectBackups(dataDir, name, valid);
  },

  // STATUS: the administrator lets this network have its parameters.
  status({ config: { sysctl } }) {
    try {
      for (const key of Object.keys(sysctl)) sysctlPath(key, "IFNAME");
      checkAllowed(Object.keys(sysctl));
    } catch (error) {
      if (error instanceof CniError) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, error.message, { cause: error });
      throw error;
    }
  },
});

interface Parameter {
  key: string;
  path: string;
  value: string;
}

const sysctlsOf = ({ sysctl, args: { cni } }: Config, { ifname }: Args): Parameter[] =>
  Object.entries({ ...sysctl, ...cni.sysctl }).map(([key, value]) => ({ key, path: sysctlPath(key, ifname), value }));

/** The network's options give way to the pod's; of MAC addresses the order is the reference's. `promisc: false` leaves it as it is. */
function settingsOf({ args: { cni }, ...own }: Config, args: Args): LinkSettings {
  const address = cni.mac ?? own.runtimeConfig.mac ?? macArgument(args) ?? own.mac;
  const mtu = cni.mtu ?? own.mtu;
  const allmulti = cni.allmulti ?? own.allmulti;
  const queue = cni.txQLen ?? own.txQLen;
  return {
    ...(address !== undefined && { mac: ethernetMac(address) }),
    ...((cni.promisc ?? own.promisc) && { promisc: true }),
    ...(mtu > 0 && { mtu }),
    ...(allmulti !== undefined && { allmulti }),
    ...(queue !== undefined && { txQueueLength: queue }),
  };
}

/** Brings back what was kept. A value that the kernel refuses now must not keep the pod from ending: the interface mostly ends with it. */
function restore(pod: Netns | undefined, ifname: string, file: string): void {
  const changes = findBackup(file);
  const link = changes.length > 0 ? pod?.links.find(ifname) : undefined;
  for (const change of link ? changes : []) {
    try {
      if (pod && link) pod.links.set(link, change);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      ignore(error, "the other values come back, and DEL goes on");
    }
  }
  forget(file);
}

/** The result before, with the MAC address and MTU that the interface has now. */
function resultAfter(before: Result, { ifname, netns }: Args, { mac: address, mtu }: LinkSettings): Result {
  const { interfaces = [] } = before;
  const tuned = interfaces.map((one) => one.name !== ifname || one.sandbox !== netns ? one : {
    ...one, ...(address && { mac: String(address) }), ...(mtu !== undefined && one.mtu !== undefined && { mtu }),
  });
  return { ...before, ...(before.interfaces && { interfaces: tuned }) };
}

/** The kernel separates with tabs what people separate with spaces. One that is only written has nothing to compare. */
function sysctlFaults(pod: Netns, { key, path, value }: Parameter): string[] {
  const now = pod.sysctl.find(path);
  const words = (text: string): string => text.trim().replace(/\s+/g, " ");
  return now === undefined || words(now) === words(value) ? [] : [`${key} is ${JSON.stringify(now)} (${JSON.stringify(value)} is wanted)`];
}

function linkFaults(link: Link, wanted: LinkSettings): string[] {
  const { mac: address, mtu, promisc, allmulti, txQueueLength: queue } = wanted;
  const differs = (now: unknown, then: unknown): boolean => then !== undefined && String(now) !== String(then);
  return [
    ...(differs(link.mac, address) ? [`"${link.name}" has the MAC address ${link.mac} instead of ${address}`] : []),
    ...(differs(link.mtu, mtu) ? [`"${link.name}" has MTU ${link.mtu} instead of ${mtu}`] : []),
    ...(differs(link.promisc, promisc) ? [`"${link.name}" is not promiscuous`] : []),
    ...(differs(link.allmulti, allmulti) ? [`"${link.name}" takes ${link.allmulti ? "every" : "not every"} multicast group`] : []),
    ...(differs(link.txQueueLength, queue) ? [`"${link.name}" has a queue of ${link.txQueueLength} packets instead of ${queue}`] : []),
  ];
}
