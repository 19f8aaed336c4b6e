/**
 * bridge: plugs a pod into a switch on its node.
 *
 *        pod                               node
 *     ┌──────────────────────┐     ┌─────────────────────────────────────────┐
 *     │ eth0 10.1.2.5/24   ──┼─────┼─ veth1f03… ─┐                           │
 *     │ default via 10.1.2.1 │     │             ├─ cni0 10.1.2.1/24          │
 *     └──────────────────────┘     │  veth77ab… ─┘    │                      │
 *      another pod ────────────────┼──┘               └─ masquerade ─── eth0 ┼── the world
 *                                  └─────────────────────────────────────────┘
 *
 * ADD does six things, in this order, and each is a heading below:
 *   1 the switch   2 the cable   3 the address   4 the pod's side   5 the gateway   6 the way out
 *
 * Pods of one node reach each other through the switch, by their MAC addresses; without IPAM that is all there is, and
 * steps 3 to 6 are left out. Pods of other nodes are no concern of this plugin.
 *
 * Same options and results as the reference bridge plugin. Options are in ./options.ts, the switch in ./switch.ts,
 * VLANs in ./vlan.ts, the check of MAC addresses in ./spoof.ts; the cable, the pod's interface and masquerade in ../shared.
 */
import { CniError, ErrorCode, definePlugin, type Result, type Route } from "@vethwork/cni";
import { Netns, parseCidr, pause, type Link } from "@vethwork/linux";
import { complain } from "../shared/complaint.ts";
import { ensureForwarding } from "../shared/forwarding.ts";
import { addIpam, checkIpam, collectIpam, deleteIpam, statusOfIpam } from "../shared/ipam/delegate.ts";
import { collectMasquerade, deleteMasquerade, ensureMasquerade } from "../shared/masquerade/masquerade.ts";
import { statusOfNftables } from "../shared/nftables.ts";
import { openPod } from "../shared/pod.ts";
import { dressInterface } from "../shared/pod-interface.ts";
import { addCable, collectCables, deleteCable } from "../shared/veth.ts";
import { bridgeFaults } from "./faults.ts";
import { options, planOf, type Plan } from "./options.ts";
import { collectSpoofChecks, deleteSpoofCheck, ensureSpoofCheck } from "./spoof.ts";
import { ensureAddress, ensureBridge, firstOf, gatewayOf } from "./switch.ts";
import { deleteGatewayLinkIfUnused, ensureGatewayLink, joinVlans } from "./vlan.ts";

export default definePlugin({
  type: "bridge",
  about: "a switch on each node, with a port for each pod",
  config: options,

  add(context) {
    const { args, undo } = context;
    const plan = planOf(context.config, args);
    const host = undo.use(Netns.host());
    using pod = openPod(args.netns);

    // 1. The switch. Other pods hang on it, so it is found or made, and never undone.
    const bridge = ensureBridge(host, plan);

    // 2. The cable, and its place on the switch. Deleting one end deletes both.
    const { outside, far } = addCable(host, pod, { network: plan.name, args, undo, mtu: plan.mtu, bridge, ...(plan.mac && { mac: plan.mac }) });
    setPort(host, outside, plan);
    if (plan.macspoofchk && far.mac) {
      undo.defer(() => deleteSpoofCheck(host, args));
      ensureSpoofCheck(host, args, { outside, mac: far.mac });
    }

    let lease: Result = {};
    let gateway: Link | undefined;
    if (plan.ipam) {
      // 3. The address. IPAM only keeps the books; nothing is configured until step 4.
      lease = withGateways(addIpam(context), plan);

      // 4. The pod's side: address, then up, then routes. A route needs a device that is up.
      dressInterface(pod, far, { ...lease, dad: plan.enabledad, linkLocal: true, announce: [4] });

      // 5. The gateway: the switch gets an address in the pod's subnet, and the node is a router.
      if (plan.isGateway) gateway = becomeGateway(host, bridge, lease, plan);

      // 6. The way out: the world has no route back to the pod's address, so the node lends its own.
      if (plan.ipMasq) {
        undo.defer(() => deleteMasquerade(host, context, lease.ips));
        ensureMasquerade(host, context, lease.ips);
      }
    } else if (!plan.disableContainerInterface) {
      pod.links.set(far, { up: true });
    }

    // A port carries nothing until the switch has heard that both ends of its cable are up. Say "ready" only then.
    const near = plan.disableContainerInterface ? host.links.get(outside) : readyPort(host, outside);
    return resultOf(lease, plan, { bridge: host.links.get(bridge.name), near, far, gateway, sandbox: args.netns });
  },

  // CHECK asks whether the world still looks as ADD left it. It changes nothing.
  check(context) {
    const { config, args, prevResult } = context;
    if (config.ipam) checkIpam(context);
    if (!prevResult) throw new CniError(ErrorCode.INVALID_CONFIG, "Required prevResult missing");
    using host = Netns.host();
    using pod = openPod(args.netns);
    const faults = bridgeFaults(host, pod, { plan: planOf(config, args), args, prevResult });
    complain(`container "${args.containerId}" is not as it was added`, faults);
  },

  // DEL may be called twice, late, or after an ADD that failed. The address goes first, before anything that may be gone.
  del(context) {
    const { config, args, prevResult } = context;
    if (config.ipam) deleteIpam(context);
    using host = Netns.host();
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    deleteCable(host, pod, args);
    deleteSpoofCheck(host, args);
    if (config.ipam) deleteMasquerade(host, context, prevResult?.ips);
    if (config.vlan > 0) deleteGatewayLinkIfUnused(host, config);
  },

  // GC: the runtime lists every attachment that it still knows. Whatever else is this network's goes.
  gc(context) {
    const { config, valid } = context;
    if (config.ipam) collectIpam(context);
    if (!valid) return;
    using host = Netns.host();
    collectCables(host, config.name, valid.map(({ containerID, ifname }) => ({ containerId: containerID, ifname })));
    collectSpoofChecks(host);
    collectMasquerade(host, config, valid);
    if (config.vlan > 0) deleteGatewayLinkIfUnused(host, config);
  },

  status(context) {
    const { config, args } = context;
    planOf(config, { ...args, cniArgs: "" });
    if (config.ipam) statusOfIpam(context);
    using host = Netns.host();
    const kind = host.links.find(config.bridge)?.kind ?? "bridge";
    if (kind !== "bridge") throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `"${config.bridge}" already exists but is not a bridge`);
    if (config.ipMasq || config.macspoofchk) statusOfNftables(host);
  },
});

