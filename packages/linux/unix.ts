/**
 * A connection to a program of this machine by a socket that is a file (unix(7)), for who wants an answer and has nothing else
 * to do: each call waits, and none for ever.
 */
import { KernelError, unless } from "./errors.ts";
import { closeFile, connect, getSocketOptionBytes, recv, send, setSocketOptionBytes, socket } from "./libc.ts";
import { AF, MSG, SO, SOCK, SOL } from "./uapi/socket.ts";
import { cstring, encode, struct, u16, u32, u64 } from "./wire/codec.ts";

export interface UnixStream extends Disposable {
  send(bytes: Uint8Array): void;
  /** What has come; empty at the end, undefined where nothing came in time. */
  receive(timeoutMs: number): Uint8Array | undefined;
}

/** struct sockaddr_un (linux/un.h): family and path; struct timeval. */
const sockaddr_un = struct({ sun_family: u16 });
const LONGEST_PATH = 107;
const timeval = struct({ tv_sec: u64, tv_usec: u64 });

/** struct ucred (linux/socket.h). */
const ucred = struct({ pid: u32, uid: u32, gid: u32 });

/** Who is at the other end of a connection, as the kernel saw him connect (SO_PEERCRED). */
export const peerOf = (fd: number): { pid: number; uid: number; gid: number } => ucred.decode(getSocketOptionBytes(fd, SOL.SOCKET, SO.PEERCRED, ucred.size));

const REASONS: Readonly<Record<string, string>> = { ENOENT: "there is no such file", ECONNREFUSED: "nobody listens there", EAGAIN: "nobody takes the connection" };

/** Connects. KernelError ENOENT where there is no such file, ECONNREFUSED where nobody listens behind it. */
export function connectUnix(path: string, timeoutMs: number): UnixStream {
  const name = encode(cstring, path);
  if (name.length > LONGEST_PATH + 1) throw new RangeError(`Cannot connect to "${path}": ${name.length - 1} bytes (at most ${LONGEST_PATH} are wanted)`);
  const fd = socket(AF.UNIX, SOCK.STREAM, 0);
  const limit = (option: number, ms: number): void => {
    const whole = Math.max(1, Math.round(ms)); // zero would be for ever
    const [tv_sec, tv_usec] = [BigInt(Math.floor(whole / 1000)), BigInt((whole % 1000) * 1000)];
    setSocketOptionBytes(fd, SOL.SOCKET, option, encode(timeval, { tv_sec, tv_usec }).slice());
  };
  try {
    limit(SO.SNDTIMEO, timeoutMs);
    connect(fd, Uint8Array.of(...encode(sockaddr_un, { sun_family: AF.UNIX }), ...name));
  } catch (error) {
    closeFile(fd);
    if (!(error instanceof KernelError)) throw error;
    throw new KernelError(`Cannot connect to "${path}"`, error.errno, { reason: REASONS[error.errno] ?? "the kernel refuses it", cause: error });
  }
  return {
    send: (bytes) => {
      for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(send(fd, rest, MSG.NOSIGNAL));
    },
    receive: (ms) => {
      limit(SO.RCVTIMEO, ms);
      const buffer = new Uint8Array(16 * 1024);
      const length = unless(["EAGAIN", "EINTR"], () => recv(fd, buffer));
      return length === undefined ? undefined : buffer.subarray(0, length);
    },
    [Symbol.dispose]: () => closeFile(fd),
  };
}
