/** WireGuard: include/uapi/linux/wireguard.h, in its order and spelling. Its family of generic netlink is called "wireguard" (5.6). */
import { attrs, list, message } from "../wire/attrs.ts";
import { bytes, cstring, u16, u32, u64, u8 } from "../wire/codec.ts";
import { genlmsghdr } from "./genetlink.ts";

export const headers = ["linux/wireguard.h"] as const;

export const WG_CMD = { GET_DEVICE: 0, SET_DEVICE: 1 } as const;

export const WGALLOWEDIP_A = attrs("WGALLOWEDIP_A", {
  FAMILY:    [1, u16],   // AF
  IPADDR:    [2, bytes],
  CIDR_MASK: [3, u8],    // the prefix' length
});

export const WGPEER_A = attrs("WGPEER_A", {
  PUBLIC_KEY:                    [1, bytes],
  PRESHARED_KEY:                 [2, bytes],
  FLAGS:                         [3, u32],   // WGPEER_F
  ENDPOINT:                      [4, bytes], // struct sockaddr_in or sockaddr_in6
  PERSISTENT_KEEPALIVE_INTERVAL: [5, u16],   // in seconds
  LAST_HANDSHAKE_TIME:           [6, bytes], // two numbers of 64 bits: seconds, nanoseconds
  RX_BYTES:                      [7, u64],
  TX_BYTES:                      [8, u64],
  ALLOWEDIPS:                    [9, list(0, WGALLOWEDIP_A)],
  PROTOCOL_VERSION:              [10, u32],
});
export const WGPEER_F = { REMOVE_ME: 1, REPLACE_ALLOWEDIPS: 2, UPDATE_ONLY: 4 } as const;

export const WGDEVICE_A = attrs("WGDEVICE_A", {
  IFINDEX:     [1, u32],
  IFNAME:      [2, cstring],
  PRIVATE_KEY: [3, bytes],
  PUBLIC_KEY:  [4, bytes],
  FLAGS:       [5, u32],               // WGDEVICE_F
  LISTEN_PORT: [6, u16],
  FWMARK:      [7, u32],
  PEERS:       [8, list(0, WGPEER_A)], // of a dump in as many messages as it takes; a peer may go on in the next
});
export const WGDEVICE_F = { REPLACE_PEERS: 1 } as const;

export const device = message(genlmsghdr, WGDEVICE_A);
