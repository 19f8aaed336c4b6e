/** Netlink itself: include/uapi/linux/netlink.h, in its order and spelling. RFC 3549 tells the idea. */
import { attrs, message } from "../wire/attrs.ts";
import { bytes, cstring, s32, struct, u16, u32 } from "../wire/codec.ts";

export const headers = ["linux/netlink.h"] as const;

export const NETLINK = {
  ROUTE: 0,      // links, addresses, routes, neighbours, rules, qdiscs
  NETFILTER: 12, // nf_tables, conntrack
  GENERIC: 16,   // families that go by names: wireguard, ethtool

  // Options of a socket, at level SOL_NETLINK
  ADD_MEMBERSHIP: 1,  // one group of those who are told of changes
  CAP_ACK: 10,        // an acknowledgement need not quote the whole request
  EXT_ACK: 11,        // errors come with words and the attribute that is to blame (4.12)
  GET_STRICT_CHK: 12, // dumps obey their filters, wrong headers are refused (4.20)
} as const;

export const nlmsghdr = struct({
  nlmsg_len:   u32, // with this header
  nlmsg_type:  u16,
  nlmsg_flags: u16, // NLM_F
  nlmsg_seq:   u32,
  nlmsg_pid:   u32, // the port of the socket it came from; 0 is the kernel
});

export const NLM_F = {
  REQUEST: 0x01, MULTI: 0x02, ACK: 0x04, ECHO: 0x08, DUMP_INTR: 0x10,
  ROOT: 0x100, MATCH: 0x200, DUMP: 0x300,                               // of a get
  REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400, APPEND: 0x800,            // of a new
  CAPPED: 0x100, ACK_TLVS: 0x200,                                       // of an acknowledgement
} as const;

export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3 } as const;

/** An acknowledgement: error 0 is success, -EEXIST and so on is not. The request's header follows. */
export const nlmsgerr = struct({
  error:       s32,
  nlmsg_len:   u32,
  nlmsg_type:  u16,
  nlmsg_flags: u16,
  nlmsg_seq:   u32,
  nlmsg_pid:   u32,
});
export const NLMSGERR_ATTR = attrs("NLMSGERR_ATTR", {
  MSG:       [1, cstring], // the kernel's own words
  OFFS:      [2, u32],     // where in the request the attribute stands that is to blame
  COOKIE:    [3, bytes],
  MISS_TYPE: [5, u32],     // the attribute that is missing (6.0)
});
export const acknowledgement = message(nlmsgerr, NLMSGERR_ATTR);
