/**
 * VLANs: one bridge as several switches that do not see each other.
 *
 *     pod, vlan 10 ───── port: pvid 10, untagged ─┐
 *     pod, trunk 20-30 ─ port: 20 … 30 tagged ────┤ cni0, which filters by VLAN
 *     cni0.10 10.1.2.1 ─ port: pvid 10, untagged ─┘
 *
 * With a VLAN the bridge itself is not the pod's neighbour, so the gateway's address is on a cable of its own, cni0.10,
 * whose other end is a port of that VLAN. It goes when no port but its own is left in the VLAN; the reference leaves it.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import { isErrno, type Link, type Netns, type PortVlan } from "@vethwork/linux";
import { hostEndName } from "../shared/attachment.ts";

const NATIVE = 1; // the bridge's own default VLAN (IFLA_BR_VLAN_DEFAULT_PVID)
const LAST = 4094; // IEEE 802.1Q: 0 is no VLAN, 4095 is reserved

export interface TrunkItem {
  minID: number | undefined;
  maxID: number | undefined;
  id: number | undefined;
}

/** The VLANs that the items name, each once, in order. CniError 7 in the reference's words. */
export function trunkIds(items: readonly TrunkItem[]): number[] {
  const ids = items.flatMap(({ minID, maxID, id }) => {
    if (minID !== undefined && maxID === undefined) throw invalid("minID and maxID should be configured simultaneously, maxID is missing");
    if (maxID !== undefined && minID === undefined) throw invalid("minID and maxID should be configured simultaneously, minID is missing");
    if (minID !== undefined && !isId(minID)) throw invalid("incorrect trunk minID parameter");
    if (maxID !== undefined && !isId(maxID)) throw invalid("incorrect trunk maxID parameter");
    if (minID !== undefined && maxID !== undefined && minID > maxID) throw invalid("minID is greater than maxID in trunk parameter");
    if (id !== undefined && !isId(id)) throw invalid("incorrect trunk id parameter");
    const run = minID === undefined || maxID === undefined ? [] : Array.from({ length: maxID - minID + 1 }, (_, at) => minID + at);
    return id === undefined ? run : [...run, id];
  });
  return [...new Set(ids)].toSorted((a, b) => a - b);
}

/** What a port is asked to be. */
export interface PortPlan {
  vlan: number;
  trunk: readonly number[] | undefined;
  preserveDefaultVlan: boolean;
}

/** The VLANs of the port; none where it is an ordinary one. */
export function vlansOf({ vlan, trunk }: Omit<PortPlan, "preserveDefaultVlan">): PortVlan[] {
  const untagged = vlan > 0 ? vlan : trunk && trunk.length > 0 ? NATIVE : undefined;
  const tagged = (trunk ?? []).filter((id) => id !== untagged).map((id) => ({ id }));
  return [...(untagged === undefined ? [] : [{ id: untagged, pvid: true, untagged: true }]), ...tagged];
}

/** Puts the port into its VLANs, and takes it out of the one that the bridge put it into. */
export function joinVlans(host: Netns, port: Link, plan: PortPlan): void {
  const wanted = vlansOf(plan);
  if (wanted.length === 0) return;
  withVlans(() => {
    const unwanted = plan.preserveDefaultVlan ? [] : host.vlans.list(port).filter(({ id }) => !wanted.some((one) => one.id === id));
    for (const { id } of unwanted) host.vlans.delete(port, id);
    for (const vlan of wanted) host.vlans.ensure(port, vlan);
  });
}

/** CniError 50 where the kernel was built without what the work needs. */
export function withVlans(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP")) throw error;
    throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "this kernel's bridges know no VLANs (CONFIG_BRIDGE_VLAN_FILTERING is wanted)", { cause: error });
  }
}

/** What of the port's VLANs is missing, in words. */
export function vlanFaults(host: Netns, port: Link, plan: PortPlan): string[] {
  const wanted = vlansOf(plan);
  const there = wanted.length === 0 ? [] : host.vlans.list(port);
  return wanted.filter(({ id }) => !there.some((one) => one.id === id)).map(({ id }) => `port "${port.name}" is not in VLAN ${id}`);
}

interface Named {
  bridge: string;
  vlan: number;
}

/** The link that has the gateway's address: cni0.10. */
export const gatewayLinkName = ({ bridge, vlan }: Named): string => `${bridge}.${vlan}`;

const gatewayPortName = (named: Named): string => hostEndName({ containerId: gatewayLinkName(named), ifname: "" });

/** Makes the gateway's own cable, or finds it. */
export function ensureGatewayLink(host: Netns, bridge: Link, { vlan }: { vlan: number }): Link {
  const named = { bridge: bridge.name, vlan };
  const name = gatewayLinkName(named);
  const found = host.links.find(name);
  if (found) return found;
  const { mtu } = bridge;
  host.links.add({ kind: "veth", name, mtu, peer: { name: gatewayPortName(named), mtu } });
  const port = host.links.get(gatewayPortName(named));
  host.sysctl.setIfThere(`net/ipv6/conf/${port.name}/accept_ra`, 0); // as of every port: not from what a pod advertises
  host.links.set(port, { master: bridge, up: true }); // not at birth: an end does not come up before it has its peer
  host.links.set(host.links.get(name), { up: true });
  joinVlans(host, port, { vlan, trunk: undefined, preserveDefaultVlan: false });
  return host.links.get(name);
}

/** Takes the gateway's cable away where its port is the last one in its VLAN. Made by the reference, it has another port, and stays. */
export function deleteGatewayLinkIfUnused(host: Netns, named: Named): void {
  const bridge = host.links.find(named.bridge);
  const port = host.links.find(gatewayPortName(named));
  if (!bridge || port?.master !== bridge.index) return;
  const members = host.vlans.members(named.vlan);
  const others = host.links.list().filter(({ index, master }) => master === bridge.index && index !== port.index && members.includes(index));
  if (others.length === 0) host.links.delete(gatewayLinkName(named));
}

const isId = (id: number): boolean => id >= 1 && id <= LAST;
const invalid = (message: string): CniError => new CniError(ErrorCode.INVALID_CONFIG, message);
