/** Addresses of links: include/uapi/linux/if_addr.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { bytes, cstring, struct, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/if_addr.h"] as const;

export const ifaddrmsg = struct({
  ifa_family:    u8,
  ifa_prefixlen: u8,
  ifa_flags:     u8,  // the low eight bits; IFA_FLAGS has all of them
  ifa_scope:     u8,  // RT_SCOPE
  ifa_index:     u32, // the link
});

export const IFA = attrs("IFA", {
  ADDRESS:   [1, bytes],   // of a point-to-point link the far end
  LOCAL:     [2, bytes],   // IPv4: our own end
  LABEL:     [3, cstring],
  BROADCAST: [4, bytes],
  FLAGS:     [8, u32],     // IFA_F
});

export const IFA_F = { NODAD: 0x02, OPTIMISTIC: 0x04, DADFAILED: 0x08, DEPRECATED: 0x20, TENTATIVE: 0x40, PERMANENT: 0x80, NOPREFIXROUTE: 0x200 } as const;

export const address = message(ifaddrmsg, IFA);
