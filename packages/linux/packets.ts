/**
 * UDP by whole frames, over a link that may have no address yet (packet(7), RFC 768, RFC 791).
 *
 *     ┌──────────────┬───────────────┬──────────────┬─────────┐
 *     │ Ethernet  14 │ IPv4       20 │ UDP        8 │ payload │
 *     │ to whom: MAC │ 0.0.0.0 → …   │ 68 → 67      │         │
 *     └──────────────┴───────────────┴──────────────┴─────────┘
 *
 * Who asks for its first address cannot send from one, and the answer comes to an address that is not its own yet: the
 * kernel's own UDP refuses both. Such frames pass the link's queue, but no routing and no packet filter. A listening socket holds its
 * namespace, so it is to be closed soon; sending leaves nothing open.
 */
import { unless } from "./errors.ts";
import { aboutToSend } from "./faults.ts";
import { ipFrom, type Ip } from "./ip.ts";
import { attachFilter, bind, closeFile, recv, sendTo, socket } from "./libc.ts";
import type { Link } from "./links.ts";
import { macFrom, type Mac } from "./mac.ts";
import type { Netns } from "./netns.ts";
import type { Endpoint } from "./sockets.ts";
import { BPF, ETH_P, sock_filter } from "./uapi/if_packet.ts";
import { AF, IPPROTO, SOCK } from "./uapi/socket.ts";
import { be16, encode, pad, s32, struct, u16, u8 } from "./wire/codec.ts";

export interface Datagram {
  /** The other's MAC address, or that of the router in between: of what came in the sender's, of what is to go out the receiver's. */
  mac: Mac;
  from: Endpoint;
  to: Endpoint;
  payload: Uint8Array;
}

/** 0.0.0.0 and 255.255.255.255: nobody's address, and everybody's on the link. */
export const NOBODY: Ip = ipFrom(new Uint8Array(4));
export const EVERYBODY: Ip = ipFrom(new Uint8Array(4).fill(0xff));
/** The MAC address of everybody on the link. */
export const BROADCAST: Mac = macFrom(new Uint8Array(6).fill(0xff));

/** struct sockaddr_ll (linux/if_packet.h) up to the address, which follows at 12. */
const sockaddr_ll = struct({ sll_family: u16, sll_protocol: be16, sll_ifindex: s32, sll_hatype: u16, sll_pkttype: u8, sll_halen: u8, _addr: pad(8) });
/** struct ethhdr, its two addresses left out; struct iphdr and struct udphdr (linux/if_ether.h, ip.h, udp.h). */
const ethhdr = struct({ _dest_source: pad(12), h_proto: be16 });
const iphdr = struct({ version_ihl: u8, tos: u8, tot_len: be16, id: be16, frag_off: be16, ttl: u8, protocol: u8, check: be16, _saddr_daddr: pad(8) });
const udphdr = struct({ source: be16, dest: be16, len: be16, check: be16 });

const IP_AT = ethhdr.size;
const IP_SIZE = iphdr.size;
const DONT_FRAGMENT = 0x4000;
const FRAGMENT = 0x3fff; // the flag "more to come" and the place: of an unfragmented packet all zero
const LARGEST = 64 * 1024;

/** Sends one frame by the link. KernelError ENETDOWN where the link is down. */
export function sendDatagram(netns: Netns, link: Link, datagram: Datagram): void {
  const fd = open(netns);
  try {
    aboutToSend(() => `send by "${link.name}"`);
    sendTo(fd, frameOf(link, datagram), addressOf(link));
  } finally {
    closeFile(fd);
  }
}

