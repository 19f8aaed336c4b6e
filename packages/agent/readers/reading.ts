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
