/** Neighbours (ARP and NDP entries), and where a device finds a MAC address: include/uapi/linux/neighbour.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { be16, bytes, pad, s32, struct, u16, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/neighbour.h"] as const;

export const ndmsg = struct({
  ndm_family:  u8,
  _pad:        pad(3),
  ndm_ifindex: s32,
  ndm_state:   u16, // NUD
  ndm_flags:   u8,  // NTF
  ndm_type:    u8,
});

export const NDA = attrs("NDA", {
  DST:     [1, bytes], // the IP address; of a VXLAN device's entry the other tunnel's end
  LLADDR:  [2, bytes], // the MAC address
  PORT:    [6, be16],  // of a VXLAN device's entry, where it is not the device's own
  VNI:     [7, u32],
  IFINDEX: [8, u32],
});

export const NUD = { INCOMPLETE: 0x01, REACHABLE: 0x02, STALE: 0x04, DELAY: 0x08, PROBE: 0x10, FAILED: 0x20, NOARP: 0x40, PERMANENT: 0x80, NONE: 0x00 } as const;
export const NTF = { SELF: 0x02, MASTER: 0x04, PROXY: 0x08, EXT_LEARNED: 0x10, ROUTER: 0x80 } as const;

export const neighbour = message(ndmsg, NDA);
