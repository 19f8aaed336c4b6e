/** A pod's network namespace, as a plugin is given it: a path in CNI_NETNS. */
import { CniError, ErrorCode } from "@vethwork/cni";
import { Netns, isErrno } from "@vethwork/linux";

/** Opens it. CniError 3 where there is nothing (so no DEL is needed), 4 where there is something else, 5 where the kernel cannot. */
export function openPod(path: string): Netns {
  try {
    return Netns.open(path);
  } catch (error) {
    throw new CniError(codeOf(error), `CNI_NETNS "${path}" cannot be opened (a network namespace is wanted)`, { cause: error });
  }
}

function codeOf(error: unknown): number {
  if (isErrno(error, "ENOENT", "ENOTDIR")) return ErrorCode.UNKNOWN_CONTAINER;
  return isErrno(error, "EINVAL", "ELOOP") ? ErrorCode.INVALID_ENVIRONMENT : ErrorCode.IO_FAILURE;
}
