/**
 * macvlan: gives a pod a network card of its own on the node's wire, with a MAC address that the wire sees.
 *
 *        pod                              node
 *     ┌────────────────────────┐      ┌───────────────┐
 *     │ eth0 10.1.2.5/24       │      │ ens3 ─────────┼──── the wire, its router, its DHCP server
 *     │   02:…:05  ────────────┼──────┼──┘            │
 *     └────────────────────────┘      └───────────────┘
 *
 * The pod stands beside the node in the node's own subnet: no routes, no NAT. The price: the node itself cannot speak with
 * its pods by that card (the kernel hands nothing from a macvlan to its parent), many clouds drop MAC addresses that they
 * did not give out, and a wireless card has but one. Modes: in `bridge` pods of one parent reach each other at once, in `vepa`
 * by way of the switch, in `private` not at all; `passthru` gives one pod the whole card.
 *
 * Same options and results as the reference macvlan plugin; what such devices share is ../shared/subinterface.ts.
 */
import { config, boolean, definePlugin, integer, mac, object, oneOf, string } from "@vethwork/cni";
import { wantedMac } from "../shared/mac.ts";
import { addSubinterface, checkMtu, checkSubinterface, collectSubinterfaces, deleteSubinterface, parentOf, statusOfSubinterface } from "../shared/subinterface.ts";

const options = config({
  master: [string, "", "The node's device to sit on; unless given, that of the default route."],
  mode: [{ ...oneOf("bridge", "private", "vepa", "passthru"), emptyIsAbsent: true }, "bridge", "Who reaches whom among the pods of one parent."],
  mtu: [integer, 0, "Largest packet in bytes, no more than the parent's; 0 takes the parent's."],
  mac: [mac, undefined, "The pod's MAC address; unless given, the kernel chooses one."],
  linkInContainer: [boolean, false, "Look for the parent in the pod instead of on the node."],
  bcqueuelen: [integer({ min: 0 }), 0, "How many broadcast frames may wait for the pod; 0 takes the kernel's default."],
  runtimeConfig: [object({ mac: [mac, undefined, "The MAC address of the pod's interface."] }), {}, "What the runtime supplies for declared capabilities: `mac`."],
});

export default definePlugin({
  type: "macvlan",
  about: "a card of its own on the node's wire, with a MAC address of its own",
  config: options,

  add(context) {
    const { mode, master, mtu, linkInContainer, bcqueuelen } = context.config;
    const address = wantedMac(context.config, context.args);
    return addSubinterface(context, {
      announce: [4, 6],
      make: (name, { host, pod }) => {
        const home = linkInContainer ? pod : host;
        const parent = parentOf(home, master);
        checkMtu(mtu, parent);
        home.links.add({
          kind: "macvlan", name, parent: parent.index, mode,
          ...(!linkInContainer && { netnsFd: pod.fd }), ...(mtu > 0 && { mtu }), ...(address && { mac: address }), ...(bcqueuelen > 0 && { broadcastQueue: bcqueuelen }),
        });
      },
    });
  },

  check(context) {
    const { mode, master, linkInContainer } = context.config;
    checkSubinterface(context, "macvlan", (link, { host, pod }) => {
      const parent = parentOf(linkInContainer ? pod : host, master);
      return [
        ...(link.mode === mode ? [] : [`its mode is ${link.mode} (${mode} is wanted)`]),
        ...(link.linkIndex === parent.index ? [] : [`it does not sit on "${parent.name}"`]),
      ];
    });
  },

  del: deleteSubinterface,
  gc: collectSubinterfaces,
  status: (context) => statusOfSubinterface(context, context.config.linkInContainer || context.config.master === "" ? undefined : context.config.master),
});
