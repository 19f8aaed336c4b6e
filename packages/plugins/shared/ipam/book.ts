/**
 * The book of addresses: which pod interface has which, on disk, so that it outlives every process.
 *
 *     /var/lib/cni/networks/mynet/
 *       10.244.0.7                    "container-id\r\neth0"     one file an address; of many who want it one makes it
 *       last_reserved_ip.0            "10.244.0.7"               where the next search begins
 *       lock                          held (flock) while the book is open
 *       by-attachment/container:eth0  the same, the other way round: ./entry.ts
 *
 * All but the last line is the reference host-local's, byte for byte: either program reads what the other wrote, and
 * both hold the same lock. The other way round is ours, and the reference looks past it. By it DEL finds its addresses
 * without reading every file. An entry is written before its addresses and deleted after them, so that a process killed
 * in between leaves nothing that DEL does not find.
 *
 * How do we know that the other way round is whole? Whoever makes or deletes a file in a folder changes the folder's
 * time. When we are done we set that time to one that no clock shows, made of the kernel's name for this boot. Where it
 * still stands, nobody else was here, and this is the same boot. Where it does not, ./renewal.ts reads everything once.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import {
  appendText, createText, deleteEmptyFolder, deleteFile, ensureFolder, findText, findTime, listFolder, lockFile, parseIp, setTime, unless, writeText, type Ip,
} from "@vethwork/linux";
import type { Attached } from "../attachment.ts";
import { STRANGE, entryName, headOf, isAddress, ownerText, parseEntry } from "./entry.ts";
import { search, type Pool } from "./pool.ts";
import { renew } from "./renewal.ts";

/** What is to be taken. */
export interface Wish {
  /** Pools that stand for one another. */
  set: readonly Pool[];
  /** This address and no other. */
  only?: Ip;
  /** Whether an address is free outside the book, too. */
  isFree?: (ip: Ip) => boolean;
}

export interface Book extends Disposable {
  /** The addresses of an attachment; none where it is not in the book. */
  find(attached: Attached): string[];
  /** Takes an address for each wish. Where one cannot be had, none is taken, and what `refusal` makes is thrown. */
  take(attached: Attached, wishes: readonly Wish[], refusal: (wish: Wish, at: number) => CniError): Ip[];
  /** Gives back what the attachment has; true if it was in the book. */
  give(attached: Attached): boolean;
  /** Everyone who is in the book. */
  attachments(): Attached[];
  /** Every address that is taken. */
  addresses(): string[];
  /** Deletes the folder where nobody is in the book; true if it did. */
  deleteIfEmpty(): boolean;
}

export interface BookOptions {
  /** Keep what was taken before the machine was started last; otherwise that is free again. */
  keepOverBoots?: boolean;
}

const LOCK_TIMEOUT_MS = 30_000; // kubelet waits two minutes for a pod's network
const LAST = "last_reserved_ip.";
/** After so many tries the folder's names are read at once: a hundred times faster than asking for each. */
const PATIENCE = 32;

/** As openBook; undefined where there is no book, and none is made. */
export function findBook(folder: string, options?: BookOptions): Book | undefined {
  return findTime(folder) === undefined ? undefined : openBook(folder, options);
}

