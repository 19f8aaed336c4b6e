/**
 * A chained plugin: it works on what the plugins before it made, and hands their result on.
 *
 *     bridge ── result ──► tuning ── the same ──► portmap ── the same ──► the runtime
 */
import { CniError, ErrorCode, type Args, type IpConfig, type Result } from "@vethwork/cni";
import type { Link, Netns } from "@vethwork/linux";

/** What the plugins before made. CniError 7 where this one is the first, or the runtime kept nothing for CHECK. */
export function resultBefore({ prevResult }: { prevResult: Result | undefined }): Result {
  if (prevResult) return prevResult;
  throw new CniError(ErrorCode.INVALID_CONFIG, "Required prevResult missing (a chained plugin is wanted behind another)");
}

/** The addresses of the pod's interface: those that the result gives to that name, or to nothing it knows. */
export const addressesOf = (ifname: string, { interfaces = [], ips = [] }: Result): IpConfig[] =>
  ips.filter(({ interface: at }) => at === undefined || (interfaces[at]?.name ?? ifname) === ifname);

/** The interface that it works on. CniError 4 where the plugins before made none of that name. */
export function interfaceOf(pod: Netns, { ifname }: Pick<Args, "ifname">): Link {
  const link = pod.links.find(ifname);
  if (link) return link;
  throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `the pod has no interface "${ifname}" (the plugin before makes it)`);
}
