/** Links: include/uapi/linux/if_link.h, if.h and veth.h, in their order and spelling. Holes are attributes not used here. */
import { attrs, message, tagged } from "../wire/attrs.ts";
import { IFLA_TUN } from "./if_tun.ts";
import { be16, bytes, cstring, pad, s32, struct, u16, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/if_link.h", "linux/veth.h", "linux/if.h", "linux/if_bridge.h"] as const;

export const ifinfomsg = struct({
  ifi_family: u8,     // AF_UNSPEC, or AF_BRIDGE for a port's bridge options
  _pad:       pad(1),
  ifi_type:   u16,    // ARPHRD_*
  ifi_index:  s32,    // 0: let the kernel choose
  ifi_flags:  u32,    // IFF
  ifi_change: u32,    // which bits of ifi_flags to change
});

export const IFF = { UP: 0x1, BROADCAST: 0x2, LOOPBACK: 0x8, POINTOPOINT: 0x10, RUNNING: 0x40, NOARP: 0x80, PROMISC: 0x100, ALLMULTI: 0x200, MULTICAST: 0x1000, LOWER_UP: 0x10000 } as const;

export const IFLA_INET6 = attrs("IFLA_INET6", {
  FLAGS:         [1, u32],
  ADDR_GEN_MODE: [8, u8], // IN6_ADDR_GEN_MODE: who makes the link-local address
});
export const IN6_ADDR_GEN_MODE = { EUI64: 0, NONE: 1, STABLE_PRIVACY: 2, RANDOM: 3 } as const;

/** Options that belong to an address family; the attribute's number is AF_*. */
export const IFLA_AF_SPEC = attrs("AF", { INET6: [10, IFLA_INET6] });

export const IFLA_BR = attrs("IFLA_BR", {
  FORWARD_DELAY:     [1, u32], // in 1/100 s
  HELLO_TIME:        [2, u32],
  MAX_AGE:           [3, u32],
  AGEING_TIME:       [4, u32],
  STP_STATE:         [5, u32],
  PRIORITY:          [6, u16],
  VLAN_FILTERING:    [7, u8],
  VLAN_DEFAULT_PVID: [39, u16],
});

/** What a bridge knows of one of its ports. */
export const IFLA_BRPORT = attrs("IFLA_BRPORT", {
  STATE:    [1, u8],
  MODE:     [4, u8],  // hairpin: a frame may leave by the port it came in
  GUARD:    [5, u8],
  PROTECT:  [6, u8],
  LEARNING: [8, u8],
  ISOLATED: [33, u8], // isolated ports do not talk to each other (4.18)
});

export const IFLA_VLAN = attrs("IFLA_VLAN", { ID: [1, u16], PROTOCOL: [5, be16] });

export const IFLA_MACVLAN = attrs("IFLA_MACVLAN", { MODE: [1, u32], FLAGS: [2, u16], BC_QUEUE_LEN: [7, u32] });
export const MACVLAN_MODE = { PRIVATE: 1, VEPA: 2, BRIDGE: 4, PASSTHRU: 8 } as const;

export const IFLA_IPVLAN = attrs("IFLA_IPVLAN", { MODE: [1, u16], FLAGS: [2, u16] });
export const IPVLAN_MODE = { L2: 0, L3: 1, L3S: 2 } as const;

export const IFLA_VRF = attrs("IFLA_VRF", { TABLE: [1, u32] });

export const IFLA_VXLAN = attrs("IFLA_VXLAN", {
  ID:                [1, u32],
  LOCAL:             [4, bytes], // IPv4
  LEARNING:          [7, u8],
  PORT:              [15, be16],
  LOCAL6:            [17, bytes],
  UDP_CSUM:          [18, u8],   // a checksum in the outer UDP header, over IPv4
  UDP_ZERO_CSUM6_TX: [19, u8],   // none, over IPv6
  UDP_ZERO_CSUM6_RX: [20, u8],
});

/** What a link and a veth's peer have in common. A peer is a whole link message, but never carries LINKINFO. */
const plain = {
  ADDRESS:   [1, bytes],
  BROADCAST: [2, bytes],
  IFNAME:    [3, cstring],
  MTU:       [4, u32],
  LINK:      [5, s32],      // the device this one sits on: vlan, macvlan; of a veth its peer's index
  MASTER:    [10, u32],     // the bridge or vrf that this one is a port of
  TXQLEN:    [13, u32],
  OPERSTATE: [16, u8],      // IF_OPER
  NET_NS_PID: [19, u32],
  IFALIAS:   [20, cstring], // a label for people, up to 255 bytes
  AF_SPEC:   [26, IFLA_AF_SPEC],
  GROUP:     [27, u32],
  NET_NS_FD: [28, u32],     // put the link into the namespace behind this file descriptor
  EXT_MASK:  [29, u32],     // RTEXT_FILTER: what an answer is to have or lack
  CARRIER:   [33, u8],
  NUM_TX_QUEUES: [31, u32],
  NUM_RX_QUEUES: [32, u32],
  LINK_NETNSID: [37, s32],
} as const;

export const IF_OPER = { UNKNOWN: 0, NOTPRESENT: 1, DOWN: 2, LOWERLAYERDOWN: 3, TESTING: 4, DORMANT: 5, UP: 6 } as const;

export const VETH_INFO = attrs("VETH_INFO", { PEER: [1, message(ifinfomsg, attrs("IFLA", plain))] });

export const IFLA_INFO = tagged("IFLA_INFO", { kind: ["KIND", 1], data: ["DATA", 2] }, {
  bridge: IFLA_BR,
  ipvlan: IFLA_IPVLAN,
  macvlan: IFLA_MACVLAN,
  tun: IFLA_TUN,
  veth: VETH_INFO,
  vlan: IFLA_VLAN,
  vrf: IFLA_VRF,
  vxlan: IFLA_VXLAN,
});

export const IFLA = attrs("IFLA", { ...plain, PROTINFO: [12, IFLA_BRPORT], LINKINFO: [18, IFLA_INFO] });
export const link = message(ifinfomsg, IFLA);

/** What of a link is read: of four times as much that the kernel tells, for a bridge nine times. */
const IFLA_INFO_READ = tagged("IFLA_INFO", { kind: ["KIND", 1], data: ["DATA", 2] }, {
  ipvlan: IFLA_IPVLAN,
  macvlan: IFLA_MACVLAN,
  tun: IFLA_TUN,
  vlan: IFLA_VLAN,
  vrf: IFLA_VRF,
  vxlan: IFLA_VXLAN,
});
const { ADDRESS, IFNAME, MTU, LINK, MASTER, TXQLEN, OPERSTATE, IFALIAS, GROUP, CARRIER, LINK_NETNSID } = plain;
export const linkAnswer = message(ifinfomsg, attrs("IFLA", {
  ADDRESS, IFNAME, MTU, LINK, MASTER, TXQLEN, OPERSTATE, IFALIAS, GROUP, CARRIER, LINK_NETNSID, LINKINFO: [18, IFLA_INFO_READ],
}));
