/**
 * libc: the one file that imports bun:ffi, and so the only door to the kernel.
 *
 * Sockets of any family, namespaces, mounts, files and their locks. Every number is checked before the call, because FFI
 * wraps what is out of range silently; every failure is a KernelError with errno by name. Files are here, too, because
 * loading node:fs takes a plugin longer than all its system calls together (docs/decisions/0021-files-by-libc.md).
 *
 * What FFI demands, each paid for once: views are passed, not numbers from ptr(), which do not keep their array
 * alive; errno is read at once, before anything else may call libc.
 */
import { CString, FFIType, dlopen, ptr, read, toArrayBuffer, type Pointer } from "bun:ffi";
import { KernelError, errnoName, errnoNumber } from "./errors.ts";
import { withFaults } from "./faults.ts";
import { AT, O, S, STATX } from "./uapi/fs.ts";
import { SO, SOL } from "./uapi/socket.ts";
import { encode, pad, struct, u16, u32, u64 } from "./wire/codec.ts";

/** Where this thread's errno stands, known before the first call that may fail: looking it up sets errno. */
let errnoAt: Pointer | undefined;

/** What nearly every run of a plugin needs. Binding a symbol costs some µs, so the rest waits until it is asked for. */
const libc = lazily(() => {
  const { symbols } = dlopen("libc.so.6", {
    __errno_location: { args: [], returns: "ptr" },
    strerror: { args: ["i32"], returns: "ptr" },
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    send: { args: ["i32", "ptr", FFIType.u64_fast, "i32"], returns: FFIType.i64_fast },
    recv: { args: ["i32", "ptr", FFIType.u64_fast, "i32"], returns: FFIType.i64_fast },
    setns: { args: ["i32", "i32"], returns: "i32" },
    flock: { args: ["i32", "i32"], returns: "i32" },
    fstatfs: { args: ["i32", "ptr"], returns: "i32" },
    open: { args: ["ptr", "i32", "u32"], returns: "i32" },
    read: { args: ["i32", "ptr", FFIType.u64_fast], returns: FFIType.i64_fast },
    write: { args: ["i32", "ptr", FFIType.u64_fast], returns: FFIType.i64_fast },
    close: { args: ["i32"], returns: "i32" },
    statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
    unlinkat: { args: ["i32", "ptr", "i32"], returns: "i32" },
    utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  });
  const location = symbols.__errno_location();
  if (typeof location === "number") errnoAt = location;
  return withFaults(symbols, setErrno);
});

