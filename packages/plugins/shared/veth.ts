/**
 * A cable for a pod: a pair of virtual Ethernet devices, one end in the pod under the name that the runtime asked for,
 * the other on the node under a name made of the attachment (./attachment.ts), with an alias that says whose it is.
 */
import { CniError, ErrorCode, type Args, type Undo } from "@vethwork/cni";
import { isErrno, type Link, type Mac, type Netns } from "@vethwork/linux";
import { hostEndName, isOfNetwork, labelOf, type Attached } from "./attachment.ts";

export interface CableWish {
  /** The network's name. */
  network: string;
  args: Args;
  undo: Undo;
  /** In bytes, of both ends; 0 is the kernel's default. */
  mtu: number;
  /** The bridge that the node's end is to be a port of. */
  bridge?: Link;
  /** Of the pod's end; unless given, the kernel's choice. */
  mac?: Mac;
}

export interface Cable {
  /** Name of the node's end. */
  outside: string;
  far: Link;
}

/**
 * Makes it, with the inner end already inside the pod; the node's end is up, the pod's is not. CniError 4 where the
 * name is taken, in the pod or on the node (an attachment that nobody deleted).
 */
export function addCable(host: Netns, pod: Netns, { network, args, undo, mtu, mac, bridge }: CableWish): Cable {
  const outside = hostEndName(args);
  const size = mtu > 0 ? { mtu } : {};
  try {
    host.links.add({ kind: "veth", name: outside, ...size, peer: { name: args.ifname, netnsFd: pod.fd, ...size, ...(mac && { mac }) } });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    const taken = `container veth name (${JSON.stringify(args.ifname)}) peer provided (${JSON.stringify(outside)}) already exists`;
    throw new CniError(ErrorCode.INVALID_ENVIRONMENT, taken, { cause: error });
  }
  undo.defer(() => host.links.delete(outside)); // both ends go with one
  // The node must not take IPv6 routes from what a pod advertises.
  host.sysctl.write(`net/ipv6/conf/${outside}/accept_ra`, 0);
  // The node asks for its pods' MAC addresses from its link-local one, and must not wait a second to see whether that is
  // a duplicate: there is but one other on the cable.
  host.sysctl.write(`net/ipv6/conf/${outside}/accept_dad`, 0);
  host.links.set(outside, { alias: labelOf(network, args), ...(bridge && { master: bridge }), up: true });
  return { outside, far: pod.links.get(args.ifname) };
}

/** Deletes it from whichever side can be seen: by its name on the node, and the pod's interface, which another program may have made. */
export function deleteCable(host: Netns, pod: Netns | undefined, attached: Attached): void {
  host.links.delete(hostEndName(attached));
  pod?.links.delete(attached.ifname);
}

/** Deletes every cable of the network that belongs to none of these. */
export function collectCables(host: Netns, network: string, keep: readonly Attached[]): void {
  const names = keep.map(hostEndName);
  for (const link of host.links.list()) {
    if (link.kind === "veth" && isOfNetwork(network, link) && !names.includes(link.name)) host.links.delete(link.name);
  }
}
