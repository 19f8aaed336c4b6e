/**
 * Faults on demand: dies or fails at the n-th call into the kernel.
 *
 * A plugin that root runs thousands of times a day is killed in the middle some day. Tests ask for that day: every call
 * of libc (./libc.ts, and there is no other door) announces itself here first, and the test build (VETHWORK_FAULTS true at
 * build time) then obeys VETHWORK_FAULT:
 *
 *   count              print the calls, a line each, to stderr at exit
 *   kill:N             SIGKILL to ourselves just before call N (the first is 1)
 *   fail:N:ENOMEM      call N is not made, and fails with that errno
 *   kill:N@bridge      the same, but only in the program that was called by that name: of a chain, one plugin
 *
 * A request by netlink is one call and bears the request's name: failed, it is one that the kernel refused. The answer to it is
 * another: failed, the kernel has done what it was asked, and nobody knows. (A death in between needs no place of its own, since
 * to the kernel it is a death at the next call.) Programs that are run announce themselves by kernelCall().
 *
 * The shipped binary is built with VETHWORK_FAULTS false, and has nothing of this.
 */
import { KernelError } from "./errors.ts";

declare const VETHWORK_FAULTS: boolean | undefined;

const enabled = typeof VETHWORK_FAULTS !== "undefined" && VETHWORK_FAULTS;

/** Announces what is no call of libc: a program that is run. */
export function kernelCall(what: string): void {
  const errno = enabled ? announced(what) : undefined;
  if (errno !== undefined) throw refusal(what, errno);
}

/** Says what the next send() asks for, so that it is counted, and refused, by that name. */
export function aboutToSend(what: () => string): void {
  if (enabled) request = what();
}

/** C functions, each of which announces itself when it is called; in the shipped binary they are what they were. */
export function withFaults<T extends object>(functions: T, setErrno: (errno: string) => void): T {
  if (!enabled) return functions;
  const made = new Map<PropertyKey, unknown>();
  return new Proxy(functions, {
    get: (target, name) => {
      if (!made.has(name)) made.set(name, announcing(String(name), Reflect.get(target, name), setErrno));
      return made.get(name);
    },
  });
}

const refusal = (what: string, errno: string): KernelError => new KernelError(`Cannot ${what}`, errno, { reason: "injected by VETHWORK_FAULT" });

let request: string | undefined;

function announcing(name: string, call: unknown, setErrno: (errno: string) => void): unknown {
  if (typeof call !== "function" || NO_CALLS.has(name)) return call;
  return (...args: unknown[]): unknown => {
    const asked = name.startsWith("send") ? request : undefined;
    if (asked !== undefined) request = undefined;
    const errno = announced(asked ?? describe(name, args));
    if (errno !== undefined && asked !== undefined) throw refusal(asked, errno);
    if (errno !== undefined) {
      if (name === "close") Reflect.apply(call, undefined, args); // whatever it says, the descriptor is gone (close(2))
      setErrno(errno);
      return -1;
    }
    const result: unknown = Reflect.apply(call, undefined, args);
    if (MAKERS.has(name) && typeof result === "number") subjects.set(result, subjectOf(name, args));
    return result;
  };
}

/** Functions of libc that ask the kernel nothing. */
const NO_CALLS = new Set(["__errno_location", "strerror", "clock_gettime"]);

/** What comes out of these has a number, and is called by what it was made from. */
const MAKERS = new Set(["open", "socket", "accept4"]);
const subjects = new Map<number, string>([[0, "stdin"], [1, "stdout"], [2, "stderr"]]);

/** Where a path stands among a function's arguments; where none does, the first is a descriptor. */
const PATHS: Readonly<Record<string, number>> = { open: 0, statx: 1, unlinkat: 1, utimensat: 1, mkdir: 0, rename: 1, mount: 1, umount2: 0 };
const [O_WRITING, O_CREAT] = [3, 0o100] as const;

function describe(name: string, args: readonly unknown[]): string {
  const flags = name === "open" ? Number(args[1]) : 0;
  const how = (flags & O_CREAT) !== 0 ? " (make)" : (flags & O_WRITING) !== 0 ? " (write)" : "";
  return `${name} ${subjectOf(name, args)}${how}`;
}

function subjectOf(name: string, args: readonly unknown[]): string {
  const path = args[PATHS[name] ?? -1];
  const text = path instanceof Uint8Array ? new TextDecoder().decode(path.subarray(0, path.indexOf(0))) : "";
  return text || (name === "socket" ? "socket" : (subjects.get(Number(args[0])) ?? String(args[0])));
}

// ── what VETHWORK_FAULT says ──

const calls: string[] = [];

/** Counts a call; dies of it; or gives the errno that it is to fail with. */
function announced(what: string): string | undefined {
  const { mode, at, errno } = (order ??= orderFrom(process.env["VETHWORK_FAULT"] ?? ""));
  if (mode === "") return undefined;
  calls.push(what);
  if (mode === "count" && calls.length === 1) process.on("exit", printCalls);
  if (calls.length !== at) return undefined;
  if (mode === "kill") process.kill(process.pid, "SIGKILL");
  return mode === "fail" ? errno : undefined;
}

interface Order {
  mode: string;
  at: number;
  errno: string;
}

let order: Order | undefined;

function orderFrom(text: string): Order {
  const [fault = "", program] = text.split("@");
  const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);
  const [mode = "", at = "", errno = "EIO"] = program === undefined || program === name ? fault.split(":") : [];
  return { mode, at: Number(at), errno };
}

function printCalls(): void {
  process.stderr.write(calls.map((call, index) => `${index + 1} ${call}\n`).join(""));
}
