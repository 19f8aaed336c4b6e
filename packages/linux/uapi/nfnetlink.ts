/** Netfilter's netlink: include/uapi/linux/netfilter.h and netfilter/nfnetlink.h, in their order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { be16, be32, struct, u8 } from "../wire/codec.ts";

export const headers = ["linux/netfilter/nfnetlink.h", "linux/netfilter.h"] as const;

export const nfgenmsg = struct({
  nfgen_family: u8,   // NFPROTO
  version:      u8,   // NFNETLINK_V0
  res_id:       be16, // of a batch: the subsystem
});

/** A message's type is subsystem × 256 + message. */
export const NFNL_SUBSYS = { CTNETLINK: 1, NFTABLES: 10 } as const;
/** Groups of those who are told of changes. */
export const NFNLGRP = { NFTABLES: 7 } as const;
export const NFNL_MSG_BATCH = { BEGIN: 16, END: 17 } as const;
export const NFNL_BATCH = attrs("NFNL_BATCH", {
  GENID: [1, be32], // refuse the batch (ERESTART) unless the rule set is still of this generation
});
export const batchEdge = message(nfgenmsg, NFNL_BATCH);

export const NFPROTO = { UNSPEC: 0, INET: 1, IPV4: 2, ARP: 3, NETDEV: 5, BRIDGE: 7, IPV6: 10 } as const;
export const NF_INET = { PRE_ROUTING: 0, LOCAL_IN: 1, FORWARD: 2, LOCAL_OUT: 3, POST_ROUTING: 4 } as const;
export const NF = { DROP: 0, ACCEPT: 1 } as const;
