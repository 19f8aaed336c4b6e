/**
 * ptp: connects a pod to its node by a cable of its own, and routes to it.
 *
 *        pod                                       node
 *     ┌──────────────────────────────┐      ┌───────────────────────────────────────┐
 *     │ eth0 10.1.2.5/24           ──┼──────┼─ veth1f03…  10.1.2.1/32                │
 *     │ 10.1.2.1   dev eth0          │      │             10.1.2.5 dev veth1f03…     │
 *     │ 10.1.2.0/24 via 10.1.2.1     │      │  veth77ab…  10.1.2.1/32                │
 *     └──────────────────────────────┘      │             10.1.2.6 dev veth77ab…     │
 *      another pod ─────────────────────────┼─ ┘          masquerade ─── eth0 ───────┼── the world
 *                                           └───────────────────────────────────────┘
 *
 * ADD does five things, in this order, and each is a heading below:
 *   1 the cable   2 the address   3 the pod's side   4 the node's side   5 the way out
 *
 * No switch: each pod is alone on its cable, so even the other pods of its subnet are behind the gateway, and the node
 * sees every packet. Every cable's end on the node has the gateway's address, for that cable alone.
 *
 * Same options and results as the reference ptp plugin. The cable is ../shared/veth.ts, the pod's interface
 * ../shared/pod-interface.ts, the rules ../shared/masquerade.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, type ConfigOf, type Result } from "@vethwork/cni";
import { Netns, cidrOf, networkOf, parseCidr, parseIp, sameCidr, type Cidr, type Ip, type Link } from "@vethwork/linux";
import { complain } from "../shared/complaint.ts";
import { ensureForwarding, isForwarding } from "../shared/forwarding.ts";
import { addIpam, checkIpam, collectIpam, deleteIpam, statusOfIpam } from "../shared/ipam/delegate.ts";
import { collectMasquerade, deleteMasquerade, ensureMasquerade, masqueradeBackend, masqueradeFaults } from "../shared/masquerade/masquerade.ts";
import { statusOfNftables } from "../shared/nftables.ts";
import { openPod } from "../shared/pod.ts";
import { attachmentFaults, dressInterface } from "../shared/pod-interface.ts";
import { addCable, collectCables, deleteCable } from "../shared/veth.ts";

const options = config({
  mtu: [integer({ min: 0, max: 65535 }), 0, "Largest packet in bytes, of both ends of the cable; 0 takes the kernel's default."],
  ipMasq: [boolean, false, "Give packets that leave the pod's subnet the node's address, since the world has no route back to the pod's."],
  ipMasqBackend: [masqueradeBackend, undefined, "How: by nftables, or by the program iptables. Unless given, by nftables."],
});
type Config = ConfigOf<typeof options>;

const [BOOT, LINK, HOST] = [3, 253, 254]; // rtnetlink.h: RTPROT_BOOT, RT_SCOPE_LINK, RT_SCOPE_HOST

export default definePlugin({
  type: "ptp",
  about: "a cable between the pod and its node, and a route to the pod",
  config: options,

  add(context) {
    const { config: given, args, undo } = context;
    const host = undo.use(Netns.host());
    using pod = openPod(args.netns);

    // 1. The cable. Deleting one end deletes both, and the routes that lead to it. It comes before the address: an
    // attachment that is there already is told by its cable's name, and must not lose its address to our undoing.
    const { outside, far } = addCable(host, pod, { network: given.name, args, undo, mtu: given.mtu });
    const near = host.links.get(outside);

    // 2. The address. IPAM only keeps the books; nothing is configured until step 3.
    const lease = addIpam(context);
    const ends = endsOf(lease);

    // 3. The pod's side: address, up, routes; then its whole subnet goes to the gateway, for nobody else is on the cable.
    dressInterface(pod, far, { ...lease, dad: false, announce: [] });
    for (const end of ends) routeByGateway(pod, far, end);

    // 4. The node's side: the gateway's address, the way to the pod, and the node is a router now.
    for (const { gateway } of firstOfEach(ends)) host.addrs.add(near, { address: cidrOf(gateway), nodad: true });
    for (const { address } of ends) host.routes.ensure({ dst: cidrOf(address.ip), link: near.index, protocol: BOOT, scope: HOST });
    for (const family of new Set(ends.map(({ address }) => address.family))) ensureForwarding(host, family);

    // 5. The way out: the world has no route back to the pod's address, so the node lends its own.
    if (given.ipMasq) {
      undo.defer(() => deleteMasquerade(host, context, lease.ips));
      ensureMasquerade(host, context, lease.ips);
    }
    return resultOf(lease, given, { near, far, sandbox: args.netns });
  },

  // CHECK asks whether the world still looks as ADD left it. It changes nothing.
  check(context) {
    const { config: given, args, prevResult } = context;
    checkIpam(context);
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "ptp: Required prevResult missing");
    using host = Netns.host();
    using pod = openPod(args.netns);
    const ends = endsOf(prevResult);
    const far = pod.links.find(args.ifname);
    const near = far && host.links.find(far.linkIndex);
    const faults = [
      ...attachmentFaults(pod, args, prevResult),
      ...(far && far.kind !== "veth" ? [`"${args.ifname}" is no veth`] : []),
      ...(near ? ends.flatMap((end) => nodeFaults(host, near, end)) : ["the cable's end on the node is gone"]),
      ...(given.ipMasq ? masqueradeFaults(host, context, prevResult.ips) : []),
    ];
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL may be called twice, late, or after an ADD that failed. The address goes first, before anything that may be gone.
  del(context) {
    const { args, config: given, prevResult } = context;
    if (given.ipam) deleteIpam(context);
    using host = Netns.host();
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    deleteCable(host, pod, args);
    deleteMasquerade(host, context, prevResult?.ips);
  },

  // GC: the runtime lists every attachment that it still knows. Whatever else is this network's goes.
  gc(context) {
    const { config: given, valid } = context;
    if (given.ipam) collectIpam(context);
    if (!valid) return;
    using host = Netns.host();
    collectCables(host, given.name, valid.map(({ containerID, ifname }) => ({ containerId: containerID, ifname })));
    collectMasquerade(host, given, valid);
  },

  status(context) {
    statusOfIpam(context);
    using host = Netns.host();
    if (context.config.ipMasq) statusOfNftables(host);
  },
});

/** An address of the pod, and the gateway of its subnet: the cable's other end. */
interface End {
  address: Cidr;
  gateway: Ip;
}

