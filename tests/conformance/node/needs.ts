/**
 * What a test of a real runtime needs from the machine, and how it says so when that is missing: a skipped test's title
 * ends in "(needs X)", which the runner counts and prints.
 */
import { existsSync } from "node:fs";

export interface Needs {
  root?: boolean;
  /** Programs that have to be in the rigs' PATH. */
  programs?: readonly string[];
  /** Files, each with the words that say how to get it. */
  files?: Readonly<Record<string, string>>;
}

/** The first thing that is missing, in words; "" when all is there. */
export function missing({ root = false, programs = [], files = {} }: Needs): string {
  if (root && process.getuid?.() !== 0) return "root";
  const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
  for (const program of programs) if (Bun.which(program, { PATH }) === null) return program;
  for (const [path, how] of Object.entries(files)) if (!existsSync(path)) return how;
  return "";
}

/** A test's title, with the reason at its end if it is to be skipped. */
export function skipped(title: string, lacks: string): string {
  return lacks === "" ? title : `${title} (needs ${lacks})`;
}
