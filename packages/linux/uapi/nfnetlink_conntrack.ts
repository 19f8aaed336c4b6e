/**
 * Connection tracking: include/uapi/linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h, in their order and
 * spelling. Integers are big-endian, but for the filter's flags.
 */
import { attrs, message } from "../wire/attrs.ts";
import { be16, be32, be64, bytes, cstring, u32, u8 } from "../wire/codec.ts";
import { nfgenmsg } from "./nfnetlink.ts";

export const headers = ["linux/netfilter/nfnetlink_conntrack.h", "linux/netfilter/nf_conntrack_common.h"] as const;

export const IPCTNL_MSG_CT = { NEW: 0, GET: 1, DELETE: 2 } as const;

export const CTA_IP = attrs("CTA_IP", { V4_SRC: [1, bytes], V4_DST: [2, bytes], V6_SRC: [3, bytes], V6_DST: [4, bytes] });
export const CTA_PROTO = attrs("CTA_PROTO", {
  NUM:         [1, u8],   // IPPROTO
  SRC_PORT:    [2, be16],
  DST_PORT:    [3, be16],
  ICMP_ID:     [4, be16],
  ICMP_TYPE:   [5, u8],
  ICMP_CODE:   [6, u8],
  ICMPV6_ID:   [7, be16],
  ICMPV6_TYPE: [8, u8],
  ICMPV6_CODE: [9, u8],
});
export const CTA_TUPLE = attrs("CTA_TUPLE", { IP: [1, CTA_IP], PROTO: [2, CTA_PROTO], ZONE: [3, be16] });
export const CTA_COUNTERS = attrs("CTA_COUNTERS", { PACKETS: [1, be64], BYTES: [2, be64] });
export const CTA_PROTOINFO_TCP = attrs("CTA_PROTOINFO_TCP", { STATE: [1, u8] });
export const CTA_PROTOINFO = attrs("CTA_PROTOINFO", { TCP: [1, CTA_PROTOINFO_TCP] });
export const CTA_HELP = attrs("CTA_HELP", { NAME: [1, cstring] });
/** Which parts of TUPLE_ORIG and TUPLE_REPLY count in a dump (5.8). */
export const CTA_FILTER = attrs("CTA_FILTER", { ORIG_FLAGS: [1, u32], REPLY_FLAGS: [2, u32] });

export const CTA = attrs("CTA", {
  TUPLE_ORIG:     [1, CTA_TUPLE],
  TUPLE_REPLY:    [2, CTA_TUPLE],
  STATUS:         [3, be32],      // IPS
  PROTOINFO:      [4, CTA_PROTOINFO],
  HELP:           [5, CTA_HELP],
  TIMEOUT:        [7, be32],      // seconds that are left
  MARK:           [8, be32],
  COUNTERS_ORIG:  [9, CTA_COUNTERS],
  COUNTERS_REPLY: [10, CTA_COUNTERS],
  USE:            [11, be32],
  ID:             [12, be32],
  ZONE:           [18, be16],
  MARK_MASK:      [21, be32],
  FILTER:         [25, CTA_FILTER],
  STATUS_MASK:    [26, be32],     // 5.15
});

/** What became of a connection so far, in bits. */
export const IPS = { SEEN_REPLY: 0x2, ASSURED: 0x4, CONFIRMED: 0x8, SRC_NAT: 0x10, DST_NAT: 0x20, DYING: 0x200, OFFLOAD: 0x4000 } as const;

export const flow = message(nfgenmsg, CTA);
