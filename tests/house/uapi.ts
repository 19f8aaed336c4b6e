/**
 * Holds our tables against the kernel's headers: each number of packages/linux/uapi by its name, each struct by the
 * places of its fields. It works because nothing there is renamed: IFLA.MTU is IFLA_MTU, ifi_index is ifi_index.
 */
import { type Field, numbersOf, structOf } from "./headers.ts";

/** What one file of packages/linux/uapi exports, by name; `headers` lists where its names come from. */
export type UapiModule = Readonly<Record<string, unknown>>;

export interface Verdict {
  /** Numbers and fields that were compared. */
  readonly checked: number;
  readonly faults: readonly string[];
  /** Names that no header has. */
  readonly unknown: readonly string[];
}

/** Compares what a file exports with the texts of the headers. */
export function compare(exports: UapiModule, texts: readonly string[]): Verdict {
  const numbers = numbersOf(texts);
  const everything = texts.join("\n");
  const verdicts = Object.entries(exports).flatMap(([key, value]) => [
    ...claimsOf(key, value).map((claim) => compareNumber(claim, numbers)),
    compareStruct(key, value, everything),
  ]);
  return {
    checked: verdicts.reduce((sum, verdict) => sum + verdict.checked, 0),
    faults: verdicts.flatMap((verdict) => verdict.faults),
    unknown: verdicts.flatMap((verdict) => verdict.unknown),
  };
}

/** The C headers that a file names as its source. */
export function headersOf(exports: UapiModule): string[] {
  return Array.isArray(exports["headers"]) ? exports["headers"].map(String) : [];
}

/** Prefixes of ours that say more than C's → C's. */
const elsewhere: Readonly<Record<string, string>> = {
  IFF_OF_TUN: "IFF",  // linux/if.h and linux/if_tun.h both have flags of this name
  NFT_VERDICT: "NFT", // enum nft_verdicts: NFT_CONTINUE, NFT_RETURN
};

/** One number of ours, and the names it may have in C: POLL.IN is POLLIN there. */
interface Claim {
  readonly names: readonly string[];
  readonly number: number;
}

/** An attribute set brings its prefix and its table; of plain numbers the export's own name is the prefix. A long table may be a function that makes it. */
function claimsOf(key: string, value: unknown): Claim[] {
  if (typeof value === "function" && value.length === 0) return claimsOf(key, value());
  if (typeof value === "number") return [{ names: [key], number: value }];
  if (!isObject(value)) return [];
  const isSet = "table" in value && isObject(value["table"]) && typeof value["name"] === "string";
  const prefix = isSet ? String(value["name"]) : key;
  const entries = Object.entries(isSet && isObject(value["table"]) ? value["table"] : value);
  return entries.flatMap(([name, entry]) => {
    const number: unknown = Array.isArray(entry) ? entry[0] : entry;
    if (typeof number !== "number" || ("kind" in value && !isSet)) return [];
    const theirs = elsewhere[prefix] ?? prefix;
    return [{ names: [`${theirs}_${name}`, `${theirs}${name}`], number }];
  });
}

function compareNumber({ names, number }: Claim, numbers: ReadonlyMap<string, number>): Verdict {
  const name = names.find((candidate) => numbers.has(candidate));
  const theirs = name === undefined ? undefined : numbers.get(name);
  if (theirs === undefined) return { checked: 0, faults: [], unknown: [names[0] ?? ""] };
  const same = theirs >>> 0 === number >>> 0; // C's -1 is our 0xffff_ffff
  return { checked: 1, faults: same ? [] : [`${name} is ${theirs} in C (ours: ${number})`], unknown: [] };
}

/** Our struct has its padding written out; C's is implied. Both must put each field at the same place. */
function compareStruct(name: string, value: unknown, everything: string): Verdict {
  const nothing = { checked: 0, faults: [], unknown: [] };
  if (!isObject(value) || value["kind"] !== "fixed" || !isObject(value["fields"])) return nothing;
  const theirs = structOf(name, everything);
  if (theirs === undefined) return { ...nothing, unknown: [`struct ${name}`] };
  const places: Field[] = [];
  let offset = 0;
  for (const [field, codec] of Object.entries(value["fields"])) {
    const size = isObject(codec) && typeof codec["size"] === "number" ? codec["size"] : 0;
    places.push({ name: field, offset, size });
    offset += size;
  }
  const named = places.filter((field) => !field.name.startsWith("_"));
  const faults = named.flatMap((field) => {
    const other = theirs.fields.find((candidate) => candidate.name === field.name);
    if (other === undefined) return [`struct ${name} has no ${field.name} in C`];
    if (other.offset === field.offset && other.size === field.size) return [];
    return [`${name}.${field.name} is ${other.size} bytes at ${other.offset} in C (ours: ${field.size} at ${field.offset})`];
  });
  if (offset !== theirs.size) faults.push(`struct ${name} is ${theirs.size} bytes in C (ours: ${offset})`);
  return { checked: named.length, faults, unknown: [] };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
