/**
 * The stash: the configuration that the delegate was called with, kept for its DEL. By then flanneld may have another
 * lease, or none, and the network's configuration may have been edited.
 *
 *     /var/lib/cni/flannel/
 *       4c1d…           { "name": "cbr0", "type": "bridge", …, "vethwork/ifname": "eth0" }
 *       4c1d…:net1      { "name": "other", "type": "macvlan", …, "vethwork/ifname": "net1" }
 *
 * The first file is the reference's, and all that most containers have: either program finds what the other kept. A second
 * interface of the same container would overwrite it there; here it has a file of its own, under a name that no container can
 * have, and the key with the slash, which delegates never see, says whose each file is. One without that key is the reference's.
 *
 * A file is made before the delegate is called. One that was cut short, by a death or a power failure, is a wreck.
 */
import { CniError, ErrorCode, encodeSorted } from "@vethwork/cni";
import { createText, deleteFile, ensureFolder, isFile, listFolder } from "@vethwork/linux";
import type { Attached } from "../shared/attachment.ts";
import { findObject } from "../shared/object-file.ts";
import type { Delegate } from "./plan.ts";

/** What is kept of an attachment. */
export interface Stash {
  file: string;
  containerId: string;
  /** undefined: the reference does not write it down. */
  ifname: string | undefined;
  /** undefined: the file is a wreck. */
  delegate: Delegate | undefined;
}

/** Where an attachment's stash lies, and by what it is known. */
export interface Place {
  dataDir: string;
  /** The network's name. */
  network: string;
  attached: Attached;
}

const MARK = "vethwork/ifname";

/** CniError 4 where something is kept for the attachment already: its DEL has not come yet. */
export function refuseIfKept(place: Place): void {
  if (findStash(place)?.delegate) throw taken(place);
}

/** Keeps a delegate's configuration. */
export function keepStash(place: Place, delegate: Delegate): void {
  const { dataDir, attached: { ifname } } = place;
  ensureFolder(dataDir);
  const wreck = findStash(place);
  if (wreck && !wreck.delegate) forgetStash(wreck);
  const text = encodeSorted({ ...delegate, [MARK]: ifname });
  if (!filesOf(place).some((file) => createText(file, text))) throw taken(place);
}

/** What is kept for an attachment, or a wreck in its place; undefined where there is nothing. */
export function findStash(place: Place): Stash | undefined {
  const { network, attached: { containerId, ifname } } = place;
  const there = filesOf(place).toReversed().map((file) => readStash(file, containerId)).filter((one) => one !== undefined);
  const own = there.find(({ delegate, ifname: whose = ifname }) => delegate?.["name"] === network && whose === ifname);
  return own ?? there.find(({ delegate }) => !delegate);
}

export const forgetStash = ({ file }: Stash): boolean => deleteFile(file);

/** All that is kept of a network. Whose a wreck is, nobody knows. */
export function listStashes(dataDir: string, network: string): Stash[] {
  const names = listFolder(dataDir).filter((name) => isFile(`${dataDir}/${name}`));
  const all = names.map((name) => readStash(`${dataDir}/${name}`, name.replace(/:.*/, ""))).filter((one) => one !== undefined);
  return all.filter(({ delegate }) => delegate?.["name"] === network);
}

/** The reference's file, and the one for a second interface: no container's id has a colon, and no interface's name. */
const filesOf = ({ dataDir, attached: { containerId, ifname } }: Place): string[] => [`${dataDir}/${containerId}`, `${dataDir}/${containerId}:${ifname}`];

function readStash(file: string, containerId: string): Stash | undefined {
  const read = findObject(file);
  if (read === undefined) return undefined;
  const { [MARK]: mark, ...kept } = read === "cut short" ? {} : read;
  const { type } = kept;
  return { file, containerId, ifname: typeof mark === "string" ? mark : undefined, delegate: typeof type === "string" ? { ...kept, type } : undefined };
}

function taken({ attached: { containerId, ifname } }: Place): CniError {
  const who = `container "${containerId}" has interface "${ifname}" already`;
  return new CniError(ErrorCode.INVALID_ENVIRONMENT, `${who} (DEL is wanted before another ADD)`);
}
