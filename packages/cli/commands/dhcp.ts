/**
 * `vethwork dhcp daemon`: renews the leases of pods that have their address from a DHCP server; `vethwork dhcp leases` lists them.
 *
 * Options are those of the reference's `dhcp daemon`, in Go's spelling, too, so that a unit file needs another path and nothing else.
 * What the daemon does is packages/plugins/dhcp/daemon.ts; here are its options, its signals, and what it leaves for others to find.
 */
import { rmSync, writeFileSync } from "node:fs";
import { ignore } from "@vethwork/linux";
import { bootClock } from "@vethwork/plugins/shared/clock.ts";
import { createDaemon } from "@vethwork/plugins/dhcp/daemon.ts";
import { FOREVER, timesOf, type Held } from "@vethwork/plugins/dhcp/lease.ts";
import { folderFor, leasesIn } from "@vethwork/plugins/dhcp/leases.ts";
import { logTo } from "@vethwork/plugins/shared/log.ts";
import { createDoor } from "@vethwork/plugins/dhcp/server.ts";
import { DEFAULT_SOCKET } from "@vethwork/plugins/dhcp/talk.ts";
import { durationOf, readGoArguments } from "../goflags.ts";
import { endOf } from "../signals.ts";
import { tableOf } from "../table.ts";
import { UsageError, type Command, type OptionsConfig } from "../usage.ts";

const help = `Usage: vethwork dhcp daemon [--pidfile P] [--hostprefix H] [--socketpath S] [--broadcast]
                            [--timeout T] [--resendmax T] [--resendtimeout T]
       vethwork dhcp leases [--hostprefix H] [--socketpath S] [--json]

The plugin "dhcp" gives pods addresses from the DHCP server of their network. The daemon asks for
them, and renews them for as long as the pods live.

  daemon             runs until it is ended by SIGINT or SIGTERM; leases and pods stay as they are
  leases             who has which address, until when

  --socketpath S     where plugins find the daemon; ${DEFAULT_SOCKET}. Leases are kept beside it
  --hostprefix H     stands before the paths of socket and namespaces: where the machine's files
                     are, for a daemon in a container
  --pidfile P        a file for the daemon's process number; an absolute path
  --broadcast        have servers answer to everybody, where they cannot reach an interface that
                     has no address yet
  --timeout T        how long one question is asked before something else is tried; 10s
  --resendmax T      the longest pause between two messages; 1m2s
  --resendtimeout T  how long a pod's first lease is looked for; 3m28s
  --json             prints leases as JSON

Times are written as 10s, 1m2s, 500ms. Options may also begin with a single dash. Under systemd
the daemon takes over one socket that is handed to it. It writes a log to standard error.
`;

const PLACE = { socketpath: { type: "string", default: DEFAULT_SOCKET }, hostprefix: { type: "string", default: "" } } as const;
const DAEMON = {
  ...PLACE,
  pidfile: { type: "string", default: "" },
  broadcast: { type: "boolean", default: false },
  timeout: { type: "string", default: "10s" },
  resendmax: { type: "string", default: "62s" },
  resendtimeout: { type: "string", default: "208s" },
} as const;
const LEASES = { ...PLACE, json: { type: "boolean", default: false } } as const;

export const dhcp: Command = {
  name: "dhcp",
  about: "the daemon that renews pods' DHCP leases, and what it knows",
  help,
  words: ["daemon", "leases"],
  run: ([word, ...args]) => {
    if (word === "daemon") return runDaemon(valuesOf(args, DAEMON));
    if (word === "leases") return Promise.resolve(printLeases(valuesOf(args, LEASES)));
    throw new UsageError(`${word === undefined ? "a word is missing" : `there is no "${word}"`} (daemon or leases is wanted)`);
  },
};

function valuesOf<const O extends OptionsConfig>(args: readonly string[], options: O) {
  const { values, positionals } = readGoArguments(args, options);
  if (positionals.length > 0) throw new UsageError(`"${positionals[0]}" is not understood (options are wanted)`);
  return values;
}

