/**
 * What can go wrong with each kind of call, as the manual pages have it, and as nodes have it: memory is short, a disk is full
 * or read-only, a security module forbids it, another was quicker, the device went away.
 *
 * Left out is what would be a lie and no failure: EAGAIN of a lock (who gets it waits, rightly), ENOENT of a file that is there,
 * EEXIST of a file that is not.
 */

/** Kinds of calls: functions of libc by their names; requests by netlink that change something, and those that ask. */
const ERRNOS: Readonly<Record<string, readonly string[]>> = {
  change: ["ENOMEM", "EPERM", "EBUSY", "EEXIST", "ENODEV", "ENOSPC", "EINTR", "EINVAL", "EOPNOTSUPP", "ENOBUFS"],
  delete: ["ENOMEM", "EPERM", "EBUSY", "EINTR"],
  ask: ["ENOMEM", "EPERM", "EINTR", "ENOBUFS"],
  call: ["ENOMEM", "EPIPE", "ECONNRESET"],
  run: ["ENOMEM", "EAGAIN", "EACCES"],
  open: ["EMFILE", "ENFILE", "ENOMEM", "EACCES"],
  make: ["ENOSPC", "EROFS", "EACCES", "EMFILE", "EDQUOT"],
  writing: ["EACCES", "EROFS", "EMFILE", "EPERM"],
  read: ["EIO", "EINTR", "ENOMEM"],
  write: ["ENOSPC", "EIO", "EINTR", "EDQUOT", "EINVAL", "EPERM"],
  close: ["EIO", "EINTR"],
  statx: ["EACCES", "EIO", "ENOMEM"],
  fstatfs: ["EIO", "ENOMEM"],
  getdents64: ["EIO", "ENOMEM"],
  mkdir: ["ENOSPC", "EROFS", "EACCES", "EMLINK"],
  rename: ["ENOSPC", "EROFS", "EACCES", "EIO"],
  unlinkat: ["EROFS", "EPERM", "EIO", "EBUSY"],
  utimensat: ["EROFS", "EPERM", "EIO"],
  flock: ["EINTR", "ENOLCK"],
  socket: ["EMFILE", "ENOBUFS", "EPERM", "EAFNOSUPPORT"],
  setsockopt: ["ENOMEM", "ENOPROTOOPT", "EPERM"],
  getsockopt: ["ENOBUFS"],
  bind: ["ENODEV", "EADDRINUSE", "ENOMEM"],
  connect: ["ECONNREFUSED", "EACCES", "ETIMEDOUT"],
  send: ["ENOBUFS", "EPIPE", "EINTR"],
  sendto: ["ENOBUFS", "ENETDOWN", "EPERM"],
  recv: ["ENOBUFS", "ENOMEM"],
  recvfrom: ["ENOBUFS", "ENOMEM"],
  poll: ["EINTR", "ENOMEM"],
  setns: ["EPERM", "ENOMEM"],
  unshare: ["EPERM", "ENOMEM", "ENOSPC"],
  ioctl: ["EBUSY", "ENOMEM", "EPERM"],
};

/** The kind of a call, of what VETHWORK_FAULT=count has printed for it. */
export function kindOf(call: string): string {
  const [word = ""] = call.split(" ");
  if (word === "open") return call.endsWith("(make)") ? "make" : call.endsWith("(write)") ? "writing" : "open";
  if (word === "run" || word === "send") return word;
  if (word === "call" || word === "authenticate") return "call";
  if (word === "delete" || word === "forget") return "delete";
  if (["get", "list", "find"].includes(word)) return "ask";
  return Object.hasOwn(ERRNOS, word) ? word : "change";
}

/** Calls after which the world is what it was before: a death at the next call is a death at this one. */
const READING = new Set(["ask", "open", "read", "close", "statx", "fstatfs", "getdents64", "socket", "setsockopt", "getsockopt", "bind", "recv", "recvfrom", "poll", "setns", "flock"]);
export const onlyReads = (call: string): boolean => READING.has(kindOf(call));

/** True where the call is the reading or the telling of an answer: failed, what was asked for is done, and nobody knows. */
export const isAnswer = (call: string): boolean => /^recv(?:from)? |^write stdout/.test(call);

/** What a call may fail with. */
export const errnosOf = (call: string): readonly string[] => ERRNOS[kindOf(call)] ?? ["EIO"];
