/**
 * VLANs of a bridge's ports (bridge-vlan(8)): which tags a port lets through, on a bridge that filters by them.
 *
 *     port of VLAN 10, the pod knows of no VLAN      add(port, { id: 10, pvid: true, untagged: true })
 *     port that carries VLAN 20 with its tag         add(port, { id: 20 })
 *
 * Needs CONFIG_BRIDGE_VLAN_FILTERING; without it the kernel says EOPNOTSUPP.
 */
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { BRIDGE_VLAN_INFO, RTEXT_FILTER, portVlans } from "./uapi/if_bridge.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import { AF } from "./uapi/socket.ts";
import type { Value } from "./wire/codec.ts";

export interface PortVlan {
  /** 1 to 4094. */
  id: number;
  /** What comes in without a tag is of this VLAN. A port has one such at the most. */
  pvid?: boolean;
  /** What goes out of this VLAN goes without its tag. */
  untagged?: boolean;
}

export interface Vlans {
  /** Lets the VLAN through; one that is there already gets these flags. */
  ensure(port: Link, vlan: PortVlan): void;
  /** Those of the port. */
  list(port: Link): PortVlan[];
  /** The indices of the ports that let the VLAN through, of every bridge. */
  members(id: number): number[];
  delete(port: Link, id: number): void;
}

const { PVID, UNTAGGED } = BRIDGE_VLAN_INFO;

/** The message that makes or takes a VLAN of a port. */
export const vlanMessage = ({ index }: Pick<Link, "index">, { id, pvid = false, untagged = false }: PortVlan): Value<typeof portVlans> => ({
  ifi_family: AF.BRIDGE,
  ifi_index: index,
  attrs: { AF_SPEC: [{ flags: (pvid ? PVID : 0) | (untagged ? UNTAGGED : 0), vid: id }] },
});

/** @param rtnl the socket of the namespace whose ports are meant, opened when first used */
export function createVlans(rtnl: () => NetlinkSocket): Vlans {
  const change = (verb: string, type: number, port: Link, vlan: PortVlan): void =>
    rtnl().request({ what: `${verb} VLAN ${vlan.id} of port "${port.name}"`, type, codec: portVlans, value: vlanMessage(port, vlan) });
  const dump = () => {
    const value = { ifi_family: AF.BRIDGE, attrs: { EXT_MASK: RTEXT_FILTER.BRVLAN } };
    return rtnl().dump({ what: "list VLANs of ports", type: RTM.GETLINK, codec: portVlans, value }, (body) => portVlans.decode(body));
  };
  return {
    ensure: (port, vlan) => change("set", RTM.SETLINK, port, vlan),
    list: (port) => dump().filter(({ ifi_index }) => ifi_index === port.index).flatMap(({ attrs }) => (attrs.AF_SPEC ?? []).map(vlanFrom)),
    members: (id) => dump().filter(({ attrs }) => attrs.AF_SPEC?.some(({ vid }) => vid === id)).map(({ ifi_index }) => ifi_index),
    delete: (port, id) => change("delete", RTM.DELLINK, port, { id }),
  };
}

function vlanFrom({ flags = 0, vid = 0 }: { flags?: number; vid?: number }): PortVlan {
  return { id: vid, ...((flags & PVID) !== 0 && { pvid: true }), ...((flags & UNTAGGED) !== 0 && { untagged: true }) };
}
