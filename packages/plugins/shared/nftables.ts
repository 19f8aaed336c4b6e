/** Whether this kernel has nftables at all (CONFIG_NF_TABLES, a module that is not there). */
import { unless, type Netns } from "@vethwork/linux";

/** False where it has none: then nobody made rules, and DEL has none to take away. */
export const hasNftables = (host: Netns): boolean =>
  unless(["EINVAL", "EPROTONOSUPPORT", "EOPNOTSUPP"], () => host.nft.generation()) !== undefined;
