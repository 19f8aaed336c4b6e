/**
 * A plugin as a process: the environment and stdin in, stdout and an exit code out.
 *
 * Runtimes connect pipes, and a pipe may be non-blocking and full: writing goes on until every byte is out, since half a result is
 * an attachment that nobody will ever take away.
 */
import { readFileSync, writeSync } from "node:fs";
import { respond, type Plugin } from "./skel.ts";

/**
 * Serves the one request that this process was started for. `version` is the plugin's own, told when somebody calls it by hand.
 * The exit code is set, not forced, so that the runtime may still flush what it holds.
 */
export function runPlugin(plugin: Plugin, { version }: { version?: string } = {}): void {
  const { exitCode, stdout, stderr } = respond(plugin, {
    env: process.env, stdin: () => readFileSync(0), ...(version !== undefined && { version }),
  });
  writeFully(2, stderr);
  process.exitCode = writeFully(1, stdout) ? exitCode : 1;
}

/** Writes all of a text; false when the other end is gone and nobody reads any more. */
function writeFully(descriptor: number, text: string): boolean {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if (!isFull(error)) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a millisecond: the reader is behind
    }
  }
  return true;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
