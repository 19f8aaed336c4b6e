/** Transport protocols by the names that people, nft and CNI call them by, and their numbers in an IP header. */
import { IPPROTO } from "./uapi/socket.ts";

export const PROTOCOLS = { icmp: IPPROTO.ICMP, tcp: IPPROTO.TCP, udp: IPPROTO.UDP, "ipv6-icmp": IPPROTO.ICMPV6, sctp: IPPROTO.SCTP } as const;
export type Protocol = keyof typeof PROTOCOLS;

/** The number's name; undefined of one that has none here. */
export function protocolName(number: number): Protocol | undefined {
  for (const [name, value] of Object.entries(PROTOCOLS)) if (value === number && isProtocol(name)) return name;
  return undefined;
}

export const isProtocol = (name: string): name is Protocol => Object.hasOwn(PROTOCOLS, name);
