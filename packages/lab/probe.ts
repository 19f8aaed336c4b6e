/**
 * Probes: real packets from one end to another, and what each end saw of them.
 *
 *     from ──── "who are you?" ────▶ to           TCP: a connection   UDP: a datagram and its echo   ICMP: ping
 *     from ◀─── the source that `to` saw ────     the time is one round trip
 *
 * Both ends are sockets of this one process, each opened in its own namespace, so the receiver can be asked which source
 * address it saw: that is how an address translation on the way shows. Lost packets show as a time-out, refused ones by
 * the kernel's own error.
 */
import { randomBytes } from "node:crypto";
import { KernelError, openSocket, sameIp, type Ip, type IpSocket, type Netns } from "@vethwork/linux";
import { be16, encode, struct, u8 } from "@vethwork/linux/wire/codec.ts";

export const protocols = ["TCP", "UDP", "ICMP"] as const;
export type Protocol = (typeof protocols)[number];

export interface Ends {
  from: Netns;
  to: Netns;
  /** The address that `to` is called by. */
  address: Ip;
  timeoutMs: number;
}

/** What came of one probe. */
export type Outcome =
  | { reached: true; rttMs: number; /** Source address, as the receiver saw it. */ seen: Ip }
  | { reached: false; why: string };

/** Sends one probe and waits for the answer. */
export function probe(protocol: Protocol, ends: Ends): Outcome {
  try {
    return { TCP: probeTcp, UDP: probeUdp, ICMP: probeIcmp }[protocol](ends);
  } catch (error) {
    if (error instanceof KernelError) return { reached: false, why: error.message };
    throw error;
  }
}

/** A connection: the time is from the first packet to the answer that makes the connection whole for the sender. */
function probeTcp({ from, to, address, timeoutMs }: Ends): Outcome {
  using server = openSocket(to, { kind: "tcp", family: address.family });
  server.bind(address);
  server.listen();
  using client = openSocket(from, { kind: "tcp", family: address.family });
  const begun = performance.now();
  client.connect(server.name());
  if (!client.wait("out", timeoutMs) || !client.established()) return lost("no answer to the connection's first packet", timeoutMs);
  const rttMs = performance.now() - begun;
  if (!server.wait("in", timeoutMs)) return lost("the connection never came to be whole", timeoutMs);
  const { socket, peer } = server.accept();
  socket[Symbol.dispose]();
  return { reached: true, rttMs, seen: peer.ip };
}

function probeUdp({ from, to, address, timeoutMs }: Ends): Outcome {
  using server = openSocket(to, { kind: "udp", family: address.family });
  server.bind(address);
  using client = openSocket(from, { kind: "udp", family: address.family });
  client.connect(server.name()); // an answer from anybody else is not an answer
  const token = randomBytes(16);
  const begun = performance.now();
  client.send(token);
  if (!server.wait("in", timeoutMs)) return lost("the datagram did not arrive", timeoutMs);
  const asked = server.receive();
  server.send(asked.bytes, asked.from);
  if (!client.wait("in", timeoutMs)) return lost("the datagram arrived, its answer did not", timeoutMs);
  client.receive();
  return { reached: true, rttMs: performance.now() - begun, seen: asked.from.ip };
}

/** struct icmphdr (linux/icmp.h), icmp6hdr (linux/icmpv6.h): the same for an echo. */
const icmphdr = struct({ type: u8, code: u8, checksum: be16, id: be16, sequence: be16 });
const ECHO_REQUEST = { 4: 8, 6: 128 } as const; // RFC 792; RFC 4443 section 4.1
const ECHO_REPLY = { 4: 0, 6: 129 } as const;

/** The kernel of `to` answers; a second socket there watches the request come in. */
function probeIcmp({ from, to, address, timeoutMs }: Ends): Outcome {
  const { family } = address;
  using watcher = openSocket(to, { kind: "icmp", family });
  using client = openSocket(from, { kind: "icmp", family });
  const token = randomBytes(16);
  const request = echoRequest(family, token);
  const begun = performance.now();
  client.send(request, { ip: address, port: 0 });
  const arrived = next(watcher, { type: ECHO_REQUEST[family], token, family }, timeoutMs);
  if (!arrived) return lost("the echo request did not arrive", timeoutMs);
  const answer = next(client, { type: ECHO_REPLY[family], token, family }, timeoutMs);
  if (!answer) return lost("the echo request arrived, its answer did not", timeoutMs);
  if (!sameIp(answer, address)) return { reached: false, why: `the answer came from ${answer}` };
  return { reached: true, rttMs: performance.now() - begun, seen: arrived };
}

function echoRequest(family: 4 | 6, token: Uint8Array): Uint8Array {
  const header = { type: ECHO_REQUEST[family], code: 0, id: 1, sequence: 1 };
  const bare = Buffer.concat([encode(icmphdr, header), token]);
  if (family === 6) return bare; // the kernel fills in its checksum, which covers addresses that only it knows
  return Buffer.concat([encode(icmphdr, { ...header, checksum: checksumOf(bare) }), token]);
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

interface Wanted {
  type: number;
  token: Uint8Array;
  family: 4 | 6;
}

/** A raw socket gets every ICMP packet: waits for the one that is wanted and gives its source. */
function next(socket: IpSocket, { type, token, family }: Wanted, timeoutMs: number): Ip | undefined {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = Math.ceil(deadline - performance.now());
    if (leftMs <= 0 || !socket.wait("in", leftMs)) return undefined;
    const { bytes, from } = socket.receive();
    const headerLength = family === 4 ? ((bytes[0] ?? 0) & 0xf) * 4 : 0; // IHL, RFC 791 section 3.1
    const icmp = bytes.subarray(headerLength);
    if (icmp[0] === type && Buffer.compare(icmp.subarray(icmphdr.size), token) === 0) return from.ip;
  }
}

const lost = (what: string, timeoutMs: number): Outcome => ({ reached: false, why: `${what} (waited ${timeoutMs} ms)` });
