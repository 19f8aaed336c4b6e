/** Packet sockets and their filters: the numbers of linux/if_ether.h, linux/if_packet.h, linux/bpf_common.h, linux/filter.h. */
import { struct, u16, u32, u8 } from "../wire/codec.ts";

export const headers = ["linux/if_ether.h", "linux/if_packet.h", "linux/bpf_common.h", "linux/filter.h"] as const;

export const ETH_P = { IP: 0x0800 } as const;

/** One instruction of classic BPF: what to do, how far to jump when it is true and when not, and its argument. */
export const sock_filter = struct({ code: u16, jt: u8, jf: u8, k: u32 });

/** An instruction's code is the sum of a class, a size and a mode, or of a class and an operation. */
export const BPF = {
  LD: 0x00, LDX: 0x01, JMP: 0x05, RET: 0x06,        // class
  H: 0x08, B: 0x10,                                 // size: two bytes, one byte
  ABS: 0x20, IND: 0x40, MSH: 0xa0,                  // mode: at k, at x + k, four times the low half of the byte at k
  JEQ: 0x10, JSET: 0x40,                            // operation: equal to k, some bit of k set
  K: 0x00,
} as const;
