/**
 * The book of addresses: which pod interface has which, on disk, so that it outlives every process.
 *
 *     /run/vethwork/mynet/
 *       10.244.0.7                    "container-id\r\neth0"          one file an address; of many who want it one makes it
 *       by-attachment/container:eth0  "container-id\neth0\n10.244.0.7\n"   the same, the other way round
 *       last_reserved_ip.0            "10.244.0.7"                    where the next search begins
 *       lock                          held while the book is open
 *
 * Address files and last_reserved_ip are as the reference host-local plugin writes them. The other way round is ours:
 * DEL finds its addresses without reading every file. It is written first and deleted last, so that a process killed
 * in between leaves nothing that DEL does not find. The folder lies on a tmpfs: after a reboot, all are free.
 */
import { CniError, ErrorCode } from "@vethwork/cni";
import {
  appendText, createText, deleteEmptyFolder, deleteFile, ensureFolder, findText, listFolder, lockFile, parseIp, writeText, type Ip,
} from "@vethwork/linux";
import { digestOf, type Attached } from "../attachment.ts";
import { candidates, type Pool } from "./pool.ts";

export interface Book extends Disposable {
  /** The addresses of an attachment; none where it is not in the book. */
  find(attached: Attached): string[];
  /** Takes one address of each pool. CniError 11 where a pool has none left; then none is taken. */
  take(attached: Attached, pools: readonly Pool[], isFree: (ip: Ip) => boolean): Ip[];
  /** Gives back what the attachment has; true if it was in the book. */
  give(attached: Attached): boolean;
  /** Everyone who is in the book. */
  attachments(): Attached[];
  /** Every address that is taken. */
  addresses(): string[];
  /** Deletes the folder where nobody is in the book; true if it did. */
  deleteIfEmpty(): boolean;
}

const LOCK_TIMEOUT_MS = 30_000; // kubelet waits two minutes for a pod's network
const BY_ATTACHMENT = "by-attachment";
const LAST = "last_reserved_ip.";

/** Opens the book in `folder` and locks it; whoever wants it meanwhile waits until it is disposed of. */
export function openBook(folder: string): Book {
  const lock = lockFile({ path: `${folder}/lock`, timeoutMs: LOCK_TIMEOUT_MS });
  const entries = `${folder}/${BY_ATTACHMENT}`;
  const entryOf = (attached: Attached): string => `${entries}/${entryName(attached)}`;
  const isOwn = (attached: Attached, address: string): boolean => findText(`${folder}/${address}`) === ownerText(attached);

  const find = (attached: Attached): string[] => {
    const [, , ...addresses] = (findText(entryOf(attached)) ?? "").split("\n");
    return addresses.filter((address) => isAddress(address) && isOwn(attached, address));
  };
  const give = (attached: Attached): boolean => {
    for (const address of find(attached)) deleteFile(`${folder}/${address}`);
    return deleteFile(entryOf(attached));
  };
  /** False where another has it. The entry comes first: from then on, DEL finds whatever was done. */
  const reserve = (attached: Attached, ip: Ip): boolean => {
    if (findText(`${folder}/${ip}`) !== undefined) return false;
    appendText(entryOf(attached), `${ip}\n`);
    return createText(`${folder}/${ip}`, ownerText(attached));
  };
  return {
    find,
    give,
    take: (attached, pools, isFree) => {
      ensureFolder(entries);
      appendText(entryOf(attached), `${attached.containerId}\n${attached.ifname}\n`);
      try {
        return pools.map((pool, index) => {
          const last = `${folder}/${LAST}${index}`;
          const ip = firstFree(pool, last, (one) => isFree(one) && reserve(attached, one));
          writeText(last, String(ip));
          return ip;
        });
      } catch (error) {
        give(attached);
        throw error;
      }
    },
    attachments: () => listFolder(entries).map((name) => attachedIn(`${entries}/${name}`)).filter((one) => one !== undefined),
    addresses: () => listFolder(folder).filter(isAddress),
    deleteIfEmpty: () => {
      const names = listFolder(folder);
      if (names.some(isAddress) || listFolder(entries).length > 0) return false;
      deleteEmptyFolder(entries);
      for (const name of names) if (name.startsWith(LAST)) deleteFile(`${folder}/${name}`);
      deleteFile(`${folder}/lock`);
      return deleteEmptyFolder(folder);
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

function firstFree(pool: Pool, last: string, take: (ip: Ip) => boolean): Ip {
  for (const ip of candidates(pool, previousIn(last))) if (take(ip)) return ip;
  const range = `${pool.first} to ${pool.last}`;
  throw new CniError(ErrorCode.TRY_AGAIN, `no address left in subnet "${pool.subnet}": all from ${range} are taken`);
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

function attachedIn(path: string): Attached | undefined {
  const [containerId = "", ifname = ""] = (findText(path) ?? "").split("\n");
  return containerId !== "" && ifname !== "" ? { containerId, ifname } : undefined;
}

/** Readable where it can be; a file's name has at most 255 bytes (limits.h), a container's id has no limit. */
function entryName({ containerId, ifname }: Attached): string {
  return containerId.length <= 200 ? `${containerId}:${ifname}` : `${digestOf(containerId)}:${ifname}`;
}

const ownerText = ({ containerId, ifname }: Attached): string => `${containerId}\r\n${ifname}`;
const isAddress = (name: string): boolean => /^[0-9a-f]*[.:][0-9a-f.:]*$/.test(name);