const more = lazily(() => {
  libc();
  const { symbols } = dlopen("libc.so.6", {
    unshare: { args: ["i32"], returns: "i32" },
    mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
    umount2: { args: ["ptr", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
    listen: { args: ["i32", "i32"], returns: "i32" },
    accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", FFIType.u64_fast, "i32", "ptr", "u32"], returns: FFIType.i64_fast },
    recvfrom: { args: ["i32", "ptr", FFIType.u64_fast, "i32", "ptr", "ptr"], returns: FFIType.i64_fast },
    getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    poll: { args: ["ptr", FFIType.u64_fast, "i32"], returns: "i32" },
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
    mkdir: { args: ["ptr", "u32"], returns: "i32" },
    rename: { args: ["ptr", "ptr"], returns: "i32" },
    getdents64: { args: ["i32", "ptr", FFIType.u64_fast], returns: FFIType.i64_fast },
  });
  return withFaults(symbols, setErrno);
});

/** One C function, twice: its last argument is an address or a number. */
const device = lazily(() => withFaults(dlopen("libc.so.6", { ioctl: { args: ["i32", FFIType.u64_fast, "ptr"], returns: "i32" } }).symbols, setErrno));
const control = lazily(() => withFaults(dlopen("libc.so.6", { ioctl: { args: ["i32", FFIType.u64_fast, FFIType.u64_fast], returns: "i32" } }).symbols, setErrno));

/** For who puts programs into place, and no plugin. */
const advice = lazily(() => {
  libc();
  return dlopen("libc.so.6", { posix_fadvise: { args: ["i32", FFIType.i64_fast, FFIType.i64_fast, "i32"], returns: "i32" } }).symbols;
});

const SOCK_CLOEXEC = 0o2000000; // set on every socket: no child inherits one

/** A socket of the calling thread's network namespace. Close it with node:fs. */
export function socket(domain: number, type: number, protocol: number): number {
  return checked("open a socket", libc().socket(s32(domain), s32(type | SOCK_CLOEXEC), s32(protocol)));
}

/** Sets an integer option (setsockopt(2)). */
export function setSocketOption(fd: number, level: number, option: number, value: number): void {
  const bytes = new Int32Array([s32(value)]);
  checked(`set socket option ${level}/${option}`, libc().setsockopt(s32(fd), s32(level), s32(option), bytes, 4));
}

/** Sets an option whose value is a C struct. */
export function setSocketOptionBytes(fd: number, level: number, option: number, value: Uint8Array): void {
  checked(`set socket option ${level}/${option}`, libc().setsockopt(s32(fd), s32(level), s32(option), value, value.length));
}

/** struct sock_fprog (linux/filter.h): how many instructions, and where they stand. */
const sock_fprog = struct({ len: u16, _pad: pad(6), filter: u64 });
const INSTRUCTION = 8; // bytes: struct sock_filter

/** Lets only those packets come to a socket that a program of classic BPF accepts (SO_ATTACH_FILTER). */
export function attachFilter(fd: number, program: Uint8Array): void {
  const held = [program, program.buffer]; // touched, so that its bytes stay where they are; held, so that they stay at all
  const argument = encode(sock_fprog, { len: program.length / INSTRUCTION, filter: BigInt(ptr(program)) }).slice();
  setSocketOptionBytes(fd, SOL.SOCKET, SO.ATTACH_FILTER, argument);
  held.length = 0;
}

/** Gets an integer option (getsockopt(2)), as SO_ERROR after a connect that was not waited for. */
export function getSocketOption(fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  checked(`get socket option ${level}/${option}`, more().getsockopt(s32(fd), s32(level), s32(option), value, length));
  return value[0] ?? 0;
}

/** Gets an option whose value is a C struct of `size` bytes. */
export function getSocketOptionBytes(fd: number, level: number, option: number, size: number): Uint8Array {
  const value = new Uint8Array(size);
  checked(`get socket option ${level}/${option}`, more().getsockopt(s32(fd), s32(level), s32(option), value, new Uint32Array([size])));
  return value;
}

/** Sends on a connected (or netlink) socket; returns the number of bytes taken. */
export function send(fd: number, bytes: Uint8Array, flags = 0): number {
  return checked("send", libc().send(s32(fd), bytes, bytes.length, s32(flags)));
}

/** Receives into `into`; returns the number of bytes, with MSG_TRUNC in `flags` the datagram's true length. */
export function recv(fd: number, into: Uint8Array, flags = 0): number {
  return checked("receive", libc().recv(s32(fd), into, into.length, s32(flags)));
}

/** Moves the calling thread into the namespace behind `fd` (setns(2)). `kind` is a CLONE_NEW* flag. */
export function setns(fd: number, kind: number): void {
  checked("enter a namespace", libc().setns(s32(fd), s32(kind)));
}

/** Puts the calling thread into new namespaces (unshare(2)); `kinds` are CLONE_NEW* flags. */
export function unshare(kinds: number): void {
  checked("make a namespace", more().unshare(s32(kinds)));
}

/** Locks a file (flock(2)). With LOCK_NB it fails with EWOULDBLOCK ("EAGAIN") where another holds the lock. */
export function flock(fd: number, operation: number): void {
  checked("lock a file", libc().flock(s32(fd), s32(operation)));
}

/** Opens a file (open(2)); `flags` are O.*, O_CLOEXEC is always set. */
export function openFile(path: string, flags: number, mode = 0): number {
  return checked(`open "${path}"`, libc().open(cstring(path), s32(flags | O.CLOEXEC), mode));
}

/** As openFile; undefined where there is no such file. */
export function findFile(path: string, flags: number): number | undefined {
  return unlessAbsent(`open "${path}"`, libc().open(cstring(path), s32(flags | O.CLOEXEC), 0));
}

/** Closes a file or a socket. It is gone whatever the kernel says to it (close(2)); who has written to it may want to hear that. */
export function closeFile(fd: number, tells = false): void {
  if (Number(libc().close(s32(fd))) < 0 && tells) throw failureOf("close a file", errno());
}

/** Reads into `into`; returns the number of bytes, 0 at the end. */
export function readFile(fd: number, into: Uint8Array): number {
  return checked("read a file", libc().read(s32(fd), into, into.length));
}

/** Writes; returns the number of bytes taken. */
export function writeFile(fd: number, bytes: Uint8Array): number {
  return checked("write to a file", libc().write(s32(fd), bytes, bytes.length));
}

const DONTNEED = 4; // linux/fadvise.h POSIX_FADV_DONTNEED, everywhere but on s390x

/** Has the kernel forget what it holds of a file, but for what is not on the disk yet, or mapped by somebody (posix_fadvise(2)). */
export function forgetPages(fd: number): void {
  const number = advice().posix_fadvise(s32(fd), 0, 0, DONTNEED); // tells the error itself, and not by errno
  if (number !== 0) throw failureOf("forget a file's pages", number);
}

/** Asks a driver for something that takes a number (ioctl(2)). */
export function ioctl(fd: number, request: number, argument: number): void {
  if (!Number.isInteger(argument) || argument < 0 || argument > 0xffff_ffff) throw new RangeError(`Cannot call libc: ${argument} (an unsigned 32-bit integer is wanted)`);
  checked(`ask device ${fd} for 0x${request.toString(16)}`, control().ioctl(s32(fd), request, argument));
}

/** struct ifreq (linux/if.h), where its union holds flags. */
const ifreq = struct({ _ifr_name: pad(16), ifr_flags: u16, _rest: pad(22) });

/** Asks a driver for something that concerns a network device (netdevice(7)). */
export function deviceIoctl(fd: number, request: number, { name, flags }: { name: string; flags: number }): void {
  const bytes = cstring(name);
  if (bytes.length > 16) throw new RangeError(`Cannot call libc: ${JSON.stringify(name)} (a name of up to 15 bytes is wanted)`);
  const argument = encode(ifreq, { ifr_flags: flags }).slice();
  argument.set(bytes);
  checked(`ask for network device "${name}"`, device().ioctl(s32(fd), request, argument));
}

/** Makes a folder in one that is there (mkdir(2)). */
export function makeFolder(path: string, mode: number): void {
  checked(`make folder "${path}"`, more().mkdir(cstring(path), mode));
}

/** Deletes a file, or with AT.REMOVEDIR an empty folder (unlinkat(2)). */
export function unlink(path: string, flags = 0): void {
  checked(`delete "${path}"`, libc().unlinkat(AT.FDCWD, cstring(path), s32(flags)));
}

/** Gives a file another name, and takes away what had that name (rename(2)). */
export function rename(from: string, to: string): void {
  checked(`rename "${from}" to "${to}"`, more().rename(cstring(from), cstring(to)));
}

/** struct statx (linux/stat.h), as far as the device; its nested times flattened. */
const statx = struct({
  _mask_blksize_attributes_nlink_uid_gid: pad(28), stx_mode: u16, _spare: pad(2), stx_ino: u64, _size_blocks_attributes: pad(24),
  _atime_btime_ctime: pad(48), mtime_sec: u64, mtime_nsec: u32, _rdev: pad(12), stx_dev_major: u32, stx_dev_minor: u32,
});
/** struct timespec twice: access and modification (utimensat(2)). */
const timespecs = struct({ atime_sec: u64, atime_nsec: u64, mtime_sec: u64, mtime_nsec: u64 });

export interface FileFacts {
  /** Device and inode: no two files that there are now have the same. */
  identity: string;
  isFolder: boolean;
  isFile: boolean;
  /** When it was changed last, in seconds since 1970. */
  changed: number;
}

/** What there is at a path, or behind a descriptor (statx(2)). Links are followed. */
export function factsOf(file: string | number): FileFacts {
  const found = new Uint8Array(STATX_SIZE);
  const [fd, path, flags] = typeof file === "number" ? [s32(file), "", AT.EMPTY_PATH] : [AT.FDCWD, file, 0];
  checked(`look at "${file}"`, libc().statx(fd, cstring(path), flags, STATX.BASIC_STATS, found));
  return factsIn(found);
}

/** As factsOf; undefined where there is nothing at the path. */
export function findFacts(path: string): FileFacts | undefined {
  const found = new Uint8Array(STATX_SIZE);
  const result = unlessAbsent(`look at "${path}"`, libc().statx(AT.FDCWD, cstring(path), 0, STATX.BASIC_STATS, found));
  return result === undefined ? undefined : factsIn(found);
}

const STATX_SIZE = 256; // all that the kernel fills, whatever we read of it

function factsIn(found: Uint8Array): FileFacts {
  const { stx_dev_major, stx_dev_minor, stx_ino, stx_mode, mtime_sec, mtime_nsec } = statx.decode(found);
  return {
    identity: `${stx_dev_major}:${stx_dev_minor}:${stx_ino}`,
    isFolder: (stx_mode & S.IFMT) === S.IFDIR,
    isFile: (stx_mode & S.IFMT) === S.IFREG,
    changed: Number(mtime_sec) + mtime_nsec / 1e9,
  };
}

/** Says when a file was changed last, in whole seconds since 1970 (utimensat(2)). */
export function setFileTime(path: string, seconds: number): void {
  const sec = BigInt(seconds);
  const times = encode(timespecs, { atime_sec: sec, mtime_sec: sec }).slice();
  checked(`set the time of "${path}"`, libc().utimensat(AT.FDCWD, cstring(path), times, 0));
}

/** Reads what is in a folder, struct linux_dirent64 one after another; returns the number of bytes, 0 at the end (getdents64(2)). */
export function readEntries(fd: number, path: string, into: Uint8Array): number {
  return checked(`list "${path}"`, more().getdents64(s32(fd), into, into.length));
}

/** The magic number of the file system that `fd` is on (fstatfs(2), f_type), as in linux/magic.h. */
export function fileSystemMagic(fd: number): number {
  const statfs = new BigInt64Array(16); // 120 bytes on 64-bit Linux; f_type comes first
  checked("ask for the file system", libc().fstatfs(s32(fd), statfs));
  return Number(BigInt.asUintN(32, statfs[0] ?? 0n));
}

export interface Mount {
  source: string;
  target: string;
  /** File system type, "" for a bind mount or a change of propagation. */
  type?: string;
  /** MS_* of linux/mount.h. */
  flags?: number;
  /** What the file system itself reads: "mode=755". */
  data?: string;
}

/** Mounts (mount(2)). */
export function mount({ source, target, type = "", flags = 0, data = "" }: Mount): void {
  checked(`mount "${target}"`, more().mount(cstring(source), cstring(target), cstring(type), BigInt(flags), cstring(data)));
}

/** Unmounts (umount2(2)). */
export function unmount(target: string, flags = 0): void {
  checked(`unmount "${target}"`, more().umount2(cstring(target), s32(flags)));
}

/** Gives a socket its own address (bind(2)); `address` is a struct sockaddr. */
export function bind(fd: number, address: Uint8Array): void {
  checked("bind a socket", more().bind(s32(fd), address, address.length));
}

/** Connects; a socket that does not block fails with EINPROGRESS, and poll then says when it is done. */
export function connect(fd: number, address: Uint8Array): void {
  checked("connect", more().connect(s32(fd), address, address.length));
}

/** Listens for connections (listen(2)). */
export function listen(fd: number, backlog: number): void {
  checked("listen", more().listen(s32(fd), s32(backlog)));
}

/** Accepts a connection; `from` is filled with the peer's struct sockaddr, `flags` are SOCK_*. */
export function accept(fd: number, from: Uint8Array, flags: number): number {
  return checked("accept", more().accept4(s32(fd), from, new Uint32Array([from.length]), s32(flags | SOCK_CLOEXEC)));
}

/** Sends a datagram to `address`, a struct sockaddr. */
export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array): number {
  return checked("send", more().sendto(s32(fd), bytes, bytes.length, 0, address, address.length));
}

/** Receives a datagram; `from` is filled with the sender's struct sockaddr. */
export function recvFrom(fd: number, into: Uint8Array, from: Uint8Array): number {
  const length = new Uint32Array([from.length]);
  return checked("receive", more().recvfrom(s32(fd), into, into.length, 0, from, length));
}

/** Fills `address` with the socket's own struct sockaddr (getsockname(2)). */
export function socketName(fd: number, address: Uint8Array): void {
  checked("ask for a socket's address", more().getsockname(s32(fd), address, new Uint32Array([address.length])));
}

/** Waits until one of `fds` is ready for `events` (POLLIN 1, POLLOUT 4); false when the time is up. */
export function poll(fds: readonly number[], events: number, timeoutMs: number): boolean {
  const pollfds = new Int32Array(fds.flatMap((fd) => [s32(fd), events])); // struct pollfd: fd, then two shorts
  return checked("wait for a socket", more().poll(pollfds, fds.length, s32(timeoutMs))) > 0;
}

/** What a clock shows, in seconds (clock_gettime(2)); `clock` is one of CLOCK. */
export function clockTime(clock: number): number {
  const timespec = new BigInt64Array(2);
  checked("read a clock", more().clock_gettime(s32(clock), timespec));
  return Number(timespec[0] ?? 0n) + Number(timespec[1] ?? 0n) / 1e9;
}

/** libc's words for an errno number, in lower case as they stand inside a sentence: 17 → "file exists". */
export function strerror(errno: number): string {
  const text = libc().strerror(s32(errno));
  return text === null ? "" : new CString(text).toString().replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase());
}

