/**
 * A plugin as a process: the environment and stdin in, stdout and an exit code out.
 *
 * Runtimes connect pipes, and a pipe may be non-blocking and full: writing goes on until every byte is out, since half a result is
 * an attachment that nobody will ever take away.
 */
import { fs } from "./builtin.ts";
import { respond, type Plugin } from "./skel.ts";

/** How a process reads and writes; a program with cheaper calls at hand than `node:fs` brings its own. */
export interface ProcessIo {
  /** All of stdin. */
  read(): Uint8Array | string;
  /** Writes some of the bytes and gives how many. Throws an error with code EAGAIN when the other end is behind. */
  write(descriptor: 1 | 2, bytes: Uint8Array): number;
}

export interface RunOptions {
  /** The plugin's own version, told to a person who calls it by hand. */
  version?: string;
  io?: ProcessIo;
  /** Whether a path is the namespace that this process runs in; by default asked of the file system. */
  isOwnNetns?: (path: string) => boolean;
}

const nodeIo: ProcessIo = {
  read: () => fs().readFileSync(0),
  write: (descriptor, bytes) => fs().writeSync(descriptor, bytes),
};

/** Serves the one request that this process was started for. The exit code is set, not forced: what the runtime holds is flushed. */
export function runPlugin(plugin: Plugin, { io = nodeIo, ...options }: RunOptions = {}): void {
  const { exitCode, stdout, stderr } = respond(plugin, { env: process.env, stdin: () => io.read(), ...options });
  writeFully(io, 2, stderr);
  process.exitCode = writeFully(io, 1, stdout) ? exitCode : 1;
}

/** Writes all of a text; false when the other end is gone and nobody reads any more. */
function writeFully(io: ProcessIo, descriptor: 1 | 2, text: string): boolean {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(io.write(descriptor, rest));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EINTR") continue; // a signal came first; nothing was written
      if (code !== "EAGAIN") return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a millisecond: the reader is behind
    }
  }
  return true;
}
