/**
 * Files that others look at while they are replaced: the binary and its links in the folder of plugins, and configurations.
 *
 *     vethwork.4711.new ── written, on the disk ── renamed ──▶ vethwork
 *
 * A runtime may be starting the old file at this very moment: it gets the old one or the new one, whole, and never "text file
 * busy", since nothing is written over. Nor does a power failure leave half of one.
 */
import { chmodSync, closeSync, copyFileSync, fsyncSync, lstatSync, mkdirSync, openSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { isSameFile } from "@vethwork/linux";

/** The binary's name in a folder of plugins, and what its links point to. */
export const BINARY = "vethwork";

export interface InstallChange {
  verb: "copy" | "link" | "replace" | "keep";
  what: string;
}

/** Puts the binary into a folder. A copy has the time of what it is copied from, and is known by that. */
export function placeBinary(folder: string, program: string, dryRun: boolean): InstallChange {
  const target = join(folder, BINARY);
  if (isSameFile(program, target)) return { verb: "keep", what: `${target}: it is this program` };
  const { size, atime, mtime } = statSync(program);
  const there = statSync(target, { throwIfNoEntry: false });
  if (there?.size === size && Math.trunc(there.mtimeMs) === mtime.getTime()) return { verb: "keep", what: `${target}: it is a copy of this program` };
  if (!dryRun) {
    mkdirSync(folder, { recursive: true });
    swapIn(target, (beside) => {
      copyFileSync(program, beside);
      chmodSync(beside, 0o755);
      utimesSync(beside, atime, mtime);
    });
  }
  return { verb: "copy", what: `${program} to ${target}` };
}

/** What was asked for by name is put in anybody's place; what was not only where nothing is. */
export function placeLink(folder: string, type: string, { asked, dryRun }: { asked: readonly string[]; dryRun: boolean }): InstallChange[] {
  const target = join(folder, type);
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there?.isSymbolicLink() && readlinkSync(target) === BINARY) return [];
  if (asked.length > 0 && !asked.includes(type)) return [];
  if (there && !asked.includes(type)) return [{ verb: "keep", what: `${target}: it is another's (name it to replace it)` }];
  if (!dryRun) swapIn(target, (beside) => symlinkSync(BINARY, beside));
  return [{ verb: there ? "replace" : "link", what: `${target}${there ? " by a link" : ""} to ${BINARY}` }];
}

/** Makes something beside the target and renames it over: who looks finds the old or the new one. */
export function swapIn(target: string, make: (beside: string) => void): void {
  const beside = `${target}.${process.pid}.new`;
  try {
    make(beside);
    if (lstatSync(beside).isFile()) onDisk(beside);
    renameSync(beside, target);
  } finally {
    rmSync(beside, { force: true });
  }
}

function onDisk(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