/** Opens the book in `folder` and locks it; whoever wants it meanwhile waits until it is disposed of. */
export function openBook(folder: string, { keepOverBoots = false }: BookOptions = {}): Book {
  const boot = findText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  const lock = locked(folder);
  const entries = `${folder}/by-attachment`;
  /** Says that the entries are whole. Part of the change: one that cannot say so has failed. */
  const mark = (): void => setTime(folder, markOf(boot));
  try {
    if (findTime(folder) !== markOf(boot)) {
      renew({ folder, entries, boot, keepOverBoots });
      mark();
    }
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }

  const entryOf = (attached: Attached): string => `${entries}/${entryName(attached)}`;
  /** Of the interface; where it has none, what an old host-local wrote down for the container. */
  const holders = ({ containerId, ifname }: Attached): Attached[] => [{ containerId, ifname }, { containerId, ifname: "" }];
  const held = (one: Attached, isRenewed = false): string[] => {
    const text = findText(entryOf(one));
    if (text !== undefined && !isWhole(text, one) && !isRenewed) {
      renew({ folder, entries, boot, keepOverBoots });
      mark();
      return held(one, true);
    }
    const addresses = parseEntry(text ?? "")?.addresses ?? [];
    return addresses.filter((address) => findText(`${folder}/${address}`) === ownerText(one));
  };
  const holderOf = (attached: Attached): Attached | undefined => holders(attached).find((one) => held(one).length > 0);
  const give = (attached: Attached): boolean => {
    const holder = holderOf(attached) ?? attached;
    for (const address of held(holder)) deleteFile(`${folder}/${address}`);
    const wasThere = deleteFile(entryOf(holder));
    if (wasThere) mark();
    return wasThere;
  };
  const reserve = (attached: Attached, ip: Ip): boolean => {
    const path = `${folder}/${ip}`;
    const there = unless(STRANGE, () => findText(path) ?? "absent") ?? "strange";
    if (there !== "absent" && there !== "") return false;
    if (there === "") deleteFile(path); // cut short by a power failure: nobody's
    const head = findText(entryOf(attached)) === undefined ? headOf(attached, boot) : "";
    appendText(entryOf(attached), `${head}${ip}\n`);
    return createText(path, ownerText(attached));
  };
  const names = (): string[] => listFolder(folder);
  return {
    find: (attached) => {
      const holder = holderOf(attached);
      return holder ? held(holder) : [];
    },
    give,
    take: (attached, wishes, refusal) => {
      ensureFolder(entries);
      try {
        const taken = wishes.map((wish, at) => {
          const { set, only, isFree = () => true } = wish;
          const last = `${folder}/${LAST}${at}`;
          const take = (ip: Ip): boolean => isFree(ip) && reserve(attached, ip);
          const ip = only ? [only].find(take) : firstFree(set, { previous: previousIn(last), names, take });
          if (!ip) throw refusal(wish, at);
          writeText(last, String(ip));
          return ip;
        });
        mark();
        return taken;
      } catch (error) {
        give(attached);
        throw error;
      }
    },
    attachments: () => listFolder(entries).map((name) => parseEntry(findText(`${entries}/${name}`) ?? "")).filter((one) => one !== undefined),
    addresses: () => names().filter(isAddress),
    deleteIfEmpty: () => {
      const all = names();
      if (all.some(isAddress) || listFolder(entries).length > 0) return false;
      deleteEmptyFolder(entries);
      for (const name of all) if (name.startsWith(LAST)) deleteFile(`${folder}/${name}`);
      deleteFile(`${folder}/lock`);
      return deleteEmptyFolder(folder);
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

/** Whether an entry is all that was written to it, and by whom it was. */
function isWhole(text: string, { containerId, ifname }: Attached): boolean {
  const entry = parseEntry(text);
  return entry !== undefined && text.endsWith("\n") && entry.containerId === containerId && entry.ifname === ifname;
}

/** The time of a folder whose entries are whole: some second between 1970 and 1985, another for each boot. */
const markOf = (boot: string): number => 1 + (Number.parseInt(boot.slice(0, 8), 16) || 0) % 473_000_000;

function locked(folder: string): Disposable {
  try {
    return lockFile({ path: `${folder}/lock`, timeoutMs: LOCK_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof RangeError) throw new CniError(ErrorCode.TRY_AGAIN, error.message, { cause: error });
    throw error;
  }
}

interface Searching {
  /** Where the last search ended. */
  previous: Ip | undefined;
  names: () => string[];
  take: (ip: Ip) => boolean;
}

function firstFree(set: readonly Pool[], { previous, names, take }: Searching): Ip | undefined {
  let tries = 0;
  let taken: Set<string> | undefined;
  return search(set, previous, (ip) => {
    if (++tries === PATIENCE) taken = new Set(names());
    return !taken?.has(String(ip)) && take(ip);
  });
}

/** Where the last search ended; a file that was cut short by a power failure means nothing. */
function previousIn(path: string): Ip | undefined {
  const text = findText(path)?.trim() ?? "";
  if (!isAddress(text)) return undefined;
  try {
    return parseIp(text);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
