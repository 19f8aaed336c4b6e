/**
 * JSON as the other side reads and writes it: nearly everything that calls a CNI plugin is Go, and some of it compares bytes.
 *
 * Two habits of Go matter. Keys are found without regard to case: `bandWidth` sets `bandwidth`, the last spelling wins, and null sets
 * nothing. And what is written has `<`, `>` and `&` escaped, and, where it went through a map, its keys in byte order.
 */
import { oneLine } from "./errors.ts";

/** A parsed JSON object. */
export type JsonObject = Record<string, unknown>;

/** Parses JSON. Throws SyntaxError with a message of one line. */
export function parseJson(text: string): unknown {
  if (text.trim() === "") throw new SyntaxError("unexpected end of JSON input");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(oneLine(error instanceof Error ? error.message : String(error)), { cause: error });
  }
}

/** Bytes to text as Go's decoder does it: malformed UTF-8 becomes U+FFFD, a byte order mark is not swallowed. */
export function textOf(bytes: Uint8Array | string): string {
  return typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Whether a value is a JSON object: neither a list nor null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The word for a value's JSON type, with its article, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return { string: "a string", number: "a number", boolean: "a boolean", object: "an object" }[String(typeof value)] ?? "nothing";
}

/** Finds a key as Go does: any case, the last one that is not null; undefined when there is none. */
export function find(object: JsonObject, key: string): unknown {
  let found: unknown;
  for (const name of Object.keys(object)) {
    if (name !== key && (name.length !== key.length || fold(name) !== fold(key))) continue;
    const value = object[name];
    if (value !== null && value !== undefined) found = value;
  }
  return found;
}

/** Two keys that fold to the same text are the same key to Go (which folds a few letters beyond ASCII, like the long s, as well). */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}

/** Writes JSON in the order that the object has, as Go's encoder writes a struct. `indent`: spaces a level. */
export function encode(value: unknown, indent = 0): string {
  return escaped(JSON.stringify(value, undefined, indent));
}

/** Writes JSON with the keys of every object in byte order, as Go's encoder writes a map. `indent`: spaces a level. */
export function encodeSorted(value: unknown, indent = 0): string {
  return escaped(sorted(value, indent, "\n"));
}

/** Written by hand, since a JavaScript object keeps keys that look like numbers in front, whatever the order they came in. */
function sorted(value: unknown, indent: number, newline: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const deeper = newline + " ".repeat(indent);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value) items.push(sorted(item, indent, deeper));
  } else {
    for (const [key, item] of Object.entries(value).sort(byKey)) {
      if (item !== undefined) items.push(`${JSON.stringify(key)}:${indent ? " " : ""}${sorted(item, indent, deeper)}`);
    }
  }
  if (items.length === 0) return `${open}${close}`;
  return indent ? `${open}${deeper}${items.join(`,${deeper}`)}${newline}${close}` : `${open}${items.join(",")}${close}`;
}

/** Order of two keys by their UTF-8 bytes. It is that of their UTF-16 units but for the letters that take two of these, which come last. */
function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

const rank = (unit: number): number => (Number.isNaN(unit) ? -1 : unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

/** These occur only inside strings, so replacing them in the whole text is safe. */
function escaped(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
