/**
 * Files that must survive being killed: what a plugin knows is on disk or nowhere.
 *
 * node:fs does the work. Here stands what it lacks: every call announces itself (./faults.ts), a replacement is
 * whole or not there (temporary name, then rename), and a lock says who holds it instead of waiting for ever.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { isErrno, unless } from "./errors.ts";
import { kernelCall } from "./faults.ts";
import { flock } from "./libc.ts";
import { LOCK } from "./uapi/socket.ts";

const ABSENT = ["ENOENT", "ENOTDIR"] as const;

/** A file's text; undefined where there is no such file. */
export function findText(path: string): string | undefined {
  kernelCall(`read ${path}`);
  return unless(ABSENT, () => fs.readFileSync(path, "utf8"));
}

/** Makes a file that must not be there yet; false where it is (open(2), O_EXCL: of many at once one wins). */
export function createText(path: string, text: string): boolean {
  kernelCall(`create ${path}`);
  try {
    fs.writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Makes a file or replaces it as a whole: a reader sees the old text or the new, never half of one. */
export function replaceText(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  kernelCall(`write ${temporary}`);
  fs.writeFileSync(temporary, text, { mode: 0o600 });
  kernelCall(`rename to ${path}`);
  fs.renameSync(temporary, path);
}

/** Writes a file over; a reader may see half of it, so the text must be one that can be told from its half. */
export function writeText(path: string, text: string): void {
  kernelCall(`write ${path}`);
  fs.writeFileSync(path, text, { mode: 0o600 });
}

/** Adds to a file's end in one write, and makes it where it is missing. */
export function appendText(path: string, text: string): void {
  kernelCall(`append to ${path}`);
  fs.appendFileSync(path, text, { mode: 0o600 });
}

/** Deletes a file; true if it was there. */
export function deleteFile(path: string): boolean {
  kernelCall(`unlink ${path}`);
  return unless(ABSENT, () => (fs.unlinkSync(path), true)) ?? false;
}

/** Deletes a folder that is empty; false where it is not empty or not there. */
export function deleteEmptyFolder(path: string): boolean {
  kernelCall(`rmdir ${path}`);
  return unless([...ABSENT, "ENOTEMPTY", "EEXIST", "EBUSY"], () => (fs.rmdirSync(path), true)) ?? false;
}

/**
 * Makes a folder and those above it. `mode` is of the folders that are made. Another process may take the folder away
 * while we are at it (deleteEmptyFolder), and mkdir then fails for one that is there, or for its missing parent.
 */
export function ensureFolder(path: string, mode = 0o700): void {
  kernelCall(`mkdir ${path}`);
  for (let left = 100; ; left--) {
    try {
      fs.mkdirSync(path, { recursive: true, mode });
      return;
    } catch (error) {
      const isFile = fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
      if (left === 0 || isFile || !isErrno(error, "EEXIST", "ENOENT")) throw error;
    }
  }
}

/** The names in a folder; none where there is no folder. */
export function listFolder(path: string): string[] {
  kernelCall(`list ${path}`);
  return unless(ABSENT, () => fs.readdirSync(path)) ?? [];
}

/** When a file or folder was changed last, in seconds since 1970; undefined where it is not there. */
export function findTime(path: string): number | undefined {
  kernelCall(`stat ${path}`);
  const found = unless(ABSENT, () => fs.statSync(path, { throwIfNoEntry: false }));
  return found && found.mtimeMs / 1000;
}

/** True where both paths lead to one file, by whatever links. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => unless(ABSENT, () => fs.statSync(path, { bigint: true })));
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/** Says when a file or folder was changed last, in seconds since 1970: a mark that the next change to it wipes out. */
export function setTime(path: string, seconds: number): void {
  kernelCall(`set the time of ${path}`);
  fs.utimesSync(path, seconds, seconds);
}

export interface LockOptions {
  path: string;
  /** How long to wait for another's lock. */
  timeoutMs: number;
}

/**
 * Holds an exclusive lock until it is disposed of; the kernel lets go of it when the process dies.
 * The file and its folder are made where they are missing, and may be deleted by whoever holds the lock.
 * Throws RangeError naming the process that holds it where the time is up.
 */
export function lockFile({ path, timeoutMs }: LockOptions): Disposable {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 0.2; ; pauseMs = Math.min(pauseMs * 2, 20)) {
    const fd = tryLock(path);
    if (fd !== undefined) return { [Symbol.dispose]: () => fs.closeSync(fd) };
    if (performance.now() >= deadline) {
      throw new RangeError(`Cannot lock "${path}": ${holderOf(path)} holds it (waited ${timeoutMs} ms)`);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
}

/** The lock's file descriptor; undefined where another holds it, or deleted the file before we had it. */
function tryLock(path: string): number | undefined {
  ensureFolder(dirname(path));
  kernelCall(`open ${path}`);
  const fd = unless(ABSENT, () => fs.openSync(path, "a+", 0o600)); // the folder may be gone again
  if (fd === undefined) return undefined;
  try {
    flock(fd, LOCK.EX | LOCK.NB);
    if (isStillAt(path, fd)) return fd;
  } catch (error) {
    fs.closeSync(fd);
    if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return undefined;
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}

function isStillAt(path: string, fd: number): boolean {
  const [ours, there] = [fs.fstatSync(fd, { bigint: true }), unless(ABSENT, () => fs.statSync(path, { bigint: true }))];
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

/** The kernel's own list of locks (proc(5)) names the holder, whatever program it is; one outside our pid namespace it hides. */
function holderOf(path: string): string {
  const inode = unless(ABSENT, () => fs.statSync(path, { bigint: true }))?.ino;
  for (const line of (findText("/proc/locks") ?? "").split("\n")) {
    const [, pid, locked] = /^\d+: FLOCK +\S+ +\S+ +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line) ?? [];
    if (pid === undefined || locked !== String(inode)) continue;
    const name = findText(`/proc/${pid}/comm`)?.trim();
    return `process ${pid}${name ? ` (${name})` : ""}`;
  }
  return "a process that cannot be seen from here";
}
