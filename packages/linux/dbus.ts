/**
 * The system bus: asks another program of this machine to do something, and waits for its answer.
 *
 *     using bus = openBus();
 *     bus.call({ destination: "org.fedoraproject.FirewallD1", path: "/org/fedoraproject/FirewallD1",
 *                interface: "org.fedoraproject.FirewallD1.zone", member: "addSource", args: ["trusted", "10.1.2.5/32"] });
 *
 *     us                          dbus-daemon, or dbus-broker                  firewalld
 *      │ ── AUTH EXTERNAL, BEGIN ──► │  the kernel tells it who we are             │
 *      │ ── Hello ─────────────────► │                                             │
 *      │ ── addSource ─────────────► │ ── addSource ─────────────────────────────► │
 *      │ ◄────────────────── reply, or an error with a name ────────────────────── │
 *
 * Synchronous, and no more than a caller needs: calls with texts, answers of any kind. No signals, no
 * descriptors, nothing that is called by others (docs/decisions/0090-the-system-bus-by-ourselves.md). Every wait is bounded.
 */
import { KernelError, isErrno } from "./errors.ts";
import { aboutToSend } from "./faults.ts";
import { connectUnix, type UnixStream } from "./unix.ts";
import { decodeMessage, encodeMessage, messageLength, type BusMessage } from "./wire/busmessage.ts";
import type { BusValue } from "./wire/dbus.ts";

export type { BusValue };

export interface BusCall {
  /** The name of who is asked. */
  destination: string;
  path: string;
  interface: string;
  member: string;
  args?: readonly string[];
}

export interface Bus extends Disposable {
  /** What was answered. BusError where that is an error; KernelError ETIMEDOUT where nothing is answered in time. */
  call(call: BusCall): readonly BusValue[];
  /** True where a program has that name on the bus, and so can be asked. */
  hasOwner(name: string): boolean;
}

/** Somebody on the bus said no. Decide on `errorName`. */
export class BusError extends Error {
  /** As in "org.freedesktop.DBus.Error.ServiceUnknown". */
  readonly errorName: string;
  /** The sentence that came with it. */
  readonly words: string;

  constructor(what: string, errorName: string, words: string) {
    super(`Cannot ${what}: ${words || errorName}`);
    this.name = "BusError";
    this.errorName = errorName;
    this.words = words;
  }
}

export interface BusOptions {
  /** Several are tried in turn (D-Bus Specification, section "Server Addresses"). */
  address?: string;
  /** How long an answer is waited for. */
  timeoutMs?: number;
}

const DEFAULT_ADDRESS = "unix:path=/run/dbus/system_bus_socket";
const TIMEOUT_MS = 25_000; // libdbus waits as long
const BUS = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" } as const;

/** Connects to the system bus, which DBUS_SYSTEM_BUS_ADDRESS may name. KernelError ENOENT, ECONNREFUSED where there is none. */
export function openBus({ address = process.env["DBUS_SYSTEM_BUS_ADDRESS"] || DEFAULT_ADDRESS, timeoutMs = TIMEOUT_MS }: BusOptions = {}): Bus {
  const line = openLine(address, timeoutMs);
  try {
    greet(line);
    return talkOver(line);
  } catch (error) {
    line.close();
    throw error;
  }
}

/** As openBus; undefined where no bus listens there. */
export function findBus(options: BusOptions = {}): Bus | undefined {
  try {
    return openBus(options);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ECONNREFUSED")) return undefined;
    throw error;
  }
}

function talkOver(line: Line): Bus {
  let serial = 0;
  const call = ({ args = [], ...to }: BusCall): readonly BusValue[] => {
    serial += 1;
    const what = `call ${to.member} of "${to.destination}"`;
    aboutToSend(() => what);
    line.send(encodeMessage({ kind: "call", serial, ...to, signature: "s".repeat(args.length), body: args }));
    for (;;) {
      const message = line.message(what);
      if (message.replySerial !== serial) continue; // signals that everybody gets
      if (message.kind === "error") throw new BusError(what, message.errorName ?? "", wordsIn(message));
      if (message.kind === "reply") return message.body;
    }
  };
  call({ ...BUS, member: "Hello" });
  return {
    call,
    hasOwner: (name) => call({ ...BUS, member: "NameHasOwner", args: [name] })[0] === true,
    [Symbol.dispose]: line.close,
  };
}

