/**
 * Files that must survive being killed: what a plugin knows is on disk or nowhere.
 *
 * The calls are libc's. Here stands what makes them safe: every call announces itself (./faults.ts), a replacement is
 * whole or not there (temporary name, then rename), and a lock says who holds it instead of waiting for ever.
 */
import { isErrno, unless } from "./errors.ts";
import { closeFile, factsOf, findFacts, findFile, flock, forgetPages, makeFolder, openFile, readEntries, readFile, rename, setFileTime, unlink, writeFile } from "./libc.ts";
import { pause } from "./pause.ts";
import { AT, O } from "./uapi/fs.ts";
import { LOCK } from "./uapi/socket.ts";
import { struct, u16, u64, u8 } from "./wire/codec.ts";

const ABSENT = ["ENOENT", "ENOTDIR"] as const;
const OWNER_ONLY = 0o600;
/** Whatever somebody has put at a path, a fifo say, opening it is not waited for. To a file it makes no difference. */
const PATIENCE = O.NONBLOCK;

/** A file's text; undefined where there is no such file. */
export function findText(path: string): string | undefined {
  const fd = findFile(path, O.RDONLY | PATIENCE);
  return fd === undefined ? undefined : textIn(fd);
}

/** A file's text. */
export const readText = (path: string): string => textIn(openFile(path, O.RDONLY | PATIENCE));

/** The text of a file that is open, also of one that tells no size, as those of /proc do; closes it. */
function textIn(fd: number): string {
  try {
    return new TextDecoder().decode(readAll(fd));
  } finally {
    closeFile(fd);
  }
}

/** All bytes up to the end. `waitForMore` is called where there are none yet and the descriptor does not wait by itself. */
export function readAll(fd: number, waitForMore?: () => void): Uint8Array {
  let bytes = new Uint8Array(4096);
  for (let length = 0; ; ) {
    const got = readSome(fd, bytes.subarray(length));
    if (got === 0) return bytes.subarray(0, length);
    if (got === undefined) waitForMore?.();
    length += got ?? 0;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(bytes.length * 2);
    larger.set(bytes);
    bytes = larger;
  }
}

const readSome = (fd: number, into: Uint8Array): number | undefined => unless(["EAGAIN", "EINTR"], () => readFile(fd, into));

/** Has the kernel forget what it holds of a file that nobody has mapped now: who reads it next, has it read from the disk. */
export function forgetContent(path: string): void {
  const fd = openFile(path, O.RDONLY);
  try {
    forgetPages(fd);
  } finally {
    closeFile(fd);
  }
}

/** Makes a file that must not be there yet; false where it is (open(2), O_EXCL: of many at once one wins). */
export function createText(path: string, text: string): boolean {
  const fd = unless(["EEXIST"], () => openFile(path, O.WRONLY | O.CREAT | O.EXCL | PATIENCE, OWNER_ONLY));
  if (fd === undefined) return false;
  orNothing(path, () => fill(fd, text));
  return true;
}

/** Makes a file or replaces it as a whole: a reader sees the old text or the new, never half of one. */
export function replaceText(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  orNothing(temporary, () => {
    writeText(temporary, text);
    rename(temporary, path);
  });
}

/** What makes a file that is nobody else's takes it away again where it fails: on a full disk an empty one would stay. */
function orNothing(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    deleteFile(path);
    throw error;
  }
}

/** Writes a file over; a reader may see half of it, so the text must be one that can be told from its half. */
export function writeText(path: string, text: string): void {
  put(path, text, O.CREAT | O.TRUNC);
}

/** Adds to a file's end in one write, and makes it where it is missing. */
export function appendText(path: string, text: string): void {
  put(path, text, O.CREAT | O.APPEND);
}

/** Opens, writes everything, closes: `flags` are O.* beside O_WRONLY. */
export function put(path: string, text: string, flags: number): void {
  fill(openFile(path, O.WRONLY | flags | PATIENCE, OWNER_ONLY), text);
}

/** Writes everything, and closes. */
function fill(fd: number, text: string): void {
  try {
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(writeFile(fd, rest));
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  closeFile(fd, true);
}

/** Deletes a file; true if it was there. */
export function deleteFile(path: string): boolean {
  return unless(ABSENT, () => (unlink(path), true)) ?? false;
}

/** Deletes a folder that is empty; false where it is not empty or not there. */
export function deleteEmptyFolder(path: string): boolean {
  return unless([...ABSENT, "ENOTEMPTY", "EEXIST", "EBUSY"], () => (unlink(path, AT.REMOVEDIR), true)) ?? false;
}

/**
 * Makes a folder and those above it. `mode` is of the folders that are made. Another process may take a folder away while
 * we are at it (deleteEmptyFolder): then it is begun again. Mostly it is there, and asking is cheaper than an error.
 */
export function ensureFolder(path: string, mode = 0o700): void {
  if (findFacts(path)?.isFolder) return;
  for (let left = 100; ; left--) {
    try {
      makeFolders(path, mode);
      return;
    } catch (error) {
      if (left === 0 || !isErrno(error, "ENOENT")) throw error;
    }
  }
}

function makeFolders(path: string, mode: number): void {
  try {
    makeFolder(path, mode);
  } catch (error) {
    if (isErrno(error, "EEXIST") && factsOf(path).isFolder) return;
    if (!isErrno(error, "ENOENT") || folderOf(path) === path) throw error;
    makeFolders(folderOf(path), mode);
    makeFolders(path, mode);
  }
}

/** The folder that a path lies in (dirname(3)): "/run/vethwork" of "/run/vethwork/mynet". */
export function folderOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}

