/** Routes, the head of traffic control's messages, and the numbers of all of rtnetlink: include/uapi/linux/rtnetlink.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { bytes, pad, s32, struct, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/rtnetlink.h"] as const;

export const RTM = {
  NEWLINK: 16, DELLINK: 17, GETLINK: 18, SETLINK: 19,
  NEWADDR: 20, DELADDR: 21, GETADDR: 22,
  NEWROUTE: 24, DELROUTE: 25, GETROUTE: 26,
  NEWNEIGH: 28, DELNEIGH: 29, GETNEIGH: 30,
  NEWRULE: 32, DELRULE: 33, GETRULE: 34,
  NEWQDISC: 36, DELQDISC: 37, GETQDISC: 38,
  NEWTFILTER: 44, DELTFILTER: 45, GETTFILTER: 46,
  NEWNSID: 88, GETNSID: 90,
} as const;

/** Groups of those who are told of changes. */
export const RTNLGRP = { LINK: 1, NEIGH: 3, IPV4_IFADDR: 5, IPV4_ROUTE: 7, IPV4_RULE: 8, IPV6_IFADDR: 9, IPV6_ROUTE: 11, IPV6_RULE: 19 } as const;

export const RTEXT_FILTER = { SKIP_STATS: 8 } as const;

export const rtmsg = struct({
  rtm_family:   u8,
  rtm_dst_len:  u8,
  rtm_src_len:  u8,
  rtm_tos:      u8,
  rtm_table:    u8,  // the low eight bits; RTA_TABLE has all of them
  rtm_protocol: u8,  // who made the route: RTPROT
  rtm_scope:    u8,  // RT_SCOPE
  rtm_type:     u8,  // RTN
  rtm_flags:    u32, // RTM_F, RTNH_F
});

export const RTAX = attrs("RTAX", { MTU: [2, u32], ADVMSS: [8, u32] });

export const RTA = attrs("RTA", {
  DST:      [1, bytes],
  OIF:      [4, u32],
  GATEWAY:  [5, bytes],
  PRIORITY: [6, u32],   // the metric; lower wins
  PREFSRC:  [7, bytes], // the source address that packets get which have none yet
  METRICS:  [8, RTAX],
  TABLE:    [15, u32],
});

export const RTN = { UNSPEC: 0, UNICAST: 1, LOCAL: 2, BROADCAST: 3, MULTICAST: 5, BLACKHOLE: 6, UNREACHABLE: 7, PROHIBIT: 8 } as const;
export const RTPROT = { UNSPEC: 0, REDIRECT: 1, KERNEL: 2, BOOT: 3, STATIC: 4, RA: 9, DHCP: 16 } as const;
export const RT_SCOPE = { UNIVERSE: 0, SITE: 200, LINK: 253, HOST: 254, NOWHERE: 255 } as const;
export const RT_TABLE = { UNSPEC: 0, DEFAULT: 253, MAIN: 254, LOCAL: 255 } as const;
export const RTNH_F = { DEAD: 1, ONLINK: 4, LINKDOWN: 16 } as const;
export const RTM_F = { CLONED: 0x200, FIB_MATCH: 0x2000 } as const;

export const route = message(rtmsg, RTA);

/** Qdiscs (./pkt_sched.ts) and filters (./pkt_cls.ts). */
export const tcmsg = struct({
  tcm_family:  u8,
  _pad:        pad(3),
  tcm_ifindex: s32,
  tcm_handle:  u32, // its own number
  tcm_parent:  u32, // where it is: TC_H, or a class
  tcm_info:    u32, // of a filter: the priority in the upper sixteen bits, ETH_P in network order in the lower
});

/** The head of messages that have nothing to say but their attributes. */
export const rtgenmsg = struct({ rtgen_family: u8 });
