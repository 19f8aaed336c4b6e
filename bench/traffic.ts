/**
 * Traffic: as much as will go, or one question after another, from one namespace to another. One program is both ends.
 *
 *     bun bench/traffic.ts serve KIND ADDRESS          prints "ready", then what it counted when the other end is done
 *     bun bench/traffic.ts drive KIND ADDRESS SECONDS
 *
 *     stream     TCP, 256 KiB a call              bits a second that arrive
 *     rr         TCP, one byte there and back     round trips a second
 *     crr        the same with a connection each
 *     udp        datagrams of 64 bytes            datagrams a second that arrive
 *
 * The calls are libc's and block: what the program itself costs is a microsecond a call, and the same on all ways that are compared.
 */
import { isErrno, parseIp, type Ip } from "@vethwork/linux";
import { accept, bind, closeFile, connect, listen, recv, send, setSocketOption, setSocketOptionBytes, socket } from "@vethwork/linux/libc.ts";
import { LARGEST_SOCKADDR, sockaddrOf } from "@vethwork/linux/sockaddr.ts";
import { SO, SOCK, SOL } from "@vethwork/linux/uapi/socket.ts";
import { afOf } from "@vethwork/linux/ip.ts";

export const kinds = ["stream", "rr", "crr", "udp"] as const;
export type Kind = (typeof kinds)[number];

/** What one end counted: bytes of a stream, else questions or datagrams. */
export interface Counted {
  count: number;
  seconds: number;
}

const PORT = 5001;
const CHUNK = 256 * 1024;
const DATAGRAM = 64;
const BUFFER = 4 * 1024 * 1024;
const SILENCE_MS = 300; // of a sender of datagrams: it is done

const open = (ip: Ip, type: number): number => socket(afOf(ip.family), type, 0);
const seconds = (since: number): number => (performance.now() - since) / 1000;

function serve(kind: Kind, ip: Ip): Counted {
  const fd = open(ip, kind === "udp" ? SOCK.DGRAM : SOCK.STREAM);
  setSocketOption(fd, SOL.SOCKET, SO.REUSEADDR, 1);
  setSocketOption(fd, SOL.SOCKET, SO.RCVBUFFORCE, BUFFER);
  bind(fd, sockaddrOf({ ip, port: PORT }));
  if (kind !== "udp") listen(fd, 128);
  process.stdout.write("ready\n");
  if (kind === "udp") return countDatagrams(fd);
  if (kind === "crr") return answerConnections(fd);
  const end = accept(fd, new Uint8Array(LARGEST_SOCKADDR), 0);
  return kind === "stream" ? drain(end) : answer(end);
}

function drain(fd: number): Counted {
  const into = new Uint8Array(CHUNK);
  const begun = performance.now();
  let count = 0;
  for (let length = recv(fd, into); length > 0; length = recv(fd, into)) count += length;
  return { count, seconds: seconds(begun) };
}

function answer(fd: number): Counted {
  const byte = new Uint8Array(1);
  const begun = performance.now();
  let count = 0;
  for (; recv(fd, byte) > 0; count++) send(fd, byte);
  return { count, seconds: seconds(begun) };
}

/** Until one says nothing. */
function answerConnections(fd: number): Counted {
  const [byte, from] = [new Uint8Array(1), new Uint8Array(LARGEST_SOCKADDR)];
  const begun = performance.now();
  for (let count = 0; ; count++) {
    const end = accept(fd, from, 0);
    const isOver = recv(end, byte) === 0;
    if (!isOver) send(end, byte);
    closeFile(end);
    if (isOver) return { count, seconds: seconds(begun) };
  }
}

function countDatagrams(fd: number): Counted {
  const into = new Uint8Array(DATAGRAM);
  recv(fd, into);
  setSocketOptionBytes(fd, SOL.SOCKET, SO.RCVTIMEO, new Uint8Array(BigInt64Array.of(0n, BigInt(SILENCE_MS * 1000)).buffer));
  const begun = performance.now();
  for (let count = 0, last = begun; ; ) {
    try {
      recv(fd, into);
      count++;
      if (count % 64 === 0) last = performance.now();
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      return { count, seconds: (last - begun) / 1000 };
    }
  }
}

function drive(kind: Kind, ip: Ip, forSeconds: number): Counted {
  const to = sockaddrOf({ ip, port: PORT });
  const dial = (type: number): number => {
    const fd = open(ip, type);
    connect(fd, to);
    return fd;
  };
  const begun = performance.now();
  const end = begun + forSeconds * 1000;
  const bytes = new Uint8Array(kind === "stream" ? CHUNK : kind === "udp" ? DATAGRAM : 1);
  let count = 0;
  if (kind === "crr") {
    for (; performance.now() < end; count++) {
      const fd = dial(SOCK.STREAM);
      send(fd, bytes);
      recv(fd, bytes);
      closeFile(fd);
    }
    closeFile(dial(SOCK.STREAM));
    return { count, seconds: seconds(begun) };
  }
  const fd = dial(kind === "udp" ? SOCK.DGRAM : SOCK.STREAM);
  for (; performance.now() < end; count++) {
    send(fd, bytes);
    if (kind === "rr") recv(fd, bytes);
  }
  closeFile(fd);
  return { count, seconds: seconds(begun) };
}

if (import.meta.main) {
  const [role, word, address = "", time = "1"] = process.argv.slice(2);
  const kind = kinds.find((one) => one === word);
  if (!kind || (role !== "serve" && role !== "drive")) throw new RangeError(`Cannot make traffic of "${role} ${word}" (serve or drive, and one of ${kinds.join(", ")} are wanted)`);
  const ip = parseIp(address);
  process.stdout.write(`${JSON.stringify(role === "serve" ? serve(kind, ip) : drive(kind, ip, Number(time)))}\n`);
}
