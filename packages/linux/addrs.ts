/** Addresses: which IP addresses a link has (ip-address(8)). */
import { unless } from "./errors.ts";
import { afOf, bitsOf, cidrOf, familyOf, ipFrom, lastOf, type Cidr, type Family } from "./ip.ts";
import type { Link } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { IFA_F, address as addressMessage } from "./uapi/if_addr.ts";
import { NLM_F } from "./uapi/netlink.ts";
import { RTM, RT_SCOPE } from "./uapi/rtnetlink.ts";
import type { Value } from "./wire/codec.ts";

export interface Addr {
  address: Cidr;
  /** Index of the link. */
  link: number;
  /** RT_SCOPE: 0 global, 253 link, 254 host. */
  scope: number;
  /** IPv6: duplicate address detection has not ended yet, so the address does not receive. */
  tentative: boolean;
  /** IPv6: another host has this address. */
  duplicate: boolean;
}

export interface NewAddr {
  address: Cidr;
  /** IPv6: use it at once, without duplicate address detection (RFC 4862 section 5.4). */
  nodad?: boolean;
  scope?: number;
}

export interface Addrs {
  /** Fails with EEXIST where the link has it. An IPv4 subnet's broadcast address is set as well. */
  add(link: Link, addr: NewAddr): void;
  list(filter?: { link?: Link; family?: Family }): Addr[];
  /** True if it was there. */
  delete(link: Link, address: Cidr): boolean;
}

export function createAddrs(rtnl: () => NetlinkSocket): Addrs {
  return {
    add: (link, { address, nodad = false, scope = RT_SCOPE.UNIVERSE }) => {
      const value = messageOf(link, address);
      const broadcast = address.family === 4 && address.prefix < 31;
      const attrs = {
        ...value.attrs,
        ...(broadcast && { BROADCAST: lastOf(address).bytes }),
        ...(nodad && address.family === 6 && { FLAGS: IFA_F.NODAD }),
      };
      rtnl().request({
        what: `add address ${address} to "${link.name}"`,
        type: RTM.NEWADDR,
        flags: NLM_F.CREATE | NLM_F.EXCL,
        codec: addressMessage,
        value: { ...value, ifa_scope: scope, attrs },
      });
    },
    list: ({ link, family } = {}) => {
      const value = { ifa_family: family ? afOf(family) : 0, ifa_index: link?.index ?? 0 };
      const request = { what: "list addresses", type: RTM.GETADDR, codec: addressMessage, value };
      return rtnl().dump(request, addrFrom).filter((addr) => addr !== undefined);
    },
    delete: (link, address) => {
      const what = `delete address ${address} from "${link.name}"`;
      const request = { what, type: RTM.DELADDR, codec: addressMessage, value: messageOf(link, address) };
      return unless(["EADDRNOTAVAIL", "ENODEV"], () => (rtnl().request(request), true)) ?? false;
    },
  };
}

function messageOf(link: Link, { family, ip, prefix }: Cidr) {
  const header = { ifa_family: afOf(family), ifa_prefixlen: prefix, ifa_index: link.index };
  return { ...header, attrs: { LOCAL: ip.bytes, ADDRESS: ip.bytes } } satisfies Value<typeof addressMessage>;
}

function addrFrom(body: Uint8Array): Addr | undefined {
  const { ifa_family, ifa_prefixlen, ifa_scope, ifa_flags, ifa_index, attrs } = addressMessage.decode(body);
  const own = attrs.LOCAL ?? attrs.ADDRESS;
  const family = familyOf(ifa_family);
  if (!own || !family || own.length * 8 !== bitsOf(family)) return undefined;
  const flags = attrs.FLAGS ?? ifa_flags;
  return {
    address: cidrOf(ipFrom(own), ifa_prefixlen),
    link: ifa_index,
    scope: ifa_scope,
    tentative: (flags & IFA_F.TENTATIVE) !== 0,
    duplicate: (flags & IFA_F.DADFAILED) !== 0,
  };
}
