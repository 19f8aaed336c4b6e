/**
 * Which network namespace a path stands for. A namespace is an inode of the kernel's nsfs, and any file that it is bound to shows
 * that inode: two paths are one namespace when device and inode are the same.
 */
import { fs } from "./builtin.ts";
import { CniError, ErrorCode } from "./errors.ts";

const OWN = "/proc/self/ns/net";

/**
 * Whether `path` is the namespace of this process. A path that cannot be looked at is not: it may be gone already, and what to do
 * then is the plugin's to say. Throws CniError 8 when the own namespace cannot be found. Always false where there are none.
 */
export function isOwnNetns(path: string): boolean {
  if (process.platform !== "linux") return false;
  const theirs = identity(path);
  if (theirs === undefined) return false;
  const ours = identity(OWN);
  if (ours === undefined) throw new CniError(ErrorCode.INVALID_NETNS, "get plugin's netns failed", { details: `cannot stat "${OWN}"` });
  return theirs === ours;
}

function identity(path: string): string | undefined {
  try {
    const found = fs().statSync(path, { bigint: true, throwIfNoEntry: false });
    return found && `${found.dev}:${found.ino}`;
  } catch {
    // A loop of links, a folder without permission, a path with a zero byte: nothing that is a namespace we run in.
    return undefined;
  }
}
