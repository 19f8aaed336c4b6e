/** What a network card does by itself: include/uapi/linux/ethtool_netlink.h, in its order and spelling. The family is called "ethtool" (5.6). */
import { attrs, list, message } from "../wire/attrs.ts";
import { cstring, flag, u32 } from "../wire/codec.ts";
import { genlmsghdr } from "./genetlink.ts";

export const headers = ["linux/ethtool_netlink.h"] as const;

export const ETHTOOL_MSG = { FEATURES_GET: 11, FEATURES_SET: 12 } as const;

export const ETHTOOL_A_HEADER = attrs("ETHTOOL_A_HEADER", { DEV_INDEX: [1, u32], DEV_NAME: [2, cstring], FLAGS: [3, u32] });
export const ETHTOOL_A_BITSET_BIT = attrs("ETHTOOL_A_BITSET_BIT", {
  INDEX: [1, u32],
  NAME:  [2, cstring], // as `ethtool -k` prints it: "tx-checksum-ip-generic"
  VALUE: [3, flag],    // there: on
});
/** Bits by name; where NOMASK is there, those that are not named are off, and else they are not meant. */
export const ETHTOOL_A_BITSET = attrs("ETHTOOL_A_BITSET", { NOMASK: [1, flag], SIZE: [2, u32], BITS: [3, list(1, ETHTOOL_A_BITSET_BIT)] });
export const ETHTOOL_A_FEATURES = attrs("ETHTOOL_A_FEATURES", {
  HEADER:   [1, ETHTOOL_A_HEADER],
  HW:       [2, ETHTOOL_A_BITSET], // what can be changed
  WANTED:   [3, ETHTOOL_A_BITSET],
  ACTIVE:   [4, ETHTOOL_A_BITSET],
  NOCHANGE: [5, ETHTOOL_A_BITSET], // what can never be changed
});

export const features = message(genlmsghdr, ETHTOOL_A_FEATURES);
