/** Where one end of a conversation is: an address and a port, and how both lie in C's struct sockaddr (ip(7), ipv6(7)). */
import { afOf, bitsOf, ipFrom, type Ip } from "./ip.ts";
import { AF } from "./uapi/socket.ts";
import { be16, encode, pad, struct, u16 } from "./wire/codec.ts";

export interface Endpoint {
  ip: Ip;
  /** 0 of a raw socket. */
  port: number;
}

/** struct sockaddr_in, sockaddr_in6 (linux/in.h, in6.h): what both begin with; the address follows at 4, or at 8. */
const sockaddr = struct({ family: u16, port: be16, _flowinfo: pad(4) });
const ADDRESS_AT = { 4: 4, 6: 8 } as const;
const SIZE = { 4: 16, 6: 28 } as const;
/** In bytes: as much as the kernel fills. */
export const LARGEST_SOCKADDR = SIZE[6];

export function sockaddrOf({ ip, port }: Endpoint): Uint8Array {
  const address = new Uint8Array(SIZE[ip.family]);
  address.set(encode(sockaddr, { family: afOf(ip.family), port }));
  address.set(ip.bytes, ADDRESS_AT[ip.family]);
  return address;
}

export function endpointFrom(address: Uint8Array): Endpoint {
  const { family: af, port } = sockaddr.decode(address);
  const family = af === AF.INET6 ? 6 : 4;
  const at = ADDRESS_AT[family];
  return { ip: ipFrom(address.slice(at, at + bitsOf(family) / 8)), port };
}
