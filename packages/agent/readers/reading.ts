/**
 * Reading what others wrote: a Kubernetes object, of which anything may be missing or something else than it should be.
 *
 * A RangeError names the place as `kubectl explain` does: `spec.podCIDRs[0] is "10.244" (a prefix is wanted)`.
 */
import { isObject, kindOf, type JsonObject } from "@vethwork/cni";

/** The object at a path; an empty one where it, or one above it, is not there. */
export function objectAt(object: JsonObject, ...path: readonly string[]): JsonObject {
  return path.reduce((within: JsonObject, key, at): JsonObject => {
    const value = valueOf(within, key);
    if (value === undefined) return {};
    if (isObject(value)) return value;
    throw wrong(path.slice(0, at + 1).join("."), value, "an object");
  }, object);
}

/** The list at a path; an empty one where it is not there. */
export function listAt(object: JsonObject, ...path: readonly string[]): readonly unknown[] {
  const value = valueOf(objectAt(object, ...path.slice(0, -1)), path.at(-1) ?? "");
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw wrong(path.join("."), value, "a list");
}

/** The text at a path; "" where it is not there. */
export function textAt(object: JsonObject, ...path: readonly string[]): string {
  const value = valueOf(objectAt(object, ...path.slice(0, -1)), path.at(-1) ?? "");
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  throw wrong(path.join("."), value, "text");
}

/** The whole number at a path, `absent` where it is not there. */
export function numberAt(object: JsonObject, path: readonly string[], { absent = 0, most }: { absent?: number; most: number }): number {
  const value = valueOf(objectAt(object, ...path.slice(0, -1)), path.at(-1) ?? "");
  if (value === undefined) return absent;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw wrong(path.join("."), typeof value === "number" ? String(value) : value, `a whole number up to ${most}`);
}

/** True or false at a path, `absent` where it is not there. */
export function flagAt(object: JsonObject, path: readonly string[], absent: boolean): boolean {
  const value = valueOf(objectAt(object, ...path.slice(0, -1)), path.at(-1) ?? "");
  if (value === undefined) return absent;
  if (typeof value === "boolean") return value;
  throw wrong(path.join("."), value, "true or false");
}

/** One of the words at a path, the first of them where it is not there. */
export function wordAt<const T extends string>(object: JsonObject, path: readonly string[], words: readonly [T, ...T[]]): T {
  const text = textAt(object, ...path);
  const found = text === "" ? words[0] : words.find((word) => word === text);
  if (found !== undefined) return found;
  throw wrong(path.join("."), text, `one of ${words.join(", ")}`);
}

/** Each of a list of objects, with the place that it is at. */
export function eachAt<T>(object: JsonObject, path: readonly string[], read: (entry: JsonObject, place: string) => T): T[] {
  return listAt(object, ...path).map((entry, at) => {
    const place = `${path.join(".")}[${at}]`;
    if (!isObject(entry)) throw wrong(place, entry, "an object");
    return within(place, () => read(entry, place));
  });
}

/** What is wrong inside an object of a list is said with its place. */
function within<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError) || error.message.startsWith(place)) throw error;
    throw new RangeError(`${place}.${error.message}`, { cause: error });
  }
}

/** `read` of a value; what it says of a value that is wrong is said with the place. */
export function parsedAt<T>(place: string, value: unknown, read: (text: string) => T): T {
  if (typeof value !== "string") throw wrong(place, value, "text");
  try {
    return read(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`${place}: ${error.message}`, { cause: error });
  }
}

export const wrong = (place: string, value: unknown, wanted: string): RangeError =>
  new RangeError(`${place} is ${typeof value === "string" ? JSON.stringify(value) : kindOf(value)} (${wanted} is wanted)`);

/** Kubernetes writes null for what is not there. */
function valueOf(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] ?? undefined : undefined;
}
