/**
 * Calls to a port: real packets there and back, and whom the called one believes to be speaking with.
 *
 *     caller ── node's address, 8080 ──► node ── pod's address, 80 ──► listener        "192.0.2.254"
 *     caller ◄── from the address that it called, or the call is lost ────┘
 *
 * Both ends are sockets of the test's own process, each in its namespace. SCTP is spoken by hand, in raw packets: kernels
 * that do not speak it still track and translate it.
 */
import { randomBytes } from "node:crypto";
import { KernelError, Netns, openSocket, parseIp, sameIp, type Endpoint, type Family, type IpSocket } from "@vethwork/linux";
import { be16, be32, decode, encode, struct, u32, u8 } from "@vethwork/linux/wire/codec.ts";
import type { Stage } from "./stage.ts";

export interface Call {
  /** Names of namespaces: a pod's, "world", or "node". */
  from: string;
  to: string;
  protocol: "tcp" | "udp" | "sctp";
  /** The address that is called. */
  address: string;
  port: number;
  /** The port on which the other end listens. */
  listening: number;
  /** The caller's own address; unless given, what the kernel chooses. */
  source?: string;
}

/** A port that answers takes its time on a busy machine; one that does not would never. */
const PATIENCE_MS = 5_000;
const LOST_MS = 250;

/** Where the namespaces are: a stage has a node. */
export type Place = Pick<Stage, "node">;

/** A namespace of the node, by its name. */
export function netnsOf(stage: Place, name: string): Netns {
  return Netns.open(name === "node" ? `/proc/${stage.node.pid}/ns/net` : `/proc/${stage.node.pid}/root/run/netns/${name}`);
}

/** The source address that the listener saw; "" where the call was lost on its way there or back, or refused. */
export function heardFrom(stage: Place, call: Call, { expectsAnswer = true } = {}): string {
  using from = netnsOf(stage, call.from);
  using to = netnsOf(stage, call.to);
  const patienceMs = expectsAnswer ? PATIENCE_MS : LOST_MS;
  try {
    const speak = { tcp: speakTcp, udp: speakUdp, sctp: speakSctp }[call.protocol];
    return speak({ from, to, call, patienceMs });
  } catch (error) {
    if (error instanceof KernelError) return "";
    throw error;
  }
}

interface Ends {
  from: Netns;
  to: Netns;
  call: Call;
  patienceMs: number;
}

const familyOf = (address: string): Family => (address.includes(":") ? 6 : 4);
const anyOf = (family: Family): string => (family === 4 ? "0.0.0.0" : "::");
const calledOf = ({ address, port }: Call): Endpoint => ({ ip: parseIp(address), port });

function openEnds(kind: "tcp" | "udp", { from, to, call }: Ends): { server: IpSocket; client: IpSocket } {
  const family = familyOf(call.address);
  const server = openSocket(to, { kind, family });
  server.bind(parseIp(anyOf(family)), call.listening);
  const client = openSocket(from, { kind, family });
  if (call.source !== undefined) client.bind(parseIp(call.source));
  return { server, client };
}

function speakTcp(ends: Ends): string {
  const { server, client } = openEnds("tcp", ends);
  using _server = server;
  using _client = client;
  server.listen();
  client.connect(calledOf(ends.call));
  if (!client.wait("out", ends.patienceMs) || !client.established() || !server.wait("in", ends.patienceMs)) return "";
  const { socket, peer } = server.accept();
  using _accepted = socket;
  return String(peer.ip);
}

function speakUdp(ends: Ends): string {
  const { server, client } = openEnds("udp", ends);
  using _server = server;
  using _client = client;
  client.connect(calledOf(ends.call)); // an answer from anybody else is not an answer
  client.send(randomBytes(8));
  if (!server.wait("in", ends.patienceMs)) return "";
  const { bytes, from } = server.receive();
  server.send(bytes, from);
  return client.wait("in", ends.patienceMs) ? String(from.ip) : "";
}

/** RFC 9260 section 3.1, and the chunk with which an association begins (3.3.2) and is answered (3.3.3). */
const sctphdr = struct({ sport: be16, dport: be16, tag: be32, checksum: u32 });
const initChunk = struct({ type: u8, flags: u8, length: be16, tag: be32, window: be32, out: be16, in: be16, tsn: be32 });
const [INIT, INIT_ACK] = [1, 2] as const;
const CALLER = { tag: 0x1111_1111, port: 40_000 };

function speakSctp({ from, to, call, patienceMs }: Ends): string {
  const family = familyOf(call.address);
  using server = openSocket(to, { kind: "sctp", family });
  using client = openSocket(from, { kind: "sctp", family });
  if (call.source !== undefined) client.bind(parseIp(call.source));
  const sport = CALLER.port + Math.floor(Math.random() * 10_000);
  client.send(packet({ sport, dport: call.port, tag: 0 }, { type: INIT, tag: CALLER.tag }), { ip: parseIp(call.address), port: 0 });
  const asked = nextChunk(server, family, { type: INIT, dport: call.listening }, patienceMs);
  if (!asked) return "";
  server.send(packet({ sport: call.listening, dport: asked.sport, tag: CALLER.tag }, { type: INIT_ACK, tag: 0x2222_2222 }), { ip: asked.from.ip, port: 0 });
  const answered = nextChunk(client, family, { type: INIT_ACK, dport: sport }, patienceMs);
  return answered && answered.sport === call.port && sameIp(answered.from.ip, parseIp(call.address)) ? String(asked.from.ip) : "";
}

function packet(header: { sport: number; dport: number; tag: number }, { type, tag }: { type: number; tag: number }): Uint8Array {
  const chunk = encode(initChunk, { type, flags: 0, length: initChunk.size, tag, window: 65_536, out: 1, in: 1, tsn: 1 });
  const bare = Buffer.concat([encode(sctphdr, { ...header, checksum: 0 }), chunk]);
  return Buffer.concat([encode(sctphdr, { ...header, checksum: crc32c(bare) }), chunk]);
}

/** A raw socket gets every packet of the protocol: waits for the one that is wanted. */
function nextChunk(socket: IpSocket, family: Family, { type, dport }: { type: number; dport: number }, patienceMs: number): { sport: number; from: Endpoint } | undefined {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const leftMs = Math.ceil(deadline - performance.now());
    if (leftMs <= 0 || !socket.wait("in", leftMs)) return undefined;
    const { bytes, from } = socket.receive();
    const sctp = bytes.subarray(family === 4 ? ((bytes[0] ?? 0) & 0xf) * 4 : 0); // IPv4 comes with its header
    const { sport = 0, dport: at } = decode(sctphdr, sctp);
    if (at === dport && sctp[sctphdr.size] === type) return { sport, from };
  }
}

/** RFC 9260 appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}
