/**
 * An entry of the book: what one attachment has, as lines of a small file.
 *
 *     3f6a…            the container
 *     eth0             its interface; empty where an old host-local wrote down the container alone
 *     boot 8c1b…       the boot in which it was written
 *     10.244.0.7       its addresses, one for each set of pools
 */
import { checkContainerId, checkInterfaceName } from "@vethwork/cni";
import { digestOf, type Attached } from "../attachment.ts";

export interface Entry extends Attached {
  /** The kernel's name for the boot; "" in an entry that does not say. */
  boot: string;
  addresses: string[];
}

const BOOT = "boot ";

/** What reading says of a folder, a loop of links, a socket: somebody else's, and so is the address that it is called by. */
export const STRANGE = ["EISDIR", "ELOOP", "ENXIO", "EACCES"] as const;

/** The lines that begin an entry; its addresses are appended one by one. */
export const headOf = ({ containerId, ifname }: Attached, boot: string): string => `${containerId}\n${ifname}\n${BOOT}${boot}\n`;

/** Reads an entry; undefined where it was cut short, as by a power failure. */
export function parseEntry(text: string): Entry | undefined {
  const [containerId = "", ifname = "", ...rest] = text.split("\n");
  if (!isAttached({ containerId, ifname })) return undefined;
  const boot = rest.find((line) => line.startsWith(BOOT))?.slice(BOOT.length) ?? "";
  return { containerId, ifname, boot, addresses: rest.filter(isAddress) };
}

/** Readable where it can be; a file's name has at most 255 bytes (limits.h), a container's id has no limit. */
export function entryName({ containerId, ifname }: Attached): string {
  return containerId.length <= 200 ? `${containerId}:${ifname}` : `${digestOf(containerId)}:${ifname}`;
}

/** What an address's file holds, and back: the reference host-local's own form, of today and of before it knew interfaces. */
export const ownerText = ({ containerId, ifname }: Attached): string => (ifname === "" ? containerId : `${containerId}\r\n${ifname}`);

/** Undefined where the file says nothing that a plugin would have written. */
export function ownerIn(text: string): Attached | undefined {
  const [containerId = "", ifname = "", ...rest] = text.trim().split("\r\n");
  const attached = { containerId, ifname };
  return rest.length === 0 && isAttached(attached) ? attached : undefined;
}

/** True of a file's name that is an address. */
export const isAddress = (name: string): boolean => /^[0-9a-f]*[.:][0-9a-f.:]*$/.test(name);

function isAttached({ containerId, ifname }: Attached): boolean {
  return !checkContainerId(containerId) && (ifname === "" || !checkInterfaceName(ifname));
}
