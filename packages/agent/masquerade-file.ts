/**
 * The file of ip-masq-agent: destinations outside the cluster towards which pods keep their address.
 *
 *     nonMasqueradeCIDRs: [10.0.0.0/8, 192.168.0.0/16]
 *     masqLinkLocal: false         whether 169.254.0.0/16 is masqueraded; masqLinkLocalIPv6 likewise fe80::/10
 *     resyncInterval: 60s          how often that agent reads it; here it is read when it changes
 *
 * YAML or JSON, as in that agent's ConfigMap. Without a file nothing is kept but the cluster's own (that agent then keeps all
 * private addresses). A file that does not read counts as it was when it did.
 */
import { watch } from "node:fs";
import { basename } from "node:path";
import { isObject, kindOf, messageOf } from "@vethwork/cni";
import { findText, folderOf, ignore, networkOf, parseCidr, type Cidr } from "@vethwork/linux";
import { YAMLException, load } from "js-yaml";
import { listAt, parsedAt, wrong } from "./readers/reading.ts";

const LINK_LOCAL = { masqLinkLocal: parseCidr("169.254.0.0/16"), masqLinkLocalIPv6: parseCidr("fe80::/10") };
const KNOWN = ["nonMasqueradeCIDRs", "masqLinkLocal", "masqLinkLocalIPv6", "resyncInterval"];

/** RangeError where it is not that file. */
export function parseMasqueradeFile(text: string): Cidr[] {
  const value = valueIn(text);
  if (!isObject(value)) throw new RangeError(`it is ${kindOf(value)} (an object is wanted)`);
  const strange = Object.keys(value).find((key) => !KNOWN.includes(key));
  if (strange !== undefined) throw new RangeError(`it has "${strange}" (${KNOWN.join(", ")} are wanted)`);
  const kept = listAt(value, "nonMasqueradeCIDRs").map((text, at) => networkOf(parsedAt(`nonMasqueradeCIDRs[${at}]`, text, parseCidr)));
  const linkLocal = Object.entries(LINK_LOCAL).filter(([key]) => !isTrue(value[key], key)).map(([, cidr]) => cidr);
  return [...kept, ...linkLocal];
}

function isTrue(value: unknown, key: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw wrong(key, value, "true or false");
}

function valueIn(text: string): unknown {
  try {
    return text.trim() === "" ? {} : load(text);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    throw new RangeError(`line ${(error.mark?.line ?? 0) + 1}: ${error.reason}`, { cause: error });
  }
}

export interface MasqueradeFile extends Disposable {
  /** As it is now, or as it was when it last read. */
  read(): { subnets: readonly Cidr[]; problem: string | undefined };
}

/** `onChange` is called when it may be different; where watching does not work, who reads it often sees it, too. */
export function openMasqueradeFile(path: string, onChange: () => void): MasqueradeFile {
  let last: readonly Cidr[] = [];
  let seen: string | undefined;
  let problem: string | undefined;
  const watcher = watched(path, onChange);
  return {
    read: () => {
      const text = findText(path);
      if (text !== seen) problem = undefined;
      if (text !== seen || text === undefined) {
        try {
          last = text === undefined ? [] : parseMasqueradeFile(text);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          problem = `${path}: ${messageOf(error)}`;
        }
      }
      seen = text;
      return { subnets: last, problem };
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}

/** The folder is watched: a ConfigMap's file is a link that is replaced, and the file may come later. */
function watched(path: string, onChange: () => void): ReturnType<typeof watch> | undefined {
  try {
    const watcher = watch(folderOf(path), (_event, name) => {
      if (name === basename(path) || name?.startsWith("..")) onChange();
    });
    return watcher.on("error", (error) => ignore(error, "the file is read now and then, too"));
  } catch (error) {
    ignore(error, "there is no such folder yet; the file is read now and then, too");
    return undefined;
  }
}
