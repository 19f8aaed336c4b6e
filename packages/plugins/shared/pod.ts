/** A pod's network namespace, as a plugin is given it: a path in CNI_NETNS. */
import { CniError, ErrorCode } from "@vethwork/cni";
import { Netns, isErrno } from "@vethwork/linux";

/** Opens it. CniError 3 where there is nothing (so no DEL is needed), 4 where there is something else. */
export function openPod(path: string): Netns {
  try {
    return Netns.open(path);
  } catch (error) {
    const gone = isErrno(error, "ENOENT", "ENOTDIR");
    const code = gone ? ErrorCode.UNKNOWN_CONTAINER : ErrorCode.INVALID_ENVIRONMENT;
    throw new CniError(code, `CNI_NETNS "${path}" cannot be opened (a network namespace is wanted)`, { cause: error });
  }
}