function endsOf({ ips = [] }: Result): End[] {
  return ips.map(({ address, gateway }) => {
    if (gateway !== undefined) return { address: parseCidr(address), gateway: parseIp(gateway) };
    throw new CniError(ErrorCode.INVALID_CONFIG, `IPAM gave ${address} without a gateway (ptp needs one: it is the node's end of the cable)`);
  });
}

/** Two addresses of one subnet have one gateway. */
const firstOfEach = (ends: readonly End[]): End[] =>
  ends.filter(({ gateway }, at) => ends.findIndex((other) => String(other.gateway) === String(gateway)) === at);

/** Instead of the kernel's own route, which takes everybody in the subnet for a neighbour on the cable. */
function routeByGateway(pod: Netns, { index }: Link, { address, gateway }: End): void {
  const subnet = networkOf(address);
  const connected = pod.routes.list({ dst: subnet, link: index }).find(({ via, protocol }) => via === undefined && protocol === KERNEL);
  if (connected && address.prefix < address.ip.bytes.length * 8) pod.routes.delete(connected);
  const source = { link: index, source: address.ip, protocol: BOOT };
  pod.routes.prepend({ ...source, dst: cidrOf(gateway), scope: LINK });
  if (!sameCidr(subnet, cidrOf(gateway))) pod.routes.prepend({ ...source, dst: subnet, via: gateway });
}
const KERNEL = 2; // rtnetlink.h: RTPROT_KERNEL

function nodeFaults(host: Netns, near: Link, { address, gateway }: End): string[] {
  const has = host.addrs.list({ link: near }).some((one) => sameCidr(one.address, cidrOf(gateway)));
  return [
    ...(near.up ? [] : [`the cable's end on the node, "${near.name}", is down`]),
    ...(has ? [] : [`"${near.name}" has lost its address ${gateway}`]),
    ...(host.routes.findEntry(address.ip)?.link === near.index ? [] : [`the node has no route to ${address.ip} by "${near.name}"`]),
    ...(isForwarding(host, address.family) ? [] : [`the node does not forward IPv${address.family}`]),
  ];
}

function resultOf(lease: Result, { dns = lease.dns }: Config, { near, far, sandbox }: { near: Link; far: Link; sandbox: string }): Result {
  return {
    interfaces: [{ name: near.name, mac: String(near.mac) }, { name: far.name, mac: String(far.mac), sandbox }],
    ips: (lease.ips ?? []).map((ip) => ({ ...ip, interface: 1 })),
    ...(lease.routes && { routes: lease.routes }),
    ...(dns && { dns }),
  };
}
