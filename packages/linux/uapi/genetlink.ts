/** Generic netlink, which knows families of messages by their names: include/uapi/linux/genetlink.h, in its order and spelling. */
import { attrs, message } from "../wire/attrs.ts";
import { cstring, pad, struct, u16, u8 } from "../wire/codec.ts";

export const headers = ["linux/genetlink.h"] as const;

export const genlmsghdr = struct({
  cmd:      u8,    // the family's own numbers
  version:  u8,
  reserved: pad(2),
});

/** The family of families, which has the one number that is the same on all machines. */
export const GENL_ID = { CTRL: 0x10 } as const;
export const CTRL_CMD = { GETFAMILY: 3 } as const;
export const CTRL_ATTR = attrs("CTRL_ATTR", { FAMILY_ID: [1, u16], FAMILY_NAME: [2, cstring] });
export const family = message(genlmsghdr, CTRL_ATTR);
