/** nftables: include/uapi/linux/netfilter/nf_tables.h, in its order and spelling. Every integer here is big-endian. */
import { attrs, list, message, tagged } from "../wire/attrs.ts";
import { be32, be64, bytes, cstring, u8 } from "../wire/codec.ts";
import { nfgenmsg } from "./nfnetlink.ts";

export const headers = ["linux/netfilter/nf_tables.h", "linux/netfilter/nf_tables_compat.h", "linux/netfilter/nf_nat.h"] as const;

export const NFT_MSG = {
  NEWTABLE: 0, GETTABLE: 1, DELTABLE: 2,
  NEWCHAIN: 3, GETCHAIN: 4, DELCHAIN: 5,
  NEWRULE: 6, GETRULE: 7, DELRULE: 8,
  NEWSET: 9, GETSET: 10, DELSET: 11,
  NEWSETELEM: 12, GETSETELEM: 13, DELSETELEM: 14,
  NEWGEN: 15, GETGEN: 16,
} as const;

/** Registers: 0 takes the verdict, 1 to 4 are of sixteen bytes, 8 to 23 the same room in pieces of four. */
export const NFT_REG = { VERDICT: 0, "1": 1, "32_00": 8 } as const;
/** Verdicts of rules; as an unsigned 32-bit number these are -1 to -5. NF_DROP and NF_ACCEPT are netfilter's own. */
export const NFT_VERDICT = { CONTINUE: 0xffff_ffff, BREAK: 0xffff_fffe, JUMP: 0xffff_fffd, GOTO: 0xffff_fffc, RETURN: 0xffff_fffb } as const;

export const NFTA_LIST = { ELEM: 1 } as const;
export const NFTA_VERDICT = attrs("NFTA_VERDICT", { CODE: [1, be32], CHAIN: [2, cstring] });
/** What a register or an element holds: raw bytes, or a verdict. */
export const NFTA_DATA = attrs("NFTA_DATA", { VALUE: [1, bytes], VERDICT: [2, NFTA_VERDICT] });

/** Expressions, the instructions of the nftables virtual machine. A rule is a list of them. */
export const NFTA_IMMEDIATE = attrs("NFTA_IMMEDIATE", { DREG: [1, be32], DATA: [2, NFTA_DATA] });
export const NFTA_BITWISE = attrs("NFTA_BITWISE", {
  SREG: [1, be32], DREG: [2, be32], LEN: [3, be32], MASK: [4, NFTA_DATA], XOR: [5, NFTA_DATA], OP: [6, be32], DATA: [7, NFTA_DATA],
});
export const NFTA_CMP = attrs("NFTA_CMP", { SREG: [1, be32], OP: [2, be32], DATA: [3, NFTA_DATA] });
export const NFTA_LOOKUP = attrs("NFTA_LOOKUP", { SET: [1, cstring], SREG: [2, be32], DREG: [3, be32], SET_ID: [4, be32], FLAGS: [5, be32] });
export const NFTA_PAYLOAD = attrs("NFTA_PAYLOAD", {
  DREG: [1, be32], BASE: [2, be32], OFFSET: [3, be32], LEN: [4, be32],
  SREG: [5, be32], CSUM_TYPE: [6, be32], CSUM_OFFSET: [7, be32], CSUM_FLAGS: [8, be32],
});
export const NFTA_META = attrs("NFTA_META", { DREG: [1, be32], KEY: [2, be32], SREG: [3, be32] });
export const NFTA_CT = attrs("NFTA_CT", { DREG: [1, be32], KEY: [2, be32], DIRECTION: [3, u8], SREG: [4, be32] });
export const NFTA_COUNTER = attrs("NFTA_COUNTER", { BYTES: [1, be64], PACKETS: [2, be64] });
export const NFTA_NAT = attrs("NFTA_NAT", {
  TYPE: [1, be32], FAMILY: [2, be32], REG_ADDR_MIN: [3, be32], REG_ADDR_MAX: [4, be32],
  REG_PROTO_MIN: [5, be32], REG_PROTO_MAX: [6, be32], FLAGS: [7, be32],
});
export const NFTA_REDIR = attrs("NFTA_REDIR", { REG_PROTO_MIN: [1, be32], REG_PROTO_MAX: [2, be32], FLAGS: [3, be32] });
export const NFTA_FIB = attrs("NFTA_FIB", { DREG: [1, be32], RESULT: [2, be32], FLAGS: [3, be32] });
/** Numbers one after another, or at random, from OFFSET on, below OFFSET + MODULUS. */
export const NFTA_NG = attrs("NFTA_NG", { DREG: [1, be32], MODULUS: [2, be32], TYPE: [3, be32], OFFSET: [4, be32] });
export const NFTA_DYNSET = attrs("NFTA_DYNSET", {
  SET_NAME: [1, cstring], SET_ID: [2, be32], OP: [3, be32], SREG_KEY: [4, be32], SREG_DATA: [5, be32], TIMEOUT: [6, be64], FLAGS: [9, be32],
});
export const NFTA_NOTRACK = attrs("NFTA_NOTRACK", {});
export const NFTA_MASQ = attrs("NFTA_MASQ", { FLAGS: [1, be32], REG_PROTO_MIN: [2, be32], REG_PROTO_MAX: [3, be32] });

