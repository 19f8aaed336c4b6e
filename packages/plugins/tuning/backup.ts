/**
 * What an interface was like before: a file for each attachment, written before anything is changed.
 *
 *     /run/cni/tuning/4c1d…_eth0.json      { "mac": "02:00:00:00:00:01", "mtu": 1500, "network": "mynet" }
 *
 * The reference's file, so that a node may change its plugins while pods run; `network`, which the reference looks past, is
 * by whom GC knows what is its own to collect. A file cut short by a death is none, and then nothing was changed yet.
 */
import { encode, find, type Attachment, type JsonObject } from "@vethwork/cni";
import { deleteFile, ensureFolder, folderOf, ignore, listFolder, parseMac, writeText, type Link, type LinkChanges } from "@vethwork/linux";
import { findObject } from "../shared/object-file.ts";

/** What tuning changes of an interface. */
export type LinkSettings = Pick<LinkChanges, "mac" | "mtu" | "promisc" | "allmulti" | "txQueueLength">;

/** The file of an attachment. */
export const backupFile = (dataDir: string, { containerId, ifname }: { containerId: string; ifname: string }): string =>
  `${dataDir}/${containerId}_${ifname}.json`;

/** Keeps what `link` is like, as far as `wanted` changes it. What an earlier plugin of the chain kept is older, and stays. */
export function keep(file: string, network: string, { link, wanted }: { link: Link; wanted: LinkSettings }): void {
  const now = {
    ...(wanted.mac && link.mac && { mac: String(link.mac) }),
    ...(wanted.promisc !== undefined && { promisc: link.promisc }),
    ...(wanted.mtu !== undefined && { mtu: link.mtu }),
    ...(wanted.allmulti !== undefined && { allmulti: link.allmulti }),
    ...(wanted.txQueueLength !== undefined && { txQLen: link.txQueueLength }),
  };
  ensureFolder(folderOf(file));
  writeText(file, encode({ ...now, ...readBackup(file), network }, 1));
}

/** What was kept, a change at a time: one that the kernel refuses must not hold back the others. None where nothing was. */
export function findBackup(file: string): LinkSettings[] {
  const { mtu, mac, promisc, allmulti, txQLen } = readBackup(file) ?? {};
  return [
    ...(typeof mtu === "number" ? [{ mtu }] : []),
    ...(typeof mac === "string" ? macIn(mac) : []),
    ...(typeof promisc === "boolean" ? [{ promisc }] : []),
    ...(typeof allmulti === "boolean" ? [{ allmulti }] : []),
    ...(typeof txQLen === "number" ? [{ txQueueLength: txQLen }] : []),
  ];
}

/** Whoever spoilt the file must not keep DEL from bringing back the rest. */
function macIn(text: string): LinkSettings[] {
  try {
    return [{ mac: parseMac(text) }];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    ignore(error, "what does not read was not kept");
    return [];
  }
}

/** Forgets it. */
export const forget = (file: string): boolean => deleteFile(file);

/** Forgets those of the network whose attachments are gone. Other networks keep theirs in the same folder. */
export function collectBackups(dataDir: string, network: string, valid: readonly Attachment[]): void {
  const kept = new Set(valid.map(({ containerID, ifname }) => backupFile(dataDir, { containerId: containerID, ifname })));
  const files = listFolder(dataDir).map((name) => `${dataDir}/${name}`);
  for (const file of files.filter((path) => path.endsWith(".json") && !kept.has(path))) {
    if (find(readBackup(file) ?? {}, "network") === network) forget(file);
  }
}

function readBackup(file: string): JsonObject | undefined {
  const read = findObject(file);
  return read === "cut short" ? undefined : read;
}