/** struct linux_dirent64 (getdents64(2)) up to the name, which ends with a zero byte. */
const dirent = struct({ d_ino: u64, d_off: u64, d_reclen: u16, d_type: u8 });

/** The names in a folder, in the file system's order. */
export function namesIn(path: string): string[] {
  const fd = openFile(path, O.RDONLY | O.DIRECTORY);
  try {
    const names: string[] = [];
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const length = readEntries(fd, path, buffer);
      if (length === 0) return names.filter((name) => name !== "." && name !== "..");
      for (let at = 0; at < length; ) {
        const { d_reclen } = dirent.decode(buffer.subarray(at));
        const text = buffer.subarray(at + dirent.size, at + d_reclen);
        names.push(new TextDecoder().decode(text.subarray(0, text.indexOf(0))));
        at += d_reclen;
      }
    }
  } finally {
    closeFile(fd);
  }
}

/** The names in a folder; none where there is no folder. */
export function listFolder(path: string): string[] {
  return unless(ABSENT, () => namesIn(path)) ?? [];
}

/** When a file or folder was changed last, in seconds since 1970; undefined where it is not there. */
export function findTime(path: string): number | undefined {
  return findFacts(path)?.changed;
}

/** Tells what is at `path` from everything else that there is now; undefined where there is nothing. */
export const findIdentity = (path: string): string | undefined => findFacts(path)?.identity;

/** True where a path leads to a regular file. */
export const isFile = (path: string): boolean => unless(["EACCES"], () => findFacts(path)?.isFile) ?? false;

/** True where there is anything at a path that is neither a file nor a folder, a device say. */
export function isDevice(path: string): boolean {
  const facts = unless(["EACCES"], () => findFacts(path));
  return facts !== undefined && !facts.isFile && !facts.isFolder;
}

/** True where both paths lead to one file, by whatever links. */
export function isSameFile(one: string, other: string): boolean {
  const identity = findIdentity(one);
  return identity !== undefined && identity === findIdentity(other);
}

/** Says when a file or folder was changed last, in whole seconds since 1970: a mark that the next change to it wipes out. */
export function setTime(path: string, seconds: number): void {
  setFileTime(path, seconds);
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
export function lockFile(options: LockOptions): Disposable {
  const fd = locked(options, () => tryLock(options.path));
  return { [Symbol.dispose]: () => closeFile(fd) };
}

/** The same with what is open already, as a namespace is, and until it is closed; `path` is for the message. */
export function lockOpen(fd: number, options: LockOptions): void {
  locked(options, () => unless(["EAGAIN", "EWOULDBLOCK"], () => (flock(fd, LOCK.EX | LOCK.NB), fd)));
}

function locked(options: LockOptions, tryOnce: () => number | undefined): number {
  return tryOnce() ?? lockedInTime(options, tryOnce);
}

function lockedInTime({ path, timeoutMs }: LockOptions, tryOnce: () => number | undefined): number {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 0.2; ; pauseMs = Math.min(pauseMs * 2, 20)) {
    const fd = tryOnce();
    if (fd !== undefined) return fd;
    if (performance.now() >= deadline) {
      throw new RangeError(`Cannot lock "${path}": ${holderOf(path)} holds it (waited ${timeoutMs} ms)`);
    }
    pause(pauseMs);
  }
}

/** The lock's file descriptor; undefined where another holds it, or deleted the file before we had it. */
function tryLock(path: string): number | undefined {
  ensureFolder(folderOf(path));
  const fd = unless(ABSENT, () => openFile(path, O.RDWR | O.CREAT | O.APPEND, OWNER_ONLY)); // the folder may be gone again
  if (fd === undefined) return undefined;
  try {
    flock(fd, LOCK.EX | LOCK.NB);
    if (isStillAt(path, fd)) return fd;
  } catch (error) {
    closeFile(fd);
    if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return undefined;
    throw error;
  }
  closeFile(fd);
  return undefined;
}

const isStillAt = (path: string, fd: number): boolean => factsOf(fd).identity === findFacts(path)?.identity;

/** The kernel's own list of locks (proc(5)) names the holder, whatever program it is; one outside our pid namespace it hides. */
function holderOf(path: string): string {
  const inode = findFacts(path)?.identity.split(":")[2];
  for (const line of (findText("/proc/locks") ?? "").split("\n")) {
    const [, pid, locked] = /^\d+: FLOCK +\S+ +\S+ +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line) ?? [];
    if (pid === undefined || locked !== inode) continue;
    const name = findText(`/proc/${pid}/comm`)?.trim();
    return `process ${pid}${name ? ` (${name})` : ""}`;
  }
  return "a process that cannot be seen from here";
}
