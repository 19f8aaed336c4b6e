/**
 * vlan: gives a pod a card in one VLAN of the node's wire.
 *
 *        pod                              node
 *     ┌────────────────────────┐      ┌──────────────────────────┐
 *     │ eth0 10.1.2.5/24 ──────┼──────┼─ ens3, tag 100 on and off ┼──── a trunk port of the switch
 *     └────────────────────────┘      └──────────────────────────┘
 *
 * The pod sees plain frames; the kernel puts the 802.1Q tag on and takes it off. A parent has one such device for each
 * VLAN, so one pod for each VLAN and parent: for more, put a bridge or macvlan on a VLAN device of the node.
 *
 * Same options and results as the reference vlan plugin; what such devices share is ../shared/subinterface.ts.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, string } from "@vethwork/cni";
import { addSubinterface, checkMtu, checkSubinterface, collectSubinterfaces, deleteSubinterface, parentOf, statusOfSubinterface } from "../shared/subinterface.ts";

const options = config({
  master: [string, "", "The node's device whose wire has the VLAN. Must be given."],
  vlanId: [integer, 0, "The VLAN, 0 to 4094."],
  mtu: [integer, 0, "Largest packet in bytes, no more than the parent's; 0 takes the parent's."],
  linkInContainer: [boolean, false, "Look for the parent in the pod instead of on the node."],
});

const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);

export default definePlugin({
  type: "vlan",
  about: "a card in one VLAN of the node's wire",
  config: options,

  add(context) {
    const { master, vlanId, mtu, linkInContainer, ipam } = context.config;
    if (master === "") throw invalid('"master" field is required. It specifies the host interface name to create the VLAN for');
    if (vlanId < 0 || vlanId > 4094) throw invalid(`invalid VLAN ID ${vlanId} (must be between 0 and 4094)`);
    if (!ipam) throw invalid("failed to execute IPAM delegate: no plugin name provided");
    return addSubinterface(context, {
      announce: [],
      make: (name, { host, pod }) => {
        const home = linkInContainer ? pod : host;
        const parent = parentOf(home, master);
        checkMtu(mtu, parent);
        home.links.add({ kind: "vlan", name, parent: parent.index, id: vlanId, ...(!linkInContainer && { netnsFd: pod.fd }), ...(mtu > 0 && { mtu }) });
      },
    });
  },

  check(context) {
    const { vlanId, mtu } = context.config;
    checkSubinterface(context, "vlan", (link) => [
      ...(link.mode === String(vlanId) ? [] : [`it is in VLAN ${link.mode} (${vlanId} is wanted)`]),
      ...(mtu === 0 || link.mtu === mtu ? [] : [`its MTU is ${link.mtu} (${mtu} is wanted)`]),
    ]);
  },

  del: deleteSubinterface,
  gc: collectSubinterfaces,
  status: (context) => statusOfSubinterface(context, context.config.linkInContainer || context.config.master === "" ? undefined : context.config.master),
});
