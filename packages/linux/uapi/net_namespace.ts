/** The numbers by which namespaces know each other: include/uapi/linux/net_namespace.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { s32, u32 } from "../wire/codec.ts";
import { rtgenmsg } from "./rtnetlink.ts";

export const headers = ["linux/net_namespace.h", "linux/rtnetlink.h"] as const;

export const NETNSA = attrs("NETNSA", {
  NSID: [1, s32], // -1: none yet
  FD:   [3, u32],
});

export const nsid = message(rtgenmsg, NETNSA);
