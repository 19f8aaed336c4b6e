/**
 * A device of the pod's own: one that sits on a device of the node (macvlan, ipvlan, vlan), or on nothing (dummy).
 *
 *        pod                             node
 *     ┌───────────────────┐      ┌──────────────────┐
 *     │ eth0 10.1.2.5/24 ─┼──────┼─ parent "ens3" ──┼── the wire
 *     └───────────────────┘      └──────────────────┘
 *
 * What these plugins have in common: the device is born inside the pod under a name of its own and then takes the one that
 * was asked for (the kernel looks for names in the namespace of who asks, and the node may have an eth0, too); then
 * addresses, up, routes. Which device it is, and what CHECK looks at beside, is each plugin's.
 */
import { CniError, ErrorCode, type Context, type Dns, type Ipam, type Result } from "@vethwork/cni";
import { Netns, isErrno, type Family, type Link } from "@vethwork/linux";
import { hostEndName } from "./attachment.ts";
import { complain } from "./complaint.ts";
import { addIpam, checkIpam, collectIpam, deleteIpam, statusOfIpam } from "./ipam/delegate.ts";
import { openPod } from "./pod.ts";
import { attachmentFaults, dressInterface } from "./pod-interface.ts";

export type SubinterfaceContext = Context<{ ipam?: Ipam; dns?: Dns }>;

export interface Making {
  /** Makes the device in the pod, under `name`. */
  make: (name: string, namespaces: { host: Netns; pod: Netns }) => void;
  /** Of which families to tell the others on the wire who has the addresses now. */
  announce: readonly Family[];
  /** Addresses and routes to use instead of asking IPAM: those of the plugin before. */
  given?: Result | undefined;
}

/** ADD: the device, its addresses, its routes. Whatever fails takes the device away again. */
export function addSubinterface(context: SubinterfaceContext, { make, announce, given }: Making): Result {
  const { config, args, undo } = context;
  using host = Netns.host();
  const pod = undo.use(openPod(args.netns));
  const link = born(context, pod, (name) => make(name, { host, pod }));
  const lease = given ?? (config.ipam ? addIpam(context) : {});
  const { ips = [], routes, dns = {} } = lease;
  dressInterface(pod, link, { ...lease, dad: false, announce: ips.length > 0 ? announce : [] });
  const names = config.dns ?? dns;
  return {
    interfaces: [{ name: link.name, mac: String(link.mac), sandbox: args.netns }],
    ...(lease.ips && { ips: ips.map((ip) => ({ ...ip, interface: 0 })) }),
    ...(routes && { routes }),
    ...(Object.keys(names).length > 0 && { dns: names }),
  };
}

/** Makes the device under a name that nobody has, then gives it its own. CniError 4 where that is taken. */
function born({ args, undo }: SubinterfaceContext, pod: Netns, make: (name: string) => void): Link {
  const temporary = hostEndName(args);
  undo.defer(() => pod.links.delete(temporary));
  make(temporary);
  try {
    pod.links.set(pod.links.get(temporary), { name: args.ifname });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    const message = `CNI_IFNAME ${JSON.stringify(args.ifname)} is taken in the pod (a free name is wanted)`;
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, message, { cause: error });
  }
  undo.defer(() => pod.links.delete(args.ifname));
  return pod.links.get(args.ifname);
}

/** CHECK: the device as it was made (`faultsOf` tells what is not), its addresses and routes, and IPAM's books. */
export function checkSubinterface(context: SubinterfaceContext, kind: string, faultsOf: (link: Link, namespaces: { host: Netns; pod: Netns }) => string[] = () => []): void {
  const { args, config, prevResult } = context;
  if (config.ipam) checkIpam(context);
  if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, `${kind}: required prevResult missing`);
  using host = Netns.host();
  using pod = openPod(args.netns);
  const link = pod.links.find(args.ifname);
  const faults = [
    ...attachmentFaults(pod, args, prevResult),
    ...(link && link.kind !== kind ? [`"${args.ifname}" is a ${link.kind || "device"}, no ${kind}`] : []),
    ...(link ? faultsOf(link, { host, pod }) : []),
  ];
  complain(`container "${args.containerId}" is not as it was added`, faults);
}

/** DEL: the address first, then the device; what is gone already is done. */
export function deleteSubinterface(context: SubinterfaceContext): void {
  const { args, config } = context;
  if (config.ipam) deleteIpam(context);
  using pod = args.netns === "" ? undefined : Netns.find(args.netns);
  pod?.links.delete(args.ifname);
  pod?.links.delete(hostEndName(args)); // left by an ADD that was killed in between
}

/** GC: devices go with their pods' namespaces, so only IPAM has something to collect. */
export function collectSubinterfaces(context: SubinterfaceContext): void {
  if (context.config.ipam) collectIpam(context);
}

/** STATUS: IPAM can serve, and the device that pods are to sit on is there. */
export function statusOfSubinterface(context: SubinterfaceContext, parent?: string): void {
  if (context.config.ipam) statusOfIpam(context);
  if (parent === undefined) return;
  using host = Netns.host();
  if (!host.links.find(parent)) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `there is no link "${parent}" to sit on`);
}

/** The device that a name means, or without one that of the default route, IPv4's before IPv6's. CniError 7 where there is none. */
export function parentOf(netns: Netns, master: string): Link {
  const byName = master === "" ? undefined : netns.links.find(master);
  if (master !== "" && !byName) throw new CniError(ErrorCode.INVALID_CONFIG, `failed to lookup master ${JSON.stringify(master)}: there is no such link`);
  if (byName) return byName;
  const route = netns.routes.list().find(({ dst, link }) => dst.prefix === 0 && link !== undefined);
  if (route?.link !== undefined) return netns.links.get(route.link);
  throw new CniError(ErrorCode.INVALID_CONFIG, "no default route interface found (name one as \"master\")");
}

/** CniError 7 where a packet would be larger than the parent takes. */
export function checkMtu(mtu: number, parent: Link): void {
  if (mtu >= 0 && mtu <= parent.mtu) return;
  throw new CniError(ErrorCode.INVALID_CONFIG, `invalid MTU ${mtu}, must be [0, master MTU(${parent.mtu})]`);
}
