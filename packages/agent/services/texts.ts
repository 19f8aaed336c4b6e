/**
 * Elements as text: what is wanted and what the kernel has are the same where their texts are, and from its text an element is made
 * when it is to be written. As objects, ten thousand services would take three times the memory.
 *
 *     services4    10.96.0.10 tcp 80      goto inside4-3 (default/web:http ClusterIP)
 *     endpoints4   10.96.0.10 tcp 80 0    10.244.1.2 8080 (web-1 on node-1)
 *     sources4     203.0.113.10 tcp 80 192.0.2.0/24
 */
import { bitsOf, parseCidr, parseIp, words, type DataType, type Element, type Key, type NftSet, type Part } from "@vethwork/linux";
import type { Candidate } from "./endpoints.ts";

const isList = (key: Key): key is readonly Part[] => Array.isArray(key);
const isWord = (value: Key | words.Word): value is words.Word => typeof value === "object" && "expressions" in value;

export const keyText = (key: Key): string => (isList(key) ? key.map(partText).join(" ") : partText(key));

/** The kernel tells a prefix of one address as the address. */
const partText = (part: Part): string => String(typeof part === "object" && "ip" in part && part.prefix === bitsOf(part.family) ? part.ip : part);

/** Value and comment. */
export function valueText({ value, comment }: Pick<Element, "value" | "comment">): string {
  const text = value === undefined ? "" : isWord(value) ? value.text : keyText(value);
  return comment === undefined ? text : `${text}${text === "" ? "" : " "}(${comment})`;
}

export const endpointText = ({ ip, port, pod, node }: Candidate): string => {
  const who = [pod, node && `on ${node}`].filter((word) => word !== "").join(" ");
  return valueText({ value: [ip, port], ...(who !== "" && { comment: clipped(who) }) });
};

const LONGEST = 127; // letters of a comment, of which a name may have more; other letters than those of ASCII no name has

/** Leaves room for so many letters that follow. */
export const clipped = (text: string, room = 0): string => (text.length + room <= LONGEST ? text : `${text.slice(0, LONGEST - room - 1)}~`);

/** The element that these are the texts of. */
export function elementFrom(set: NftSet, key: string, value: string): Element {
  const [, text = "", comment] = /^(.*?) ?(?:\((.*)\))?$/.exec(value) ?? [];
  return {
    key: partsFrom(set.key, key),
    ...(text !== "" && { value: set.value === "verdict" ? verdictFrom(text) : partsFrom(set.value ?? [], text) }),
    ...(comment !== undefined && { comment }),
  };
}

function partsFrom(types: DataType | readonly DataType[], text: string): Part[] {
  const all = typeof types === "string" ? [types] : types;
  return text.split(" ").map((part, at) => partFrom(all[at] ?? "mark", part));
}

function partFrom(type: DataType, text: string): Part {
  if (type === "inet_service" || type === "mark") return Number(text);
  if (type !== "ipv4_addr" && type !== "ipv6_addr") return text;
  return text.includes("/") ? parseCidr(text) : parseIp(text);
}

function verdictFrom(text: string): words.Word {
  const [verb, chain = ""] = text.split(" ");
  return verb === "goto" ? words.goto({ name: chain }) : verb === "jump" ? words.jump({ name: chain }) : words.drop;
}
