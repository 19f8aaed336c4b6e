/**
 * What an interface was called before: a file for each attachment, so that DEL, which is another process, can bring it back.
 *
 *     /run/vethwork/sample/mynet/4c1d…:eth0      "uplink\n"
 *
 * What a plugin knows is on disk or nowhere. /run goes with the boot, as pods do. A file is made before what it is about is changed;
 * its last letter says that it is whole, since a death may come between making and writing, and then nothing was changed yet.
 */
import type { Attachment } from "@vethwork/cni";
import { deleteEmptyFolder, deleteFile, ensureFolder, findText, folderOf, listFolder, writeText } from "@vethwork/linux";
import type { Attached } from "../shared/attachment.ts";

const FOLDER = "/run/vethwork/sample";

const nameOf = ({ containerId, ifname }: Attached): string => `${containerId}:${ifname}`; // neither may have a colon

/** The file of an attachment. */
export const noteOf = (network: string, attached: Attached): string => `${FOLDER}/${network}/${nameOf(attached)}`;

/** Writes it down. */
export function keep(note: string, label: string): void {
  ensureFolder(folderOf(note));
  writeText(note, `${label}\n`);
}

/** What was written down; undefined where nothing was, or not to the end. */
export function findKept(note: string): string | undefined {
  const text = findText(note);
  return text?.endsWith("\n") ? text.slice(0, -1) : undefined;
}

export function forget(note: string): void {
  deleteFile(note);
  deleteEmptyFolder(folderOf(note));
}

/** Forgets what a network has for attachments that are not `valid` any more. */
export function collect(network: string, valid: readonly Attachment[]): void {
  const kept = new Set(valid.map(({ containerID, ifname }) => nameOf({ containerId: containerID, ifname })));
  const folder = `${FOLDER}/${network}`;
  for (const name of listFolder(folder)) if (!kept.has(name)) forget(`${folder}/${name}`);
}
