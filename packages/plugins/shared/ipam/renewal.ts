/**
 * Renewal: makes the book whole again after somebody else wrote into its folder, or after a reboot.
 *
 * The pods of the boot before are gone, though nobody said DEL for them, so what they had is free again. But a folder
 * on a disk may also hold what another program took in this very boot, and that must never be given away. So only an
 * address is free that one of our own entries claims, that was written in another boot, and whose file is as old as the
 * entry. Everything else stays, and gets an entry: from now on we know in which boot we saw it.
 */
import { appendText, deleteFile, ensureFolder, findText, findTime, listFolder, replaceText, unless } from "@vethwork/linux";
import { STRANGE, entryName, headOf, isAddress, ownerIn, ownerText, parseEntry, type Entry } from "./entry.ts";

export interface Renewal {
  folder: string;
  /** The folder of the entries. */
  entries: string;
  /** The kernel's name for this boot. */
  boot: string;
  keepOverBoots: boolean;
}

/** To be called with the book locked. Reads every file in it. */
export function renew(renewal: Renewal): void {
  const { folder, entries, boot, keepOverBoots } = renewal;
  const known = new Set<string>();
  for (const name of listFolder(entries)) {
    const path = `${entries}/${name}`;
    const text = findText(path) ?? "";
    const entry = parseEntry(text);
    const own = entry?.addresses.filter((address) => findText(`${folder}/${address}`) === ownerText(entry)) ?? [];
    const isOld = entry !== undefined && entry.boot !== "" && entry.boot !== boot;
    if (!entry || own.length === 0 || (isOld && !keepOverBoots)) {
      for (const address of own) if (isAsOldAs(path, `${folder}/${address}`)) deleteFile(`${folder}/${address}`);
      deleteFile(path);
      continue;
    }
    if (isOld || !text.endsWith("\n")) replaceText(path, textOf({ ...entry, boot, addresses: own }));
    for (const address of own) known.add(address);
  }
  for (const address of listFolder(folder).filter(isAddress)) if (!known.has(address)) adopt(renewal, address);
}

/** An address that no entry tells of: the reference plugin's, or that of an entry that was lost. */
function adopt({ folder, entries, boot }: Renewal, address: string): void {
  const text = unless(STRANGE, () => findText(`${folder}/${address}`));
  if (text === undefined) return;
  const owner = ownerIn(text);
  // An empty file is one that a power failure cut short. It belongs to nobody and would block its address for ever.
  if (text === "") deleteFile(`${folder}/${address}`);
  if (!owner) return;
  ensureFolder(entries);
  const path = `${entries}/${entryName(owner)}`;
  if (findText(path) === undefined) appendText(path, headOf(owner, boot));
  appendText(path, `${address}\n`);
}

const textOf = (entry: Entry): string => headOf(entry, entry.boot) + entry.addresses.map((address) => `${address}\n`).join("");

/** The two are written within milliseconds; a file that is much younger was made again, by another program. */
function isAsOldAs(entry: string, file: string): boolean {
  const SLACK = 1; // second
  return (findTime(file) ?? 0) <= (findTime(entry) ?? 0) + SLACK;
}
