/**
 * Files that others look at while they are replaced: the binary and its links in the folder of plugins, and configurations.
 *
 *     vethwork.4711.new ── written, on the disk ── renamed ──▶ vethwork
 *
 * A runtime may be starting the old file at this very moment: it gets the old one or the new one, whole, and never "text file
 * busy", since nothing is written over. Nor does a power failure leave half of one.
 */
import { chmodSync, closeSync, copyFileSync, fsyncSync, lstatSync, mkdirSync, openSync, readlinkSync, readSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { forgetContent, isSameFile } from "@vethwork/linux";

/** The binary's name in a folder of plugins, and what its links point to. */
export const BINARY = "vethwork";

export interface InstallChange {
  verb: "copy" | "link" | "replace" | "keep";
  what: string;
}

/**
 * Puts the binary into a folder, unless the same bytes are there. Size and time say nothing: images that are built to be the same
 * every time give all files one time, and two builds are often of one size.
 *
 * @param known what was compared before, so that who asks every few seconds does not read it all again: path → the file that it was
 */
export function placeBinary(folder: string, program: string, { dryRun, known = new Map<string, string>() }: { dryRun: boolean; known?: Map<string, string> }): InstallChange {
  const target = join(folder, BINARY);
  if (isSameFile(program, target)) return { verb: "keep", what: `${target}: it is this program` };
  const now = stampOf(target);
  if (now !== undefined && (known.get(target) === now || haveSameBytes(program, target))) {
    known.set(target, now);
    return { verb: "keep", what: `${target}: it is a copy of this program` };
  }
  if (!dryRun) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    swapIn(target, (beside) => {
      copyFileSync(program, beside);
      chmodSync(beside, 0o755);
    });
    known.set(target, stampOf(target) ?? "");
  }
  return { verb: "copy", what: `${program} to ${target}` };
}

/** Another one as soon as anybody writes to the file or puts another in its place; undefined where none is. */
function stampOf(path: string): string | undefined {
  const facts = statSync(path, { bigint: true, throwIfNoEntry: false });
  return facts && `${facts.dev}:${facts.ino}:${facts.size}:${facts.ctimeNs}`;
}

/**
 * The second is read from the disk. What the kernel has read of a program because processes jumped into it, it holds page by page, and
 * each start pays for each page; what is read from one end to the other, it holds in large pieces. After a boot, plugins have
 * been started before anybody read the file: all starts would be a sixth slower until the next boot
 * (docs/decisions/0025-a-program-is-read-in-one-go.md).
 */
function haveSameBytes(program: string, target: string): boolean {
  const paths = [program, target];
  if (statSync(program).size !== statSync(target).size) return false;
  forgetContent(target);
  const files = paths.map((path) => openSync(path, "r"));
  const pieces = files.map(() => Buffer.alloc(1 << 20));
  try {
    for (;;) {
      const [one = EMPTY, other = EMPTY] = files.map((file, at) => (pieces[at] ?? EMPTY).subarray(0, readSync(file, pieces[at] ?? EMPTY)));
      if (!one.equals(other)) return false;
      if (one.length === 0) return true;
    }
  } finally {
    files.forEach((file) => closeSync(file));
  }
}

const EMPTY = Buffer.alloc(0);

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
