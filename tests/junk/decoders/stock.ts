/** How a row of the tables of decoders is written: text, JSON, or bytes; and a folder for those that read files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Decoder } from "../trial.ts";

type Rest = Pick<Decoder, "throws" | "inputs"> & { words?: readonly string[] };

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
/** In every format something ends a line or a value. */
const PLAIN = ["\n", "\r\n", "\0", " ", "\t", ":", ",", "=", ";", "/", "..", "\ufeff", "\u2028", "-1", "99999999999999999999", "0x10"];

export function ofBytes(name: string, seeds: readonly [Uint8Array, ...Uint8Array[]], decode: (bytes: Uint8Array) => unknown, { words = [], ...rest }: Rest = {}): Decoder {
  return { name, seeds, words: [...PLAIN, ...words], decode, ...rest };
}

/** As whoever reads a file gets it: what is no UTF-8 has become U+FFFD. */
export function ofText(name: string, [first, ...more]: readonly [string, ...string[]], decode: (text: string) => unknown, rest: Rest = {}): Decoder {
  return ofBytes(name, [utf8(first), ...more.map(utf8)], (bytes) => decode(new TextDecoder().decode(bytes)), rest);
}

/** What reads objects gets any that JSON can write; input that is no JSON is the parser's, which has a row of its own. */
export function ofJson(name: string, [first, ...more]: readonly [unknown, ...unknown[]], decode: (value: unknown) => unknown, rest: Rest = {}): Decoder {
  return ofText(name, [JSON.stringify(first), ...more.map((one) => JSON.stringify(one))], (text) => {
    const value = valueIn(text);
    return value === undefined ? undefined : decode(value);
  }, rest);
}

function valueIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A folder that is gone when `work` is done. */
export async function inFolder(work: (folder: string) => unknown): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-fuzz-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
