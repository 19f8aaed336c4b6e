/**
 * tap: gives a pod a device whose other end is a program in it: a virtual machine, a userspace stack.
 *
 *        pod
 *     ┌───────────────────────────────────────────────────────┐
 *     │ eth0 (tap) ── /dev/net/tun ── program, by user 107    │   with addresses of its own, by IPAM …
 *     │                                                       │
 *     │ br0 ─┬─ tap0 ─ /dev/net/tun ── virtual machine        │   … or as a port of a bridge in the pod
 *     │      └─ eth0                                          │
 *     └───────────────────────────────────────────────────────┘
 *
 * The device persists: the program comes later, opens it by its name, and needs no rights for that if `owner` or `group` name
 * who it is. Which security label it has, where SELinux rules, is ./labelled.ts.
 *
 * Same options and results as the reference tap plugin; what such devices share is ../shared/subinterface.ts.
 */
import { CniError, ErrorCode, boolean, config, definePlugin, integer, mac, object, string } from "@vethwork/cni";
import { addTap, isDevice, type Link, type Netns } from "@vethwork/linux";
import { wantedMac } from "../shared/mac.ts";
import { addSubinterface, checkSubinterface, collectSubinterfaces, deleteSubinterface, statusOfSubinterface } from "../shared/subinterface.ts";
import { addLabelledTap } from "./labelled.ts";

const id = integer({ min: 0, max: 0xffff_fffe });

const options = config({
  multiQueue: [boolean, false, "Let several programs, or threads of one, open the device at once."],
  mtu: [integer({ min: 0, max: 65535 }), 0, "Largest packet in bytes; 0 takes the kernel's default."],
  mac: [mac, undefined, "The pod's MAC address; unless given, the kernel chooses one."],
  owner: [id, undefined, "The number of the user who may open the device beside root."],
  group: [id, undefined, "The number of the group who may open the device beside root."],
  selinuxContext: [string, "", "The security label under which the device is made, such as system_u:system_r:container_t:s0."],
  bridge: [string, "", "A bridge in the pod whose port the device is to be."],
  runtimeConfig: [object({ mac: [mac, undefined, "The MAC address of the pod's interface."] }), {}, "What the runtime supplies for declared capabilities: `mac`."],
});

export default definePlugin({
  type: "tap",
  about: "a device whose other end is a program in the pod",
  config: options,

  add(context) {
    const { multiQueue, mtu, owner, group, selinuxContext, bridge } = context.config;
    const address = wantedMac(context.config, context.args);
    return addSubinterface(context, {
      announce: [4],
      make: (name, { pod }) => {
        const master = bridgeOf(pod, bridge);
        const tap = { name, multiQueue, ...(owner !== undefined && { owner }), ...(group !== undefined && { group }) };
        if (selinuxContext === "") addTap(pod, tap);
        else addLabelledTap(pod, tap, selinuxContext);
        pod.links.set(pod.links.get(name), { ...(mtu > 0 && { mtu }), ...(address && { mac: address }), ...(master && { master }) });
      },
    });
  },

  check(context) {
    const { multiQueue, mtu, owner, group, bridge } = context.config;
    checkSubinterface(context, "tun", ({ tun, mtu: now, master }, { pod }) => [
      ...(tun?.tap ? [] : ["it is no tap"]),
      ...(tun?.owner === owner && tun?.group === group ? [] : [`it is user ${tun?.owner ?? "nobody"}'s and group ${tun?.group ?? "nobody"}'s (${owner ?? "nobody"} and ${group ?? "nobody"} are wanted)`]),
      ...(tun?.multiQueue === multiQueue ? [] : [`it has ${multiQueue ? "one queue" : "many queues"}`]),
      ...(mtu === 0 || now === mtu ? [] : [`its MTU is ${now} (${mtu} is wanted)`]),
      ...(bridge === "" || master === bridgeOf(pod, bridge)?.index ? [] : [`it is no port of "${bridge}"`]),
    ]);
  },

  del: deleteSubinterface,
  gc: collectSubinterfaces,

  status(context) {
    statusOfSubinterface(context);
    if (!isDevice("/dev/net/tun")) throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "there is no /dev/net/tun (the kernel module tun is wanted)");
  },
});

/** The bridge of that name in the pod; undefined for "". CniError 7 where there is none. */
function bridgeOf(pod: Netns, name: string): Link | undefined {
  if (name === "") return undefined;
  const link = pod.links.find(name);
  if (link?.kind === "bridge") return link;
  throw new CniError(ErrorCode.INVALID_CONFIG, `the pod has no bridge ${JSON.stringify(name)} (the option "bridge" wants one that is there)`);
}
