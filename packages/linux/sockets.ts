/**
 * Sockets that speak IP from inside a namespace (ip(7), tcp(7), udp(7), raw(7)).
 *
 *     using server = openSocket(pod, { kind: "tcp", family: 4 });
 *     server.bind(address);  server.listen();
 *     using client = openSocket(node, { kind: "tcp", family: 4 });
 *     client.connect(server.name());
 *     server.wait("in", 500) && server.accept().peer      who the pod believes to be speaking with
 *
 * A socket stays in the namespace in which it was opened, so one process can be both ends of a conversation. Nothing here
 * blocks but wait(), which has a time limit: that a packet is lost is an answer, too.
 */
import { KernelError, errnoName, isErrno } from "./errors.ts";
import { afOf, type Family, type Ip } from "./ip.ts";
import { accept, bind, closeFile, connect, getSocketOption, listen, poll, recvFrom, send, sendTo, setSocketOption, socket, socketName, strerror } from "./libc.ts";
import type { Netns } from "./netns.ts";
import { LARGEST_SOCKADDR, endpointFrom, sockaddrOf, type Endpoint } from "./sockaddr.ts";
import { IPPROTO, IPV6, POLL, SO, SOCK, SOL } from "./uapi/socket.ts";

export type { Endpoint };

export interface SocketKind {
  /** "icmp" and "sctp" are raw sockets: they get every packet of that protocol in their namespace; in IPv4 with the IP header in front. */
  kind: "tcp" | "udp" | "icmp" | "sctp";
  family: Family;
  /** How many bytes may wait to be received; unless given, as the kernel's parameters say. */
  receiveBuffer?: number;
}

export interface IpSocket extends Disposable {
  /** The socket's own end; without a port the kernel chooses one. */
  bind(ip: Ip, port?: number): void;
  listen(): void;
  /** Begins to connect: wait("out"), then established() says what came of it. Of UDP it names the other end only. */
  connect(to: Endpoint): void;
  /** True once connected; KernelError (ECONNREFUSED, EHOSTUNREACH, …) where that failed. */
  established(): boolean;
  /** KernelError EAGAIN where nobody is waiting. */
  accept(): { socket: IpSocket; peer: Endpoint };
  send(bytes: Uint8Array, to?: Endpoint): void;
  /** KernelError EAGAIN where nothing has come. Bytes beyond `limit` are lost. */
  receive(limit?: number): { bytes: Uint8Array; from: Endpoint };
  /** Waits until there is something to receive or accept ("in"), or room to send ("out"); false when the time is up. */
  wait(what: "in" | "out", timeoutMs: number): boolean;
  name(): Endpoint;
}

/** Opens a socket in the namespace. KernelError EAFNOSUPPORT where the kernel lacks the family. */
export function openSocket(netns: Netns, { kind, family, receiveBuffer }: SocketKind): IpSocket {
  const icmp = family === 4 ? IPPROTO.ICMP : IPPROTO.ICMPV6;
  const [type, protocol] = { tcp: [SOCK.STREAM, IPPROTO.TCP], udp: [SOCK.DGRAM, IPPROTO.UDP], icmp: [SOCK.RAW, icmp], sctp: [SOCK.RAW, IPPROTO.SCTP] }[kind];
  const fd = netns.inside(() => socket(afOf(family), (type ?? 0) | SOCK.NONBLOCK, protocol ?? 0));
  if (family === 6 && type !== SOCK.RAW) setSocketOption(fd, IPPROTO.IPV6, IPV6.V6ONLY, 1);
  if (kind === "tcp") setSocketOption(fd, SOL.SOCKET, SO.REUSEADDR, 1); // a connection that ended a moment ago does not keep its port
  if (receiveBuffer !== undefined) setSocketOption(fd, SOL.SOCKET, SO.RCVBUFFORCE, receiveBuffer);
  return socketFrom(fd);
}

function socketFrom(fd: number): IpSocket {
  let open = true;
  const wait = (what: "in" | "out", timeoutMs: number): boolean => poll([fd], what === "in" ? POLL.IN : POLL.OUT, timeoutMs);
  return {
    bind: (ip, port = 0) => bind(fd, sockaddrOf({ ip, port })),
    listen: () => listen(fd, 16),
    connect: (to) => {
      try {
        connect(fd, sockaddrOf(to));
      } catch (error) {
        if (!isErrno(error, "EINPROGRESS")) throw error;
      }
    },
    established: () => {
      const errno = getSocketOption(fd, SOL.SOCKET, SO.ERROR);
      if (errno !== 0) throw new KernelError("Cannot connect", errnoName(errno), { reason: strerror(errno) });
      return wait("out", 0);
    },
    accept: () => {
      const from = new Uint8Array(LARGEST_SOCKADDR);
      const accepted = accept(fd, from, SOCK.NONBLOCK);
      return { socket: socketFrom(accepted), peer: endpointFrom(from) };
    },
    send: (bytes, to) => void (to ? sendTo(fd, bytes, sockaddrOf(to)) : send(fd, bytes)),
    receive: (limit = 2048) => {
      const from = new Uint8Array(LARGEST_SOCKADDR);
      const bytes = new Uint8Array(limit);
      const length = recvFrom(fd, bytes, from);
      return { bytes: bytes.subarray(0, length), from: endpointFrom(from) };
    },
    wait,
    name: () => {
      const address = new Uint8Array(LARGEST_SOCKADDR);
      socketName(fd, address);
      return endpointFrom(address);
    },
    [Symbol.dispose]: () => {
      if (open) closeFile(fd);
      open = false;
    },
  };
}
