/** What plugins keep on disk as a JSON object: it may have been cut short, by a death or a power failure, and then says nothing. */
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { findText } from "@vethwork/linux";

/** The object in a file; undefined where there is no file, "cut short" where there is no whole object in it. */
export function findObject(file: string): JsonObject | "cut short" | undefined {
  const text = findText(file);
  if (text === undefined) return undefined;
  try {
    const read = parseJson(text);
    return isObject(read) ? read : "cut short";
  } catch (error) {
    if (error instanceof SyntaxError) return "cut short";
    throw error;
  }
}
