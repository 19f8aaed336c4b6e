/**
 * How a plugin's process reads, writes, and tells its own namespace: by libc, because loading Node's modules for it takes
 * longer than everything else that VERSION or a refused request need (docs/decisions/0021-files-by-libc.md).
 */
import type { ProcessIo } from "@vethwork/cni";
import { ignore, isErrno } from "@vethwork/linux/errors.ts";
import { readAll } from "@vethwork/linux/files.ts";
import { factsOf, poll, writeFile } from "@vethwork/linux/libc.ts";
import { POLL } from "@vethwork/linux/uapi/socket.ts";

const STDIN = 0;

export const io: ProcessIo = { read, write: writeFile };

/** Runtimes connect pipes, and a pipe may be one that does not wait: then we do. */
function read(): Uint8Array {
  try {
    return readAll(STDIN, () => poll([STDIN], POLL.IN, -1));
  } catch (error) {
    if (!isErrno(error, "EBADF")) throw error;
    ignore(error, "stdin is closed: what cannot be read is empty");
    return new Uint8Array();
  }
}

/** Whether a path leads to the namespace of this process. One that cannot be looked at does not: it may be gone already. */
export function isOwnNetns(path: string): boolean {
  try {
    return factsOf(path).identity === factsOf("/proc/self/ns/net").identity;
  } catch (error) {
    ignore(error, "nothing that is a namespace we run in");
    return false;
  }
}
