/**
 * A delegate: another plugin that does a part of the work, by the type that a configuration names.
 *
 *     flannel ──▶ CNI_PATH/bridge     ─┐                          ┌─ yes ──▶ called here, in this process
 *     bridge  ──▶ CNI_PATH/host-local ─┴── this very program? ────┴─ no ───▶ run as a process, as any other program
 *
 * Whoever puts another program of that name first in CNI_PATH gets that one, and so does who calls a plugin that was not
 * put together with the caller (scripts/build.ts). Either way the delegate sees the same
 * variables and the same configuration, and what it answers is read in the same way; only a start is saved, and text
 * between the two. A delegate may have delegates: flannel's bridge asks its host-local, and all three are one process.
 */
import { findInPath, type DelegateContext, type Delegation, type Plugin } from "@vethwork/cni";
import { isFile, isSameFile } from "@vethwork/linux";

/** Plugins by their CNI type. */
export type Plugins = Readonly<Record<string, Plugin>>;

/** A call of the plugin `type`; `context.raw` is the configuration that it gets. `own`: those that need not be started. */
export const delegationTo = (type: string, context: DelegateContext, own: Plugins): Delegation =>
  ({ type, context, find: findDelegate, own: (path) => find(own, ownType(path)) });

const find = (plugins: Plugins, type: string | undefined): Plugin | undefined => (type !== undefined && Object.hasOwn(plugins, type) ? plugins[type] : undefined);

/** The delegate's file; CniError 4 where there is none. Asks the kernel itself: loading Node's modules for it would take longer than the delegate does. */
export function findDelegate(type: string, path: readonly string[]): string {
  const file = type.includes("/") ? undefined : path.map((folder) => `${folder}/${type}`).find(isFile);
  return file ?? findInPath(type, path); // which says what is wrong
}

/** The name that a file has, where it is this very program. */
export const ownType = (path: string): string | undefined =>
  isSameFile(path, "/proc/self/exe") ? path.slice(path.lastIndexOf("/") + 1) : undefined;
