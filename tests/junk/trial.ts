/**
 * One input, one verdict: a decoder gives a value, or says in words of our own what is wrong with the bytes.
 *
 *     value, CniError, KernelError           well
 *     RangeError, TypeError, SyntaxError     well where a line of ours made it; from inside the engine ("undefined is not an
 *                                            object", "Maximum call stack size exceeded") nobody had foreseen the input
 *     slow, or large                         not well: who writes the bytes would decide what the node has time for
 */
import { readFileSync } from "node:fs";
import { CniError, messageOf } from "@vethwork/cni";
import { KernelError } from "@vethwork/linux";
import { mutated, type Stock } from "./mutate.ts";
import { createRandom, seedOf } from "./random.ts";

type ErrorClass = new (...args: never[]) => Error;

export interface Decoder extends Stock {
  /** Who writes the bytes, and what they are, as in "netlink: link". */
  name: string;
  /** May be given anything. */
  decode(bytes: Uint8Array): unknown;
  /** The only errors that who calls it expects; none where it may throw nothing, as what DEL reads. */
  throws?: readonly ErrorClass[];
  /** How many inputs of it `npm test` plays; fewer where each costs files. */
  inputs?: number;
}

/** What one input may cost. A busy machine takes longer, so what took too long is tried again. */
const SLOW_MS = 1000;
const LARGE = 512 * 1024 * 1024;

/** The input with that number; the same for ever. */
export const inputOf = (decoder: Decoder, seed: number, index: number): Uint8Array => mutated(createRandom(seedOf(seed, decoder.name, index)), decoder);

/** What is wrong with how the decoder took it; undefined for nothing. */
export async function complaintOf({ decode, throws }: Decoder, bytes: Uint8Array): Promise<string | undefined> {
  const before = process.memoryUsage.rss();
  let begun = performance.now();
  try {
    await decode(bytes.slice());
    if (performance.now() - begun > SLOW_MS) {
      begun = performance.now();
      await decode(bytes.slice());
    }
  } catch (error) {
    if (!isForeseen(error, throws)) return `threw ${error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : messageOf(error)}`;
  }
  const ms = performance.now() - begun;
  if (ms > SLOW_MS) return `took ${Math.round(ms)} ms for ${bytes.length} bytes (${SLOW_MS} at most)`;
  const grown = process.memoryUsage.rss() - before;
  return grown > LARGE ? `took ${Math.round(grown / 1024 / 1024)} MiB for ${bytes.length} bytes` : undefined;
}

/** True of an error that a line of ours made, and that the caller expects. */
export function isForeseen(error: unknown, throws?: Decoder["throws"]): boolean {
  if (throws && !throws.some((kind) => error instanceof kind)) return false;
  return error instanceof CniError || error instanceof KernelError || ((error instanceof RangeError || error instanceof TypeError || error instanceof SyntaxError) && isOurs(error));
}

/** What JavaScriptCore says of its own accord, whatever the line. */
const ENGINE = /(?:undefined|null) is not|is not (?:a function|a constructor|iterable|an object|defined)|Maximum call stack|Invalid (?:array|string|count|typed array)|[Oo]ut of (?:bounds|memory|range of)|^(?:Array length|Length|Offset|Cannot (?:convert|access|destructure|mix))/;
const sources = new Map<string, string[]>();

/**
 * The line that the error comes from throws or makes one; the engine's own come from lines that meant something else. The
 * function that makes it may be absent from the stack: JavaScriptCore leaves out who calls last.
 */
function isOurs({ stack = "", message }: Error): boolean {
  const [, path = "", line = ""] = /^\s+at (?:.*\()?(\/[^\n]*?):(\d+):\d+\)?$/m.exec(stack) ?? [];
  if (!path.includes("/packages/") || ENGINE.test(message)) return false;
  const lines = sources.get(path) ?? readFileSync(path, "utf8").split("\n");
  sources.set(path, lines);
  return /\bnew (?:Range|Type|Syntax)Error\(|\bthrow /.test(lines[Number(line) - 1] ?? "");
}
