/**
 * What was made for an attachment where that cannot be read from what was made: the reference's rules in iptables bear no
 * name, and firewalld keeps addresses and nothing else.
 *
 *     /run/vethwork/.firewall/<network>/<container>_<interface>.json       {"backend":"iptables","addresses":["10.1.2.5"],…}
 *
 * It is written before anything is made, so that DEL finds whatever a death in between has left. /run is empty after a boot,
 * and so are the rules.
 */
import { encode } from "@vethwork/cni";
import { deleteEmptyFolder, deleteFile, ensureFolder, folderOf, listFolder, lockFile, parseIp, sameIp, writeText, type Ip } from "@vethwork/linux";
import { digestOf, type Owner } from "../shared/attachment.ts";
import { findObject } from "../shared/object-file.ts";
import { policyFrom, type Wish } from "./wish.ts";

export interface Made extends Wish {
  backend: "iptables" | "firewalld";
  /** Of iptables: the administrator's chain. Of firewalld: the zone. */
  place: string;
}

/** A network's name never begins with a dot, so this is nobody's book of addresses. */
const FOLDER = "/run/vethwork/.firewall";
const LOCK = `${FOLDER}/lock`;
const LOCK_TIMEOUT_MS = 30_000;

/**
 * Works on the records with everybody else who changes iptables or firewalld locked out: who the last user of something is,
 * one of them decides. Where there are no records afterwards, nothing is left of them.
 */
export function withRecords<T>(work: (records: Records) => T): T {
  using _lock = lockFile({ path: LOCK, timeoutMs: LOCK_TIMEOUT_MS });
  try {
    return work(records);
  } finally {
    if (listFolder(FOLDER).every((name) => `${FOLDER}/${name}` === LOCK)) {
      deleteFile(LOCK);
      if (deleteEmptyFolder(FOLDER)) deleteEmptyFolder(folderOf(FOLDER));
    }
  }
}

export interface Records {
  /** Addresses are whose they were given to last: those that had them lose them here. */
  write(made: Made): void;
  delete(owner: Owner): void;
  list(): Made[];
}

const records: Records = {
  write: (made) => {
    const isTaken = (ip: Ip): boolean => made.addresses.some((one) => sameIp(one, ip));
    for (const other of listRecords().filter(({ backend, addresses }) => backend === made.backend && addresses.some(isTaken))) {
      write({ ...other, addresses: other.addresses.filter((ip) => !isTaken(ip)) });
    }
    write(made);
  },
  delete: (owner) => {
    const file = fileOf(owner);
    if (deleteFile(file)) deleteEmptyFolder(folderOf(file));
  },
  list: () => listRecords(),
};

function write({ owner, addresses, policy, bridge, backend, place }: Made): void {
  const file = fileOf(owner);
  ensureFolder(folderOf(file));
  writeText(file, encode({ ...owner, backend, place, policy, bridge, addresses: addresses.map(String) }));
}

/** Those of all networks. */
export const listRecords = (): Made[] =>
  listFolder(FOLDER).flatMap((network) => listFolder(`${FOLDER}/${network}`).map((name) => recordIn(`${FOLDER}/${network}/${name}`)))
    .filter((made) => made !== undefined);

/** What was made for an attachment; undefined where nothing is written down. */
export const findRecord = (owner: Owner): Made | undefined => recordIn(fileOf(owner));

/** Takes away a record that a death, or a full disk, has cut short; nothing had been made yet. */
export function deleteTorn(owner: Owner): void {
  if (findObject(fileOf(owner)) === "cut short") withRecords((made) => made.delete(owner));
}

const fileOf = ({ network, containerId, ifname }: Owner): string =>
  `${FOLDER}/${network}/${containerId.length <= 128 ? containerId : digestOf(containerId)}_${ifname}.json`;

/** undefined also of one that a death has cut short: then nothing had been made yet. */
function recordIn(file: string): Made | undefined {
  const read = findObject(file);
  if (read === undefined || read === "cut short") return undefined;
  const { network, containerId, ifname, backend, place, policy, bridge, addresses } = read;
  if (typeof network !== "string" || typeof containerId !== "string" || typeof ifname !== "string" || typeof place !== "string") return undefined;
  if ((backend !== "iptables" && backend !== "firewalld") || !Array.isArray(addresses)) return undefined;
  return { owner: { network, containerId, ifname }, addresses: addresses.map(String).map(parseIp), backend, place, ...policyFrom(policy, bridge) };
}