/** Opens a socket that gets the IPv4 datagrams to `port` which come in by the link. Who takes the descriptor closes it. */
export function listenDatagrams(netns: Netns, link: Link, port: number): number {
  const fd = open(netns);
  try {
    attachFilter(fd, filterFor(port)); // before bind: from then on packets come
    bind(fd, addressOf(link));
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/** The next datagram that came; undefined where there is none. Throws RangeError where what came is none. */
export function receiveDatagram(fd: number): Datagram | undefined {
  const frame = new Uint8Array(LARGEST);
  const length = unless(["EAGAIN"], () => recv(fd, frame));
  return length === undefined ? undefined : datagramIn(frame.subarray(0, length));
}

/** Reads a frame. RangeError where it holds no whole, unharmed IPv4 datagram. */
export function datagramIn(frame: Uint8Array): Datagram {
  const packet = frame.subarray(IP_AT);
  const { version_ihl, tot_len, frag_off, protocol } = iphdr.decode(packet);
  const headerSize = (version_ihl & 0x0f) * 4;
  if (version_ihl >> 4 !== 4 || headerSize < IP_SIZE || protocol !== IPPROTO.UDP || (frag_off & FRAGMENT) !== 0) {
    throw new RangeError(`Cannot read a frame: version ${version_ihl >> 4}, header ${headerSize}, protocol ${protocol}, fragment ${frag_off} (one whole IPv4 datagram is wanted)`);
  }
  if (sumOf(packet.subarray(0, headerSize)) !== 0xffff) throw new RangeError("Cannot read a frame: the IP header's checksum is wrong");
  const segment = packet.subarray(headerSize, tot_len);
  const { source, dest, len, check } = udphdr.decode(segment);
  if (len < udphdr.size || len > segment.length) throw new RangeError(`Cannot read a frame: ${segment.length} bytes of UDP (${len} are said to be there)`);
  const datagram = segment.subarray(0, len);
  const ends = packet.subarray(12, 20);
  if (!isWhole(datagram, check, ends)) throw new RangeError("Cannot read a frame: the UDP checksum is wrong");
  return {
    mac: macFrom(frame.slice(6, 12)),
    from: { ip: ipFrom(ends.slice(0, 4)), port: source },
    to: { ip: ipFrom(ends.slice(4, 8)), port: dest },
    payload: datagram.slice(udphdr.size),
  };
}

/** The frame's bytes. */
export function frameOf({ mac: own }: Pick<Link, "mac">, { mac, from, to, payload }: Datagram): Uint8Array {
  const length = udphdr.size + payload.length;
  const frame = new Uint8Array(IP_AT + IP_SIZE + length);
  frame.set(encode(ethhdr, { h_proto: ETH_P.IP }));
  frame.set(mac.bytes);
  frame.set(own?.bytes ?? [], 6);
  const packet = frame.subarray(IP_AT);
  const ends = Uint8Array.of(...from.ip.bytes, ...to.ip.bytes);
  const header = { version_ihl: 0x45, tot_len: packet.length, frag_off: DONT_FRAGMENT, ttl: 64, protocol: IPPROTO.UDP };
  packet.set(encode(iphdr, header));
  packet.set(ends, 12);
  packet.set(encode(iphdr, { ...header, check: complement(sumOf(packet.subarray(0, IP_SIZE))) }).subarray(0, 12));
  const segment = packet.subarray(IP_SIZE);
  const ports = { source: from.port, dest: to.port, len: length };
  segment.set(encode(udphdr, ports));
  segment.set(payload, udphdr.size);
  // Zero would say that there is no checksum, and means the same number as 0xffff (RFC 768).
  segment.set(encode(udphdr, { ...ports, check: complement(sumOf(segment, pseudoSum(ends, length))) || 0xffff }));
  return frame;
}

/**
 * Whether a datagram came as it was sent. The sender may be on this very machine, and its kernel leave the sum to a card that the
 * frame never passes (CHECKSUM_PARTIAL): then only the pseudo header's sum stands there.
 */
function isWhole(datagram: Uint8Array, check: number, ends: Uint8Array): boolean {
  const pseudo = pseudoSum(ends, datagram.length);
  return check === 0 || check === pseudo || sumOf(datagram, pseudo) === 0xffff;
}

/** The sum of what UDP's checksum covers beside the datagram: both addresses, the protocol, the length. */
const pseudoSum = (ends: Uint8Array, length: number): number => folded(sumOf(ends) + IPPROTO.UDP + length);

/** The internet's checksum (RFC 1071): sixteen bits each, what is carried over added again. Of bytes with their checksum it is 0xffff. */
function sumOf(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return folded(sum);
}

function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000);
  return rest;
}

const complement = (sum: number): number => ~sum & 0xffff;

/** UDP, no fragment, to that port. Without it every packet of a busy pod would wake who waits for one. */
function filterFor(port: number): Uint8Array {
  const program = [
    { code: BPF.LD | BPF.B | BPF.ABS, k: IP_AT + 9 },                      // the protocol
    { code: BPF.JMP | BPF.JEQ | BPF.K, jf: 6, k: IPPROTO.UDP },
    { code: BPF.LD | BPF.H | BPF.ABS, k: IP_AT + 6 },                      // the fragment's place
    { code: BPF.JMP | BPF.JSET | BPF.K, jt: 4, k: FRAGMENT },
    { code: BPF.LDX | BPF.B | BPF.MSH, k: IP_AT },                         // the IP header's size
    { code: BPF.LD | BPF.H | BPF.IND, k: IP_AT + 2 },                      // the port to which it goes
    { code: BPF.JMP | BPF.JEQ | BPF.K, jf: 1, k: port },
    { code: BPF.RET | BPF.K, k: LARGEST },                                 // take it
    { code: BPF.RET | BPF.K, k: 0 },                                       // drop it
  ];
  return Uint8Array.from(program.flatMap((instruction) => [...encode(sock_filter, instruction)]));
}

/** Without a protocol it gets nothing before it is bound. */
const open = (netns: Netns): number => netns.inside(() => socket(AF.PACKET, SOCK.RAW | SOCK.NONBLOCK, 0));


const addressOf = ({ index }: Link): Uint8Array =>
  encode(sockaddr_ll, { sll_family: AF.PACKET, sll_protocol: ETH_P.IP, sll_ifindex: index }).slice();
