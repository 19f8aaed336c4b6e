/**
 * The delegate that keeps addresses: the plugin that a configuration names in its `ipam` section.
 *
 *     bridge ──▶ CNI_PATH/host-local ── this very program? ── yes ──▶ called here, in this process
 *                                                          └─ no ───▶ run as a process, as any other program
 *
 * Whoever puts another program of that name first in CNI_PATH gets that one. Either way the delegate sees the same
 * variables and the same bytes on stdin, and what it answers is read in the same way; only a start is saved.
 */
import { CniError, ErrorCode, delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus, findInPath, inProcessSyncExec, type Delegation, type Result } from "@vethwork/cni";
import type { DelegateContext, Ipam, Undo } from "@vethwork/cni";
import { isFile, isSameFile } from "@vethwork/linux";
import { findPlugin } from "../../registry.ts";

/** What of a plugin's context its delegate needs. */
export interface IpamContext extends DelegateContext {
  config: { ipam?: Ipam };
}

/** Has the delegate give addresses. Its DEL is deferred first: the specification wants it after an ADD that failed, too. */
export function addIpam(context: IpamContext & { undo: Undo }): Result {
  context.undo.defer(() => deleteIpam(context));
  const lease = delegateAdd(callOf(context));
  if ((lease.ips ?? []).length > 0) return lease;
  throw new CniError(ErrorCode.INTERNAL, "IPAM plugin returned missing IP config", { details: `it is "${typeOf(context)}"` });
}

export const checkIpam = (context: IpamContext): void => delegateCheck(callOf(context));
export const deleteIpam = (context: IpamContext): void => delegateDel(callOf(context));
export const collectIpam = (context: IpamContext): void => delegateGc(callOf(context));
export const statusOfIpam = (context: IpamContext): void => delegateStatus(callOf(context));

const typeOf = ({ config }: IpamContext): string => config.ipam?.type ?? "";
const callOf = (context: IpamContext): Delegation => ({ type: typeOf(context), context, exec, find });

/** Asks the kernel itself: loading Node's modules for it would take longer than the delegate does. */
function find(type: string, path: readonly string[]): string {
  const file = type.includes("/") ? undefined : path.map((folder) => `${folder}/${type}`).find(isFile);
  return file ?? findInPath(type, path); // which says what is wrong
}

const exec = inProcessSyncExec((path) => (isSameFile(path, "/proc/self/exe") ? findPlugin(path.slice(path.lastIndexOf("/") + 1)) : undefined));
