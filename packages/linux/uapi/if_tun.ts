/** Tun and tap devices: include/uapi/linux/if_tun.h, and what of them a link's message tells (if_link.h). */
import { attrs } from "../wire/attrs.ts";
import { u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/if_tun.h", "linux/if_link.h"] as const;

/** ioctl(2)s of /dev/net/tun: direction, size of the argument, 'T', number (asm-generic/ioctl.h). */
export const TUN = { SETIFF: 0x400454ca, SETPERSIST: 0x400454cb, SETOWNER: 0x400454cc, SETGROUP: 0x400454ce } as const;

/** Flags of struct ifreq, in TUNSETIFF. */
export const IFF_OF_TUN = { TUN: 0x0001, TAP: 0x0002, MULTI_QUEUE: 0x0100, NO_PI: 0x1000, VNET_HDR: 0x4000, TUN_EXCL: 0x8000 } as const;

export const IFLA_TUN = attrs("IFLA_TUN", {
  OWNER:       [1, u32],
  GROUP:       [2, u32],
  TYPE:        [3, u8], // IFF_TUN or IFF_TAP
  PERSIST:     [6, u8],
  MULTI_QUEUE: [7, u8],
});
