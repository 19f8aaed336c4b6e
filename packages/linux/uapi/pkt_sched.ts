/** Queueing disciplines: include/uapi/linux/pkt_sched.h, in its order and spelling. */
import { attrs, message, tagged } from "../wire/attrs.ts";
import { pad, struct, u16, u32, u64, u8 } from "../wire/codec.ts";
import { tcmsg } from "./rtnetlink.ts";

export const headers = ["linux/pkt_sched.h", "linux/rtnetlink.h"] as const;

/** Places that have a name; others are a qdisc's number in the upper sixteen bits and a class of it in the lower. */
export const TC_H = { UNSPEC: 0, ROOT: 0xffff_ffff, INGRESS: 0xffff_fff1, CLSACT: 0xffff_fff1, MIN_INGRESS: 0xfff2, MIN_EGRESS: 0xfff3 } as const;

/** A rate is a struct of its own in C, and there are two of them; the peak rate is not used here. */
export const tc_tbf_qopt = struct({
  cell_log:     u8,
  linklayer:    u8,
  overhead:     u16,    // bytes on the wire that the kernel does not see
  _cell_align:  pad(2),
  mpu:          u16,    // no packet counts for less
  rate:         u32,    // bytes a second; TCA_TBF_RATE64 where that is not enough
  _peakrate:    pad(12),
  limit:        u32,    // bytes that may wait
  buffer:       u32,    // the bucket: how long it takes to fill, in ticks
  mtu:          u32,    // the peak rate's bucket
});

export const TCA_TBF = attrs("TCA_TBF", {
  PARMS:  [1, tc_tbf_qopt],
  RATE64: [4, u64], // bytes a second, from 2^32 on
  BURST:  [6, u32], // the bucket in bytes (3.13); not told back
});

/** Qdiscs that only hold filters have no options. */
const none = attrs("TCA_OPTIONS", {});

export const TCA = tagged("TCA", { kind: ["KIND", 1], data: ["OPTIONS", 2] }, {
  clsact: none,  // filters where packets come in, and where they leave
  ingress: none, // filters where packets come in
  tbf: TCA_TBF,  // a token bucket
});

export const qdisc = message(tcmsg, TCA);