/** The result of a call that was just made; KernelError where it says that errno does. Nothing may come between the two: errno is the last call's. */
function checked(what: string, made: number | bigint): number {
  const result = Number(made);
  if (result >= 0) return result;
  throw failureOf(what, errno());
}

/** As checked; undefined where there is nothing at the path: no error is made then, since that costs as much as many calls. */
function unlessAbsent(what: string, made: number | bigint): number | undefined {
  const result = Number(made);
  if (result >= 0) return result;
  const why = errno();
  if (why === ENOENT || why === ENOTDIR) return undefined;
  throw failureOf(what, why);
}

const [ENOENT, ENOTDIR] = [2, 20]; // asm-generic/errno-base.h

function errno(): number {
  if (errnoAt === undefined) throw new RangeError("Cannot find errno: libc gave no address");
  return read.i32(errnoAt);
}

/** What a call that failed leaves behind, for one that was not made (./faults.ts). */
function setErrno(name: string): void {
  if (errnoAt !== undefined) new Int32Array(toArrayBuffer(errnoAt, 0, 4))[0] = errnoNumber(name);
}

const failureOf = (what: string, number: number): KernelError => new KernelError(`Cannot ${what}`, errnoName(number), { reason: strerror(number) });

function s32(value: number): number {
  if (Number.isInteger(value) && value >= -0x80000000 && value <= 0x7fffffff) return value;
  throw new RangeError(`Cannot call libc: ${value} (a signed 32-bit integer is wanted)`);
}

function cstring(text: string): Uint8Array {
  if (text.includes("\0")) throw new RangeError(`Cannot call libc: ${JSON.stringify(text)} (no zero byte is wanted)`);
  return new TextEncoder().encode(`${text}\0`);
}

function lazily<T extends object>(make: () => T, made?: T): () => T {
  return () => (made ??= make());
}
