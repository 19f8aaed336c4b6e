/**
 * The small cluster of ./world.ts with packets: everybody is a namespace of his own on a cable to node-1, which all packets pass.
 *
 *     client ─┐                ┌─ web-2
 *     web-1 ──┤                ├─ web-3
 *     peer ───┼──── node-1 ────┼─ node-2
 *     outside ┤                └─ elsewhere: whatever else there is
 *     stranger┘
 *
 * Everybody answers at every port that a service of ours leads to, and sees who asks.
 */
import { test } from "bun:test";
import { Netns, isErrno, openSocket, parseCidr, parseIp, sameIp, unless, type Family, type IpSocket, type Ip } from "@vethwork/linux";
import { IPPROTO } from "@vethwork/linux/uapi/socket.ts";
import { be16, be32, decode, encode, struct, u8 } from "@vethwork/linux/wire/codec.ts";
import { missing, skipped } from "../../../../tests/conformance/node/needs.ts";
import { forward, plugPod, up } from "../../datapath/testing/cluster.ts";
import type { Connection } from "../follow.ts";
import { ADDRESSES, addressOf, isWho, type Who } from "./world.ts";

const FAMILIES = [4, 6] as const;
const EVERYBODY = Object.keys(ADDRESSES).filter(isWho);

const PORTS = { tcp: [8080, 8081, 8443, 5353, 6443, 30_080], udp: [5353], sctp: [9000] } as const;
const ELSEWHERE = [parseIp("198.18.0.1"), parseIp("2001:db8:e::1")] as const;

/** Where a packet arrived, and from whom as far as the receiver sees. */
export interface Arrival {
  who: Who;
  port: number;
  from: Ip;
}

export interface Sent extends Disposable {
  socket: IpSocket;
  connection: Connection;
}

export interface Star extends Disposable {
  node: Netns;
  netnsOf(who: Who): Netns;
  /** Sends the first packet of a connection. */
  send(who: Who, connection: Connection): Sent;
  /** Who has got something since this was last asked. */
  arrival(): Arrival | undefined;
  /** Returns when a packet has been from there to node-1: so has what was sent before it. */
  settle(who: Who, family: Family): void;
}

/** A test with a star of its own. */
export function starTest(title: string, act: (star: Star) => void | Promise<void>): void {
  const lacks = missing({ root: true });
  test.skipIf(lacks !== "")(skipped(title, lacks), async () => {
    using star = createStar();
    await act(star);
  }, 30_000);
}

export function createStar(): Star {
  const all = new DisposableStack();
  const namespaces = new Map(EVERYBODY.map((who) => [who, all.use(Netns.create())]));
  const netnsOf = (who: Who): Netns => namespaces.get(who) ?? all.use(Netns.create());
  const node = netnsOf("node-1");
  layOut(node, { all, namespaces });
  const doors = EVERYBODY.flatMap((who) => FAMILIES.flatMap((family) => doorsOf(netnsOf(who), { who, family, all })));
  const markers = FAMILIES.map((family) => all.use(bound(node, { kind: "udp", family, ip: addressOf("node-1", family), port: 7 })));
  return {
    node, netnsOf,
    send: (who, connection) => {
      const { protocol, from, to: ip, port } = connection;
      const socket = bound(netnsOf(who), { kind: protocol, family: ip.family, ip: from, port: 0 });
      const sent = { socket, connection, [Symbol.dispose]: () => socket[Symbol.dispose]() };
      unless(["EPERM"], () => begin(socket, { protocol, ip, port })); // dropped on its way out, or refused: what came of it is asked later
      return sent;
    },
    arrival: () => {
      for (const door of doors) {
        const found = door.take();
        if (found) return found;
      }
      return undefined;
    },
    settle: (who, family) => {
      const marker = markers[family === 4 ? 0 : 1];
      using socket = bound(netnsOf(who), { kind: "udp", family, ip: addressOf(who, family), port: 0 });
      socket.send(new Uint8Array(1), { ip: addressOf("node-1", family), port: 7 });
      if (!marker?.wait("in", 5000)) throw new RangeError(`no way from ${who} to node-1`);
      marker.receive();
    },
    [Symbol.dispose]: () => all.dispose(),
  };
}

