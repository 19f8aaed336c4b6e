/**
 * The leases on disk: a file for each, beside the daemon's socket.
 *
 *     /run/cni/dhcp.sock
 *     /run/cni/dhcp/mynet:3f6a…:eth0.json      ./lease.ts says what is in it
 *
 * The file is the lease: a daemon that is started goes on with what it finds, and before each step it looks whether the file is
 * still there, for a DEL while it was away has taken it. The folder is in memory (tmpfs), as pods are.
 */
import { isObject, messageOf, parseJson } from "@vethwork/cni";
import { deleteFile, ensureFolder, findText, listFolder, replaceText } from "@vethwork/linux";
import { keyOf, parseHeld, type Held, type Owner } from "./lease.ts";

export interface Leases {
  /** Those that can be read; of the others `complain` hears. */
  list(complain?: (what: string) => void): Held[];
  find(owner: Owner): Held | undefined;
  set(held: Held): void;
  /** True if it was there. */
  delete(owner: Owner): boolean;
  /** Takes away what was being written when its writer died. */
  sweep(): void;
}

const ENDING = ".json";

/** The folder that belongs to a daemon's socket. */
export const folderFor = (socket: string): string => (socket.endsWith(".sock") ? socket.slice(0, -".sock".length) : `${socket}.leases`);

export function leasesIn(folder: string): Leases {
  const pathOf = (owner: Owner): string => `${folder}/${keyOf(owner)}${ENDING}`;
  const read = (path: string, complain: (what: string) => void = () => {}): Held | undefined => {
    const text = findText(path);
    if (text === undefined) return undefined;
    try {
      const json = parseJson(text);
      return isObject(json) ? parseHeld(json) : undefined;
    } catch (error) {
      complain(`${path} does not read: ${messageOf(error)}`);
      return undefined;
    }
  };
  return {
    list: (complain) => listFolder(folder).filter((name) => name.endsWith(ENDING)).flatMap((name) => read(`${folder}/${name}`, complain) ?? []),
    find: (owner) => read(pathOf(owner)),
    set: (held) => {
      ensureFolder(folder);
      replaceText(pathOf(held.wish), `${JSON.stringify(held)}\n`);
    },
    delete: (owner) => deleteFile(pathOf(owner)),
    sweep: () => listFolder(folder).filter((name) => name.endsWith(".new")).forEach((name) => deleteFile(`${folder}/${name}`)),
  };
}

/** The kernel's name for this boot: what another boot granted, nobody has any more. */
export const bootId = (): string => findText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
