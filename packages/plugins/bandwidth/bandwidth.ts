/**
 * bandwidth: limits how much a pod may get and send.
 *
 *                  the node                                               pod
 *                ┌──────────────────────────────────────────────┐      ┌──────┐
 *     to it  ────┼──► veth… root tbf 1: ────────────────────────┼─────►│      │   ingress
 *                │                                              │      │ eth0 │
 *     from it ◄──┼── bwp… (ifb) root tbf 1: ◄── ingress filter ─┼──────┤      │   egress
 *                └──────────────────────────────────────────────┘      └──────┘
 *
 * A link holds back what it sends and not what it receives. So what the pod sends is led to an ifb, a device that does
 * nothing but send it, through a queue of its own, back to where it was. With subnets, ./lanes.ts, only some of it is.
 *
 * Limits sit at the cable's end on the node, where the pod cannot get at them. A device without such an end (macvlan, ipvlan,
 * vlan, a device of the node's own) is limited in the pod: the same picture with the sides changed, and a pod that may
 * administer its network may take it away.
 *
 * Same options, names, numbers and results as the reference bandwidth plugin.
 */
import { CniError, ErrorCode, createUndo, definePlugin, type Args } from "@vethwork/cni";
import { KernelError, Netns, type Link } from "@vethwork/linux";
import { interfaceOf, resultBefore } from "../shared/chained.ts";
import { complain } from "../shared/complaint.ts";
import { openPod } from "../shared/pod.ts";
import { collectIfbs, deleteIfbs } from "./ifb.ts";
import { lanesOf, type Lane } from "./lanes.ts";
import { limitsOf, options, type Limits } from "./options.ts";
import { shape, shapingFaults, type Place } from "./shaping.ts";

export default definePlugin({
  type: "bandwidth",
  about: "limits how much a pod may get and send, or may from and to some subnets",
  config: options,

  add({ config: given, args, undo, prevResult }) {
    const limits = limitsOf(given);
    const before = resultBefore({ prevResult });
    if (!isLimited(limits)) return before;
    const [host, pod] = [undo.use(Netns.host()), undo.use(openPod(args.netns))];
    const place = placeFor({ host, pod }, given.name, args);
    const ifbs = shape(place, { lanes: lanesAt(place, host, limits), undo });
    const sandbox = place.netns === pod ? { sandbox: args.netns } : {};
    return { ...before, interfaces: [...before.interfaces ?? [], ...ifbs.map((ifb) => ({ ...ifb, ...sandbox }))] };
  },

  // CHECK asks whether buckets, ifbs and filters are still there, with every number. It changes nothing.
  check({ config: given, args, prevResult }) {
    const limits = limitsOf(given);
    resultBefore({ prevResult });
    if (!isLimited(limits)) return;
    using host = Netns.host();
    using pod = openPod(args.netns);
    const place = placeFor({ host, pod }, given.name, args);
    const faults = shapingFaults(place, lanesAt(place, host, limits));
    complain(`container "${args.containerId}" is not limited as it was`, faults);
  },

  // DEL: all but the ifbs goes with the interface.
  del({ config: { name }, args }) {
    const owner = { network: name, containerId: args.containerId, ifname: args.ifname };
    using host = Netns.host();
    deleteIfbs(host, owner);
    using pod = args.netns === "" ? undefined : Netns.find(args.netns);
    if (pod) deleteIfbs(pod, owner);
  },

  // GC: the same for attachments that the runtime no longer knows. Those in pods are gone with them.
  gc({ config: { name }, valid }) {
    using host = Netns.host();
    if (valid) collectIfbs(host, name, valid);
  },

  // STATUS: whether the kernel can shows only when it is asked to, here in a namespace that nobody sees.
  status() {
    using scratch = Netns.create();
    const limit = { rate: 8000, burst: 8000 };
    try {
      scratch.links.add({ kind: "ifb", name: "port" });
      const place = { netns: scratch, port: scratch.links.get("port"), owner: { network: "", containerId: "", ifname: "" } };
      shape(place, { lanes: lanesAt(place, scratch, { ingress: limit, egress: limit, scope: undefined }), undo: createUndo() });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const wanted = "CONFIG_IFB, CONFIG_NET_SCH_TBF, CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED are wanted";
      throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, `this kernel cannot limit what is sent (${wanted})`, { cause: error });
    }
  },
});

const isLimited = ({ ingress, egress }: Limits): boolean => ingress !== undefined || egress !== undefined;

/** The cable's end on the node; where there is none, the device itself, in the pod. */
function placeFor({ host, pod }: { host: Netns; pod: Netns }, network: string, args: Args): Place {
  const owner = { network, containerId: args.containerId, ifname: args.ifname };
  const far: Link = interfaceOf(pod, args);
  const near = host.links.findPeer(pod, far);
  return near ? { netns: host, port: near, owner } : { netns: pod, port: far, owner };
}

const lanesAt = ({ netns, port: { mtu } }: Place, host: Netns, limits: Limits): Lane[] => lanesOf(limits, { mtu, facesPod: netns === host });