export const NFTA_REJECT = attrs("NFTA_REJECT", { TYPE: [1, be32], ICMP_CODE: [2, u8] });
/** Of nf_tables_compat.h: what iptables(8) has no expression of nftables' own for, by the name of its extension. */
export const NFTA_TARGET = attrs("NFTA_TARGET", { NAME: [1, cstring], REV: [2, be32], INFO: [3, bytes] });
export const NFTA_MATCH = attrs("NFTA_MATCH", { NAME: [1, cstring], REV: [2, be32], INFO: [3, bytes] });

export const NFTA_EXPR = tagged("NFTA_EXPR", { kind: ["NAME", 1], data: ["DATA", 2] }, {
  immediate: NFTA_IMMEDIATE, // put a constant or a verdict into a register
  bitwise: NFTA_BITWISE,     // and, then exclusive or
  cmp: NFTA_CMP,             // go on to the next expression if it holds, else to the next rule
  lookup: NFTA_LOOKUP,       // as cmp, against a set; of a map the value found goes into DREG
  payload: NFTA_PAYLOAD,     // bytes of the packet into a register
  meta: NFTA_META,           // what the kernel knows of the packet: device, protocol, mark
  ct: NFTA_CT,               // what conntrack knows of it
  counter: NFTA_COUNTER,
  fib: NFTA_FIB,             // what the routes say of the packet
  nat: NFTA_NAT,
  masq: NFTA_MASQ,
  redir: NFTA_REDIR,         // to this machine itself
  numgen: NFTA_NG,
  dynset: NFTA_DYNSET,       // puts what is in registers into a set or a map
  notrack: NFTA_NOTRACK,     // conntrack shall not see it
  reject: NFTA_REJECT,       // ends the packet, and says so to its sender
  target: NFTA_TARGET,
  match: NFTA_MATCH,
});

export const NFTA_HOOK = attrs("NFTA_HOOK", { HOOKNUM: [1, be32], PRIORITY: [2, be32], DEV: [3, cstring] });
export const NFTA_TABLE = attrs("NFTA_TABLE", {
  NAME: [1, cstring], FLAGS: [2, be32], USE: [3, be32], HANDLE: [4, be64], USERDATA: [6, bytes], OWNER: [7, be32],
});
export const NFTA_CHAIN = attrs("NFTA_CHAIN", {
  TABLE: [1, cstring], HANDLE: [2, be64], NAME: [3, cstring], HOOK: [4, NFTA_HOOK], POLICY: [5, be32],
  USE: [6, be32], TYPE: [7, cstring], FLAGS: [10, be32], USERDATA: [12, bytes],
});
export const expressions = list(NFTA_LIST.ELEM, NFTA_EXPR);
export const NFTA_RULE = attrs("NFTA_RULE", {
  TABLE: [1, cstring], CHAIN: [2, cstring], HANDLE: [3, be64], EXPRESSIONS: [4, expressions],
  POSITION: [6, be64], USERDATA: [7, bytes],
});
export const NFTA_SET_FIELD = attrs("NFTA_SET_FIELD", { LEN: [1, be32] });
export const NFTA_SET_DESC = attrs("NFTA_SET_DESC", { SIZE: [1, be32], CONCAT: [2, list(NFTA_LIST.ELEM, NFTA_SET_FIELD)] });
export const NFTA_SET = attrs("NFTA_SET", {
  TABLE: [1, cstring], NAME: [2, cstring], FLAGS: [3, be32], KEY_TYPE: [4, be32], KEY_LEN: [5, be32],
  DATA_TYPE: [6, be32], DATA_LEN: [7, be32], DESC: [9, NFTA_SET_DESC], ID: [10, be32], TIMEOUT: [11, be64],
  USERDATA: [13, bytes], HANDLE: [16, be64], EXPR: [17, NFTA_EXPR],
});
export const NFTA_SET_ELEM = attrs("NFTA_SET_ELEM", {
  KEY: [1, NFTA_DATA], DATA: [2, NFTA_DATA], FLAGS: [3, be32], TIMEOUT: [4, be64], EXPIRATION: [5, be64],
  USERDATA: [6, bytes], EXPR: [7, NFTA_EXPR], KEY_END: [10, NFTA_DATA],
});
export const NFTA_SET_ELEM_LIST = attrs("NFTA_SET_ELEM_LIST", {
  TABLE: [1, cstring], SET: [2, cstring], ELEMENTS: [3, list(NFTA_LIST.ELEM, NFTA_SET_ELEM)], SET_ID: [4, be32],
});
export const NFTA_GEN = attrs("NFTA_GEN", { ID: [1, be32], PROC_PID: [2, be32], PROC_NAME: [3, cstring] });