function layOut(node: Netns, { all, namespaces }: { all: DisposableStack; namespaces: ReadonlyMap<Who, Netns> }): void {
  up(node, "lo");
  forward(node);
  for (const name of ["net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit", "net/netfilter/nf_conntrack_checksum", "net/ipv4/conf/all/send_redirects", "net/ipv4/conf/default/send_redirects"]) node.sysctl.set(name, 0);
  for (const [who, netns] of namespaces) {
    if (who === "node-1") continue;
    netns.sysctl.set("net/ipv6/conf/default/accept_redirects", 0);
    plugPod(node, netns, { name: who, ips: FAMILIES.map((family) => addressOf(who, family)) });
  }
  const elsewhere = all.use(Netns.create());
  plugPod(node, elsewhere, { name: "elsewhere", ips: ELSEWHERE });
  const link = node.links.get("elsewhere");
  for (const [at, via] of ELSEWHERE.entries()) {
    const family = at === 0 ? 4 : 6;
    node.addrs.add(link, { address: parseCidr(`${addressOf("node-1", family)}/${family === 4 ? 32 : 128}`), nodad: true });
    node.routes.add({ dst: parseCidr(family === 4 ? "0.0.0.0/0" : "::/0"), via, link: link.index, onlink: true });
    while (node.routes.find(addressOf("node-1", family))?.type !== "local") continue;
  }
}

interface Binding {
  kind: "tcp" | "udp" | "sctp";
  family: Family;
  ip: Ip;
  port: number;
}

function bound(netns: Netns, { kind, family, ip, port }: Binding): IpSocket {
  const socket = openSocket(netns, { kind, family });
  socket.bind(ip, kind === "sctp" ? 0 : port);
  return socket;
}

let lastPort = 40_000;

function begin(socket: IpSocket, { protocol, ip, port }: { protocol: Connection["protocol"]; ip: Ip; port: number }): void {
  socket.connect({ ip, port: protocol === "sctp" ? 0 : port });
  if (protocol === "udp") socket.send(new Uint8Array(1));
  if (protocol === "sctp") socket.send(initChunk(lastPort++, port));
}

/** struct sctphdr, and the chunk that begins an association (linux/sctp.h): who translates it counts its checksum anew, and nobody looks. */
const init = struct({
  source: be16, dest: be16, vtag: be32, checksum: be32,
  type: u8, flags: u8, length: be16, init_tag: be32, a_rwnd: be32, num_outbound_streams: be16, num_inbound_streams: be16, initial_tsn: be32,
});

const initChunk = (source: number, dest: number): Uint8Array => encode(init, {
  source, dest, vtag: 0, checksum: 0, type: 1, flags: 0, length: 20, init_tag: 1, a_rwnd: 65_536, num_outbound_streams: 1, num_inbound_streams: 1, initial_tsn: 1,
}).slice();

interface Door {
  take(): Arrival | undefined;
}

function doorsOf(netns: Netns, { who, family, all }: { who: Who; family: Family; all: DisposableStack }): Door[] {
  const ip = addressOf(who, family);
  const open = (kind: Binding["kind"], port: number): IpSocket => all.use(bound(netns, { kind, family, ip, port }));
  return [
    ...PORTS.tcp.map((port) => tcpDoor(open("tcp", port), { who, port })),
    ...PORTS.udp.map((port) => datagramDoor(open("udp", port), () => ({ who, port }))),
    ...(who.startsWith("web") ? [datagramDoor(open("sctp", 0), (bytes) => ({ who, port: decode(init, bytes.subarray(family === 4 ? IP_SIZE : 0)).dest ?? 0 }))] : []),
  ];
}

const IP_SIZE = 20; // a raw socket of IPv4 gets the IP header, too

function tcpDoor(socket: IpSocket, at: Omit<Arrival, "from">): Door {
  socket.listen();
  return {
    take: () => {
      const one = unless(["EAGAIN"], () => socket.accept());
      one?.socket[Symbol.dispose]();
      return one && { ...at, from: one.peer.ip };
    },
  };
}

function datagramDoor(socket: IpSocket, at: (bytes: Uint8Array) => Omit<Arrival, "from">): Door {
  return {
    take: () => {
      const one = unless(["EAGAIN"], () => socket.receive());
      return one && { ...at(one.bytes), from: one.from.ip };
    },
  };
}

/** True once its sender has been told that nobody listens. */
export function isRefused({ socket, connection: { protocol } }: Sent): boolean {
  try {
    if (protocol === "tcp") socket.established();
    else socket.receive();
    return false;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return false;
    if (isErrno(error, "ECONNREFUSED")) return true;
    throw error;
  }
}

/** True where node-1 has let it pass as it is. */
export function isPassed(node: Netns, { connection: { from, to, port, protocol } }: Sent): boolean {
  const original = { source: from, destination: to, protocol: IPPROTO[protocol === "tcp" ? "TCP" : protocol === "udp" ? "UDP" : "SCTP"], destinationPort: port };
  return node.conntrack.list({ original }).some(({ destinationNat, reply }) => !destinationNat && sameIp(reply.source, to));
}
