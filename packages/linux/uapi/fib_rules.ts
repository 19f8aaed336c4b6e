/** Rules that choose a routing table: include/uapi/linux/fib_rules.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { bytes, cstring, pad, struct, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/fib_rules.h", "linux/rtnetlink.h"] as const;

export const fib_rule_hdr = struct({
  family:  u8,
  dst_len: u8,
  src_len: u8,
  tos:     u8,
  table:   u8,     // the low eight bits; FRA_TABLE has all of them
  _res:    pad(2),
  action:  u8,     // FR_ACT
  flags:   u32,    // FIB_RULE
});

export const FRA = attrs("FRA", {
  DST:      [1, bytes],
  SRC:      [2, bytes],
  IIFNAME:  [3, cstring], // came in by
  PRIORITY: [6, u32],     // lower is asked first
  TABLE:    [15, u32],
  OIFNAME:  [17, cstring],
  L3MDEV:   [19, u8],     // the table of the vrf that it came in by or leaves by
  PROTOCOL: [21, u8],     // who made the rule: RTPROT
});

export const FR_ACT = { UNSPEC: 0, TO_TBL: 1, GOTO: 2, NOP: 3, BLACKHOLE: 6, UNREACHABLE: 7, PROHIBIT: 8 } as const;

export const rule = message(fib_rule_hdr, FRA);
