/**
 * The daemon's door: a socket in the file system, by which the plugin asks (./talk.ts says what).
 *
 * There is one daemon behind a socket. It holds a lock for as long as it lives, which the kernel takes back when it dies, however
 * that was: so a socket's file that was left behind is told from one that is in use, and taken over. Under systemd the socket
 * is opened by systemd and handed over (sd_listen_fds(3)), and then it is systemd's to remove.
 */
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { toCniError, type JsonObject } from "@vethwork/cni";
import { KernelError, connectUnix, deleteFile, ensureFolder, folderOf, ignore, isErrno, lockFile } from "@vethwork/linux";
import type { Daemon } from "./daemon.ts";
import { folderFor } from "./leases.ts";
import { questionFrom } from "./talk.ts";

export interface DoorOptions {
  /** The socket's path, which also says where the leases are: beside it. */
  path: string;
  /** A descriptor that systemd listens with already. */
  activated: number | undefined;
}

export interface Door {
  /** Takes what is on disk, and answers from then on. */
  open(daemon: Daemon): Promise<void>;
  /** Lets everybody go with what the daemon has to say to them. */
  close(): Promise<void>;
}

/** Who may ask may also have leases given back. */
const ROOT_ONLY = 0o600;

/** Stands at the door alone. RangeError or KernelError where another daemon does. */
export function createDoor({ path, activated }: DoorOptions): Door {
  const lock = lockFile({ path: `${folderFor(path)}/lock`, timeoutMs: 0 });
  const guests = new Set<Socket>();
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  let server: Server | undefined;
  return {
    open: async (daemon) => {
      server = createServer((socket) => {
        guests.add(socket.on("close", () => guests.delete(socket)));
        attend(socket, daemon);
      });
      if (activated === undefined) makeWay(path);
      const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
      server.on("error", reject).on("close", onClosed).listen(activated === undefined ? { path } : { fd: activated }, resolve);
      await listening;
      if (activated === undefined) chmodSync(path, ROOT_ONLY);
      daemon.adopt(); // who asked meanwhile is still waiting
    },
    close: async () => {
      server?.close();
      for (const socket of guests) socket.end(() => socket.destroy());
      if (server) await closed;
      if (activated === undefined) deleteFile(path);
      lock[Symbol.dispose]();
    },
  };
}

/** Removes a socket's file that nobody listens behind. KernelError EADDRINUSE where somebody does: the reference knows no lock. */
function makeWay(path: string): void {
  ensureFolder(folderOf(path));
  try {
    connectUnix(path, 1000)[Symbol.dispose]();
  } catch (error) {
    if (!isErrno(error, "ECONNREFUSED", "ENOENT")) throw error;
    if (deleteFile(path)) ignore(error, "its daemon is dead");
    return;
  }
  throw new KernelError(`Cannot listen on "${path}"`, "EADDRINUSE", { reason: "a living daemon listens there" });
}

/** Longer ones are no questions. */
const LONGEST_LINE = 1024 * 1024;

/** One question for each connection. Who hangs up before the answer does not want it any more. */
function attend(socket: Socket, daemon: Daemon): void {
  const hungUp = new AbortController();
  const decoder = new TextDecoder();
  let text: string | undefined = "";
  const say = (line: JsonObject): void => void socket.write(`${JSON.stringify(line)}\n`);
  const answer = async (line: string): Promise<void> => {
    try {
      const question = questionFrom(line);
      say({ waitMs: daemon.patienceMs(question) });
      say(await daemon.answer(question, hungUp.signal));
    } catch (error) {
      say({ error: toCniError(error) });
    }
    socket.end();
  };
  socket.on("data", (bytes: Uint8Array) => {
    if (text === undefined) return;
    text += decoder.decode(bytes, { stream: true });
    const end = text.indexOf("\n");
    if (end < 0 && text.length <= LONGEST_LINE) return;
    const line = text.slice(0, Math.max(0, end));
    text = undefined;
    void answer(line);
  });
  socket.on("error", (error) => ignore(error, "whoever asked is gone, and the end of the connection says so, too"));
  socket.on("close", () => hungUp.abort(new KernelError("Cannot answer", "EPIPE", { reason: "the plugin that asked hung up" })));
}
