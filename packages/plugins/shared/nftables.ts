/** Whether this kernel has nftables at all (CONFIG_NF_TABLES, a module that is not there). */
import { CniError, ErrorCode } from "@vethwork/cni";
import { unless, type Netns, type Table } from "@vethwork/linux";

/** The kernel is one, whatever the namespace: it is asked once. */
let known: boolean | undefined;

/** False where it has none: then nobody made rules, and DEL has none to take away. */
export const hasNftables = (host: Netns): boolean =>
  (known ??= unless(["EINVAL", "EPROTONOSUPPORT", "EOPNOTSUPP"], () => host.nft.generation()) !== undefined);

/** Whether there is the table: one request, where asking for what is in it would be several that fail. */
export const hasTable = (host: Netns, { family, name }: Table): boolean =>
  hasNftables(host) && host.nft.tables().some((table) => table.family === family && table.name === name);

/** STATUS: could rules be made now? CniError 50 where not. */
export function statusOfNftables(host: Netns): void {
  try {
    host.nft.tables();
  } catch (error) {
    throw new CniError(ErrorCode.PLUGIN_NOT_AVAILABLE, "the kernel's nftables cannot be used", { cause: error });
  }
}
