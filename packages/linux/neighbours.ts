/** Neighbours: which MAC address an IP address on the link has (ip-neighbour(8)); ARP's table, and NDP's. */
import { unless } from "./errors.ts";
import { afOf, ipFrom, type Family, type Ip } from "./ip.ts";
import type { Link } from "./links.ts";
import { macFrom, type Mac } from "./mac.ts";
import type { Failure, NetlinkSocket, Request } from "./netlink.ts";
import { NUD, neighbour } from "./uapi/neighbour.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTM } from "./uapi/rtnetlink.ts";
import type { Value } from "./wire/codec.ts";

export interface Neighbour {
  ip: Ip;
  mac: Mac | undefined;
  /** Index of the link. */
  link: number;
  /** Set by hand: the kernel never asks for it and never forgets it. */
  permanent: boolean;
}

export interface NewNeighbour {
  ip: Ip;
  mac: Mac;
}

export interface Neighbours {
  /** Makes the entry, permanent, or changes the one that is there. */
  ensure(link: Link, entry: NewNeighbour): void;
  /** As ensure, of many in few requests; gives those that failed. */
  ensureAll(link: Link, entries: readonly NewNeighbour[]): Failure[];
  list(filter?: { link?: Link; family?: Family }): Neighbour[];
  /** True if it was there. */
  delete(link: Link, ip: Ip): boolean;
  deleteAll(link: Link, ips: readonly Ip[]): Failure[];
}

export function createNeighbours(rtnl: () => NetlinkSocket): Neighbours {
  return {
    ensure: (link, entry) => rtnl().request(ensuring(link, entry)),
    ensureAll: (link, entries) => rtnl().series(entries.map((entry) => ensuring(link, entry))),
    list: ({ link, family } = {}) => {
      const value = { ndm_family: family ? afOf(family) : 0, ...(link && { attrs: { IFINDEX: link.index } }) };
      const all = rtnl().dump({ what: "list neighbours", type: RTM.GETNEIGH, codec: neighbour, value }, neighbourFrom);
      return all.filter((entry) => entry !== undefined).filter((entry) => !link || entry.link === link.index);
    },
    delete: (link, ip) => unless(["ENOENT", "ENODEV"], () => (rtnl().request(deleting(link, ip)), true)) ?? false,
    deleteAll: (link, ips) => rtnl().series(ips.map((ip) => deleting(link, ip))),
  };
}

type NeighbourRequest = Request<Value<typeof neighbour>>;

function ensuring(link: Link, { ip, mac }: NewNeighbour): NeighbourRequest {
  return {
    what: `set neighbour ${ip} on "${link.name}"`,
    type: RTM.NEWNEIGH,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    codec: neighbour,
    value: { ndm_family: afOf(ip.family), ndm_ifindex: link.index, ndm_state: NUD.PERMANENT, attrs: { DST: ip.bytes, LLADDR: mac.bytes } },
  };
}

function deleting(link: Link, ip: Ip): NeighbourRequest {
  const value = { ndm_family: afOf(ip.family), ndm_ifindex: link.index, attrs: { DST: ip.bytes } };
  return { what: `delete neighbour ${ip} from "${link.name}"`, type: RTM.DELNEIGH, codec: neighbour, value };
}

function neighbourFrom(body: Uint8Array): Neighbour | undefined {
  const { ndm_ifindex, ndm_state, attrs } = neighbour.decode(body);
  const { DST, LLADDR } = attrs;
  if (!DST || (DST.length !== 4 && DST.length !== 16)) return undefined;
  const permanent = (ndm_state & NUD.PERMANENT) !== 0;
  return { ip: ipFrom(DST), mac: LLADDR && macFrom(LLADDR), link: ndm_ifindex, permanent };
}
