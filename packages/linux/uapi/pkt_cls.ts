/** Filters and their actions: include/uapi/linux/pkt_cls.h and tc_act/tc_mirred.h, in their order and spelling. */
import { attrs, message, numbered, tagged } from "../wire/attrs.ts";
import { be16, be32, flexible, pad, s32, struct, u16, u32, u8 } from "../wire/codec.ts";
import { tcmsg } from "./rtnetlink.ts";

export const headers = ["linux/pkt_cls.h", "linux/tc_act/tc_mirred.h", "linux/rtnetlink.h"] as const;

/** What happens to a packet after an action. */
export const TC_ACT = { UNSPEC: -1, OK: 0, RECLASSIFY: 1, SHOT: 2, PIPE: 3, STOLEN: 4 } as const;

export const tc_mirred = struct({
  index:   u32, // of the action itself; 0 lets the kernel choose
  capab:   u32,
  action:  s32, // TC_ACT
  refcnt:  s32,
  bindcnt: s32,
  eaction: s32, // TCA_EGRESS, TCA_INGRESS
  ifindex: u32, // the link that gets the packet
});
/** The link sends the packet itself, or a copy of it … */
export const TCA_EGRESS = { REDIR: 1, MIRROR: 2 } as const;
/** … or has it as if it had come in there. */
export const TCA_INGRESS = { REDIR: 3, MIRROR: 4 } as const;

export const TCA_MIRRED = attrs("TCA_MIRRED", { PARMS: [2, tc_mirred] });

export const TCA_ACT = tagged("TCA_ACT", { kind: ["KIND", 1], data: ["OPTIONS", 2] }, {
  mirred: TCA_MIRRED, // to another link
});

/** Four bytes of the packet, counted from its network header, and what they are to be. */
export const tc_u32_key = struct({
  mask:    be32,
  val:     be32,
  off:     s32,
  offmask: s32,
});
export const tc_u32_sel = struct({
  flags:    u8,     // TC_U32
  offshift: u8,
  nkeys:    u8,
  _pad:     pad(1),
  offmask:  be16,
  off:      u16,
  _offoff:  pad(2),
  _hoff:    pad(2),
  hmask:    be32,
});
export const TC_U32 = { TERMINAL: 1 } as const;

export const TCA_U32 = attrs("TCA_U32", {
  CLASSID: [1, u32],
  DIVISOR: [4, u32], // of a hash table, which a dump has among the filters
  SEL:     [5, flexible(tc_u32_sel, tc_u32_key)],
  ACT:     [7, numbered(TCA_ACT)],
});

export const TCA = tagged("TCA", { kind: ["KIND", 1], data: ["OPTIONS", 2] }, {
  u32: TCA_U32, // compares bytes at given places
});

export const filter = message(tcmsg, TCA);
