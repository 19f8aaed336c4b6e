/**
 * The delegate that keeps addresses: the plugin that a configuration names in its `ipam` section. It gets the whole
 * configuration of the plugin that asks. How a delegate is found and called is ../delegate.ts.
 */
import { CniError, ErrorCode, delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus, type Delegation, type Result } from "@vethwork/cni";
import type { DelegateContext, Ipam, Undo } from "@vethwork/cni";
import dhcp from "../../dhcp/dhcp.ts";
import hostLocal from "../../host-local/host-local.ts";
import staticAddresses from "../../static/static.ts";
import { delegationTo, type Plugins } from "../delegate.ts";

/** What of a plugin's context its delegate needs. */
export interface IpamContext extends DelegateContext {
  config: { ipam?: Ipam };
}

/** Has the delegate give addresses. Its DEL is deferred first: the specification wants it after an ADD that failed, too. */
export function addIpam(context: IpamContext & { undo: Undo }): Result {
  if (!context.config.ipam) throw new CniError(ErrorCode.INVALID_CONFIG, 'no plugin name provided ("ipam" with a "type" is wanted)');
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
const callOf = (context: IpamContext): Delegation => delegationTo(typeOf(context), context, own);

/** They are in the program of each plugin that asks for addresses. */
const own: Plugins = { dhcp, "host-local": hostLocal, static: staticAddresses };