export const NFT_TABLE_F = { DORMANT: 0x1, OWNER: 0x2 } as const;
export const NFT_SET = { ANONYMOUS: 0x1, CONSTANT: 0x2, INTERVAL: 0x4, MAP: 0x8, TIMEOUT: 0x10, EVAL: 0x20, CONCAT: 0x80 } as const;
export const NFT_SET_ELEM = { INTERVAL_END: 0x1 } as const;
export const NFT_DATA = { VALUE: 0, VERDICT: 0xffff_ff00 } as const;
export const NFT_CMP = { EQ: 0, NEQ: 1, LT: 2, LTE: 3, GT: 4, GTE: 5 } as const;
export const NFT_NG = { INCREMENTAL: 0, RANDOM: 1 } as const;
export const NFT_DYNSET_OP = { ADD: 0, UPDATE: 1, DELETE: 2 } as const;
export const NFT_REJECT = { ICMP_UNREACH: 0, TCP_RST: 1, ICMPX_UNREACH: 2 } as const;
export const NFT_REJECT_ICMPX = { NO_ROUTE: 0, PORT_UNREACH: 1, HOST_UNREACH: 2, ADMIN_PROHIBITED: 3 } as const;
export const NFT_LOOKUP_F = { INV: 1 } as const;
export const NFT_PAYLOAD = { LL_HEADER: 0, NETWORK_HEADER: 1, TRANSPORT_HEADER: 2 } as const;
export const NFT_META = { PROTOCOL: 1, MARK: 3, IIFNAME: 6, IIFTYPE: 8, OIFNAME: 7, NFPROTO: 15, L4PROTO: 16, IIFGROUP: 21 } as const;
export const NFT_CT = { STATE: 0, DIRECTION: 1, STATUS: 2, MARK: 3, PROTO_DST: 12, SRC_IP: 19, DST_IP: 20, SRC_IP6: 21, DST_IP6: 22 } as const;
export const NFT_NAT = { SNAT: 0, DNAT: 1 } as const;
export const NFT_FIB_RESULT = { OIF: 1, OIFNAME: 2, ADDRTYPE: 3 } as const;
export const NFTA_FIB_F = { SADDR: 0x1, DADDR: 0x2, IIF: 0x8, PRESENT: 0x20 } as const;
export const NF_NAT_RANGE = { MAP_IPS: 0x1, PROTO_SPECIFIED: 0x2, PROTO_RANDOM: 0x4, PERSISTENT: 0x8, PROTO_RANDOM_FULLY: 0x10 } as const;

export const table = message(nfgenmsg, NFTA_TABLE);
export const chain = message(nfgenmsg, NFTA_CHAIN);
export const rule = message(nfgenmsg, NFTA_RULE);
/** A rule as it is found: what it does is read when it is looked at. */
export const foundRule = message(nfgenmsg, attrs("NFTA_RULE", { ...NFTA_RULE.table, EXPRESSIONS: [NFTA_RULE.table.EXPRESSIONS[0], bytes] }));
export const set = message(nfgenmsg, NFTA_SET);
export const setElements = message(nfgenmsg, NFTA_SET_ELEM_LIST);
export const generation = message(nfgenmsg, NFTA_GEN);
/** A hook's priority is signed, though the attribute is declared be32: -300 is raw, 100 is srcnat. */
export const signed = (priority: number): number => priority | 0;