/** By custom the first value of an error is a sentence for people. */
const wordsIn = ({ body: [first] }: BusMessage): string => (typeof first === "string" ? first : "");

/**
 * Says who we are: EXTERNAL lets the kernel do it (unix(7), SO_PEERCRED), the empty answer to DATA that this is enough. All
 * of it goes out at once; the bus answers a line each.
 */
function greet(line: Line): void {
  aboutToSend(() => "authenticate to the system bus");
  line.send(new TextEncoder().encode("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"));
  for (const wanted of ["DATA", "OK"]) {
    const said = line.text("authenticate to the system bus");
    if (said.split(" ")[0] === wanted) continue;
    throw new KernelError("Cannot authenticate to the system bus", "EACCES", { reason: `it says "${said}" ("${wanted}" is wanted)` });
  }
}

/** A connection: bytes out, lines and messages in. */
interface Line {
  send(bytes: Uint8Array): void;
  text(what: string): string;
  message(what: string): BusMessage;
  close(): void;
}

function openLine(address: string, timeoutMs: number): Line {
  const stream = connected(address, timeoutMs);
  let rest = new Uint8Array();
  let deadline = 0; // of the answer to what was sent last
  const more = (what: string): void => {
    const bytes = stream.receive(Math.max(0, deadline - performance.now()));
    if (!bytes) throw new KernelError(`Cannot ${what}`, "ETIMEDOUT", { reason: `no answer within ${timeoutMs} ms` });
    if (bytes.length === 0) throw new KernelError(`Cannot ${what}`, "ECONNRESET", { reason: "the bus has closed the connection" });
    rest = Uint8Array.from([...rest, ...bytes]);
  };
  /** Takes as many bytes as `lengthOf` finds, once they have come. */
  const take = (what: string, lengthOf: (bytes: Uint8Array) => number | undefined): Uint8Array => {
    for (;;) {
      const length = lengthOf(rest);
      if (length !== undefined && rest.length >= length) {
        const taken = rest.slice(0, length);
        rest = rest.slice(length);
        return taken;
      }
      more(what);
    }
  };
  return {
    send: (bytes) => {
      deadline = performance.now() + timeoutMs;
      stream.send(bytes);
    },
    text: (what) => new TextDecoder().decode(take(what, (bytes) => (bytes.includes(10) ? bytes.indexOf(10) + 1 : undefined))).trim(),
    message: (what) => decodeMessage(take(what, messageLength)),
    close: () => stream[Symbol.dispose](),
  };
}

/** A connection to the first of the addresses that listens. */
function connected(address: string, timeoutMs: number): UnixStream {
  let failure: unknown = new KernelError("Cannot connect to the system bus", "EAFNOSUPPORT", { reason: `"${address}" (an address like ${DEFAULT_ADDRESS} is wanted)` });
  for (const path of pathsIn(address)) {
    try {
      return connectUnix(path, timeoutMs);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** The sockets that an address names by their paths. Other transports do not reach a system bus. */
function pathsIn(address: string): string[] {
  return address.split(";").flatMap((one) => {
    const [, keys] = /^unix:(.*)$/.exec(one.trim()) ?? [];
    return (keys ?? "").split(",").filter((pair) => pair.startsWith("path=")).map((pair) => plain(pair.slice("path=".length)));
  });
}

/** Values of an address are escaped as in URLs. */
const plain = (value: string): string => value.replace(/(?:%[0-9a-f]{2})+/gi, (escaped) =>
  new TextDecoder().decode(Uint8Array.from(escaped.slice(1).split("%").map((byte) => Number.parseInt(byte, 16)))));