const socketOf = ({ hostprefix, socketpath }: { hostprefix: string; socketpath: string }): string => `${hostprefix}${socketpath}`;

type DaemonValues = { [K in keyof typeof DAEMON]: (typeof DAEMON)[K]["type"] extends "boolean" ? boolean : string };

async function runDaemon({ pidfile, broadcast, ...values }: DaemonValues): Promise<number> {
  if (pidfile !== "" && !pidfile.startsWith("/")) throw new UsageError(`--pidfile ${JSON.stringify(pidfile)} is not understood (an absolute path is wanted)`);
  const [timeoutMs, resendMaxMs, resendTimeoutMs] = [spanOf("timeout", values.timeout), spanOf("resendmax", values.resendmax), spanOf("resendtimeout", values.resendtimeout)];
  const path = socketOf(values);
  const ended = endOf(["SIGINT", "SIGTERM"]);
  process.stderr.on("error", (error) => ignore(error, "nobody reads the log any more, and the leases go on"));
  const log = logTo((line) => void process.stderr.write(line));
  const door = createDoor({ path, activated: activatedSocket() });
  const daemon = createDaemon({ leases: leasesIn(folderFor(path)), prefix: values.hostprefix, broadcast, timeoutMs, resendMaxMs, resendTimeoutMs, clock: bootClock, log });
  await door.open(daemon);
  if (pidfile !== "") writeFileSync(pidfile, String(process.pid), { mode: 0o644 });
  log("info", "listening", { socket: path, pid: process.pid });
  log("info", "ending", { signal: await ended });
  daemon.stop();
  await door.close();
  if (pidfile !== "") rmSync(pidfile, { force: true });
  return 0;
}

function spanOf(name: string, text: string): number {
  const ms = durationOf(name, text);
  if (ms > 0) return ms;
  throw new UsageError(`--${name} ${JSON.stringify(text)} is not understood (a time above zero is wanted)`);
}

const FIRST_FD = 3; // sd_listen_fds(3)

/** The socket that systemd opened for us, if it did. */
function activatedSocket(): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count = "0" } = process.env;
  if (pid !== String(process.pid) || count === "0") return undefined;
  if (count !== "1") throw new UsageError(`Too many (${count}) FDs passed through socket activation (one is wanted)`);
  return FIRST_FD;
}

function printLeases({ json, ...place }: { hostprefix: string; socketpath: string; json: boolean }): number {
  const now = bootClock.now();
  const all = leasesIn(folderFor(socketOf(place))).list((what) => void process.stderr.write(`${what}\n`)).map((held) => rowOf(held, now));
  process.stdout.write(json ? `${JSON.stringify(all, undefined, 2)}\n` : table(all));
  return 0;
}

interface Row {
  network: string;
  container: string;
  interface: string;
  address: string;
  server: string;
  state: string;
  /** Of its time; null: for ever. */
  secondsLeft: number | null;
}

function rowOf({ wish, lease }: Held, now: number): Row {
  const { renew, rebind, end } = timesOf(lease);
  const state = now < renew ? "bound" : now < rebind ? "renewing" : now < end ? "rebinding" : "ended";
  const secondsLeft = lease.seconds === FOREVER ? null : Math.max(0, Math.round((end - now) / 1000));
  return { network: wish.network, container: wish.containerId, interface: wish.ifname, address: lease.address, server: lease.server, state, secondsLeft };
}

function table(rows: readonly Row[]): string {
  if (rows.length === 0) return "no leases\n";
  const cells = rows.map((row) => [row.network, row.container, row.interface, row.address, row.server, row.state, row.secondsLeft === null ? "for ever" : `${row.secondsLeft} s`]);
  return tableOf(["NETWORK", "CONTAINER", "INTERFACE", "ADDRESS", "SERVER", "STATE", "LEFT"], cells);
}