/** What the switch is told of this port alone; of most there is nothing. */
function setPort(host: Netns, name: string, plan: Plan): void {
  const { hairpinMode, portIsolation, vlan, trunk = [] } = plan;
  if (!hairpinMode && !portIsolation && vlan === 0 && trunk.length === 0) return;
  const port = host.links.get(name);
  if (hairpinMode || portIsolation) host.links.set(port, { ...(hairpinMode && { hairpin: true }), ...(portIsolation && { isolated: true }) });
  joinVlans(host, port, plan);
}

/** A gateway's address where IPAM gave none, and the way to it where the pod is to have one. */
function withGateways(lease: Result, { isGateway, isDefaultGateway }: Plan): Result {
  const ips = (lease.ips ?? []).map((ip) => (isGateway && ip.gateway === undefined ? { ...ip, gateway: firstOf(ip.address) } : ip));
  const routes: Route[] = [...(lease.routes ?? [])];
  for (const { address, gateway } of isDefaultGateway ? ips : []) {
    const dst = parseCidr(address).family === 4 ? "0.0.0.0/0" : "::/0";
    if (gateway !== undefined && !routes.some((route) => route.dst === dst)) routes.push({ dst, gw: gateway });
  }
  return { ...lease, ips, ...(routes.length > 0 && { routes }) };
}

/** Gives the gateway's link the addresses, and lets the node forward. Gives the link where it is not the bridge itself. */
function becomeGateway(host: Netns, bridge: Link, { ips = [] }: Result, plan: Plan): Link | undefined {
  const link = plan.vlan > 0 ? ensureGatewayLink(host, bridge, plan) : bridge;
  for (const ip of ips) {
    const address = gatewayOf(ip);
    ensureAddress(host, link, address, plan);
    ensureForwarding(host, address.family);
  }
  return plan.vlan > 0 ? host.links.get(link.name) : undefined;
}

function readyPort(host: Netns, name: string): Link {
  const TIMEOUT_MS = 2_550; // as long as the reference
  for (let waitedMs = 0, ms = 1; ; waitedMs += ms, ms = ms < 50 ? ms * 2 : ms) {
    const port = host.links.get(name);
    if (port.operational) return port;
    if (waitedMs > TIMEOUT_MS) throw new CniError(ErrorCode.INTERNAL, `bridge port in error state: "${name}" is not up`);
    pause(ms);
  }
}

interface Made {
  bridge: Link;
  near: Link;
  far: Link;
  gateway: Link | undefined;
  sandbox: string;
}

function resultOf({ ips = [], routes = [], dns: leased }: Result, { dns = leased }: Plan, { bridge, near, far, gateway, sandbox }: Made): Result {
  const described = ({ name, mac }: Link) => ({ name, mac: String(mac) });
  return {
    interfaces: [described(bridge), described(near), { ...described(far), sandbox }, ...(gateway ? [described(gateway)] : [])],
    ...(ips.length > 0 && { ips: ips.map((ip) => ({ ...ip, interface: 2 })) }),
    ...(routes.length > 0 && { routes }),
    ...(dns && { dns }),
  };
}
