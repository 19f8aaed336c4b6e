/**
 * host-device: gives a pod one of the node's own devices, whole.
 *
 *        node                              pod
 *     ┌───────────────┐    ADD ──▶     ┌───────────────────────────────────┐
 *     │ ens4          │                │ eth0  (alias "ens4") 10.1.2.5/24   │──── the wire
 *     └───────────────┘    ◀── DEL     └───────────────────────────────────┘
 *
 * Nothing is in between: the pod has the card's speed and its offloads, and the node has the card no more. The name that it
 * had stands in its alias, so that DEL can give it back under it. Moving and renaming are one request, done in the other
 * namespace: nobody on the node (udev, NetworkManager) sees the card under a name that it will not keep.
 *
 * A card that a program drives by itself (DPDK) is no device of the kernel: nothing is moved then, and only addresses are
 * kept. Same options and results as the reference host-device plugin; which device is meant is ./device.ts's question.
 */
import { CniError, ErrorCode, definePlugin, type Result } from "@vethwork/cni";
import { Netns, type Link } from "@vethwork/linux";
import { complain } from "../shared/complaint.ts";
import { addIpam, checkIpam, collectIpam, deleteIpam, statusOfIpam } from "../shared/ipam/delegate.ts";
import { openPod } from "../shared/pod.ts";
import { attachmentFaults, dressInterface } from "../shared/pod-interface.ts";
import { findDevice, isUserSpace, options } from "./device.ts";

export default definePlugin({
  type: "host-device",
  about: "one of the node's own devices, whole",
  config: options,

  add(context) {
    const { config, args, undo } = context;
    const host = undo.use(Netns.host());
    const pod = undo.use(openPod(args.netns));

    // 1. The device: out of the node, into the pod, under the name that was asked for.
    const moved = isUserSpace(config) ? undefined : take(host, pod, findDevice(host, config), args.ifname);
    if (moved) undo.defer(() => giveBack(pod, host, args.ifname, { up: moved.wasUp }));

    // 2. The addresses, and the device up with them.
    const lease = config.ipam ? addIpam(context) : {};
    if (moved) dressInterface(pod, moved.link, { ...lease, dad: false, announce: [] });
    return resultOf(lease, { name: args.ifname, sandbox: args.netns, ...(moved && { mac: String(moved.link.mac) }) }, config.dns);
  },

  check(context) {
    const { config, args, prevResult } = context;
    if (config.ipam) checkIpam(context);
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "Required prevResult missing");
    if (isUserSpace(config)) return;
    using pod = openPod(args.netns);
    const faults = attachmentFaults(pod, args, prevResult);
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL: the address first. A pod that is gone has given its card back by itself: the kernel sees to that.
  del(context) {
    const { config, args } = context;
    if (config.ipam) deleteIpam(context);
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    using host = Netns.host();
    if (pod?.links.find(args.ifname)) giveBack(pod, host, args.ifname, { up: false });
    else unmark(host, config.device);
  },

  gc(context) {
    if (context.config.ipam) collectIpam(context);
  },

  status(context) {
    if (context.config.ipam) statusOfIpam(context);
  },
});

/** The kernel moves first and renames then, so a name that is taken must be seen before. */
function take(host: Netns, pod: Netns, link: Link, name: string): { link: Link; wasUp: boolean } {
  if (pod.links.find(name)) {
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `CNI_IFNAME ${JSON.stringify(name)} is taken in the pod (a free name is wanted)`);
  }
  host.links.set(link, { alias: link.name });
  try {
    host.links.set(link, { netnsFd: pod.fd, name });
  } catch (error) {
    if (host.links.find(link.name)?.index === link.index) host.links.set(link, { alias: link.alias, up: link.up });
    else giveBack(pod, host, link.name, { up: link.up });
    throw error;
  }
  return { link: pod.links.get(name), wasUp: link.up };
}

/** Back to the node under the name in its alias, without the alias, and without addresses: those stay in the pod. */
function giveBack(pod: Netns, host: Netns, ifname: string, { up }: { up: boolean }): void {
  const link = pod.links.find(ifname);
  if (!link) return;
  const name = link.alias === "" ? ifname : link.alias;
  pod.links.set(link, { netnsFd: host.fd, name });
  host.links.set(host.links.get(name), { alias: "", up });
}

/** An ADD that was killed before the move has left the device its own name as an alias. */
function unmark(host: Netns, device: string): void {
  const link = device === "" ? undefined : host.links.find(device);
  if (link && link.alias === link.name) host.links.set(link, { alias: "" });
}

function resultOf({ ips, routes, dns: given }: Result, link: { name: string; mac?: string; sandbox: string }, dns = given): Result {
  return {
    interfaces: [link],
    ...(ips && { ips: ips.map((ip) => ({ ...ip, interface: 0 })) }),
    ...(routes && { routes }),
    ...(dns && { dns }),
  };
}
