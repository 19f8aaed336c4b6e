/**
 * The forwarding database of a VXLAN device: at which host a MAC address is to be found (bridge-fdb(8)).
 *
 *     frame to 0e:5f:…  ──▶  0e:5f:… is at 192.0.2.12  ──▶  UDP to 192.0.2.12, the device's port
 *
 * Entries are set by hand and never age. A frame to a MAC address that is not in there is dropped.
 */
import { ipFrom, type Ip } from "./ip.ts";
import type { Link } from "./links.ts";
import { macFrom, type Mac } from "./mac.ts";
import type { Failure, NetlinkSocket, Request } from "./netlink.ts";
import type { Netns } from "./netns.ts";
import { NTF, NUD, neighbour } from "./uapi/neighbour.ts";
import { NETLINK, NLM_F } from "./uapi/netlink.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import { AF } from "./uapi/socket.ts";

type On = Pick<Link, "index" | "name">;

export interface FdbEntry {
  mac: Mac;
  /** The other host's address. */
  host: Ip;
}

export interface Fdb {
  list(link: On): FdbEntry[];
  /** Makes the entries, or changes those that are there, in few requests; gives those that failed. */
  ensureAll(link: On, entries: readonly FdbEntry[]): Failure[];
  deleteAll(link: On, macs: readonly Mac[]): Failure[];
}

/** Of the VXLAN devices in the namespace. */
export const fdbIn = (netns: Pick<Netns, "netlink">): Fdb => createFdb(() => netns.netlink(NETLINK.ROUTE));

/** @param rtnl the socket of the namespace whose devices are meant, opened when first used */
export function createFdb(rtnl: () => NetlinkSocket): Fdb {
  return {
    list: ({ index, name }) => {
      const value = { ndm_family: AF.BRIDGE, ndm_ifindex: index };
      const request = { what: `list where "${name}" finds whom`, type: RTM.GETNEIGH, codec: neighbour, value };
      return rtnl().dump(request, entryFrom).filter((entry) => entry !== undefined);
    },
    ensureAll: (link, entries) => rtnl().series(entries.map(({ mac, host }): Request<unknown> => ({
      what: `tell "${link.name}" that ${mac} is at ${host}`,
      type: RTM.NEWNEIGH,
      flags: NLM_F.CREATE | NLM_F.REPLACE,
      codec: neighbour,
      value: { ...headerOf(link), ndm_state: NUD.NOARP | NUD.PERMANENT, attrs: { LLADDR: mac.bytes, DST: host.bytes } },
    }))),
    deleteAll: (link, macs) => rtnl().series(macs.map((mac): Request<unknown> => ({
      what: `tell "${link.name}" no longer where ${mac} is`, type: RTM.DELNEIGH, codec: neighbour, value: { ...headerOf(link), attrs: { LLADDR: mac.bytes } },
    }))),
  };
}

const headerOf = ({ index }: On) => ({ ndm_family: AF.BRIDGE, ndm_ifindex: index, ndm_flags: NTF.SELF });

/** The entry for whom no other fits has a MAC address of zeros, and may have no host. */
function entryFrom(body: Uint8Array): FdbEntry | undefined {
  const { LLADDR, DST } = neighbour.decode(body).attrs;
  return LLADDR && DST && { mac: macFrom(LLADDR), host: ipFrom(DST) };
}
