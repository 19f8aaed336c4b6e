/**
 * ipvlan: gives a pod addresses of its own on the node's wire, behind the node's MAC address.
 *
 *        pod                              node
 *     ┌────────────────────────┐      ┌───────────────┐
 *     │ eth0 10.1.2.5/24       │      │ ens3 ─────────┼──── the wire sees one MAC address, and many IP addresses
 *     │   the node's MAC ──────┼──────┼──┘            │
 *     └────────────────────────┘      └───────────────┘
 *
 * For wires that know every MAC address, as clouds' and wireless ones do, where macvlan's are dropped. In `l2` pods answer
 * for themselves (ARP); in `l3` the node's kernel routes between them and nothing broadcasts; `l3s` is that with the node's
 * packet filters in the way.
 *
 * Behind another plugin of the chain it takes that one's interface as parent, and without IPAM its addresses, too.
 * Same options and results as the reference ipvlan plugin; what such devices share is ../shared/subinterface.ts.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, oneOf, string, type Result } from "@vethwork/cni";
import { addSubinterface, checkSubinterface, collectSubinterfaces, deleteSubinterface, parentOf, statusOfSubinterface } from "../shared/subinterface.ts";

const options = config({
  master: [string, "", "The node's device to sit on; unless given, the interface of the plugin before, or that of the default route."],
  mode: [{ ...oneOf("l2", "l3", "l3s"), emptyIsAbsent: true }, "l2", "Who answers for the pod's addresses: the pod, or the node's kernel."],
  mtu: [integer({ min: 0, max: 65535 }), 0, "Largest packet in bytes; 0 takes the parent's."],
  linkInContainer: [boolean, false, "Look for the parent in the pod instead of on the node."],
});

export default definePlugin({
  type: "ipvlan",
  about: "addresses of its own on the node's wire, behind the node's MAC address",
  config: options,

  add(context) {
    const { config: { mode, mtu, linkInContainer, ipam }, prevResult } = context;
    if (!ipam && (prevResult?.ips ?? []).length === 0) {
      throw new CniError(ErrorCode.INVALID_CONFIG, "no addresses for the pod: there is no IPAM plugin, and the plugin before gave none");
    }
    const master = masterOf(context.config.master, prevResult);
    return addSubinterface(context, {
      announce: [4, 6],
      given: ipam ? undefined : prevResult,
      make: (name, { host, pod }) => {
        const home = linkInContainer ? pod : host;
        home.links.add({ kind: "ipvlan", name, parent: parentOf(home, master).index, mode, ...(!linkInContainer && { netnsFd: pod.fd }), ...(mtu > 0 && { mtu }) });
      },
    });
  },

  check(context) {
    const { mode } = context.config;
    checkSubinterface(context, "ipvlan", (link) => (link.mode === mode ? [] : [`its mode is ${link.mode} (${mode} is wanted)`]));
  },

  del: deleteSubinterface,
  gc: collectSubinterfaces,
  status: (context) => statusOfSubinterface(context, context.config.linkInContainer || context.config.master === "" ? undefined : context.config.master),
});

/** Behind another plugin its one interface is the parent. */
function masterOf(master: string, prevResult: Result | undefined): string {
  if (master !== "" || !prevResult) return master;
  const [only, ...more] = prevResult.interfaces ?? [];
  if (only && only.name !== "" && more.length === 0) return only.name;
  throw new CniError(ErrorCode.INVALID_CONFIG, "chained master failure. PrevResult lacks a single named interface");
}
