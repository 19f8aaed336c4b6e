/**
 * A machine of the lab: namespaces of its own for network, mounts, processes and host name, held by a process that sleeps.
 *
 *     the real machine                       node-1
 *   ┌────────────────────┐    setns(2)    ┌──────────────────────────────────────────────┐
 *   │ vethwork lab exec ─┼────────────────┼─▶ a shell                 pid 1: sh, asleep   │
 *   │                    │                │  /run, and what is written to /etc, /opt and  │
 *   │                    │                │  /var/lib, in memory and its own              │
 *   └────────────────────┘                └──────────────────────────────────────────────┘
 *
 * Nothing of it can be seen outside: no device, no name, no file. The process is the machine's life: with pid 1 the kernel
 * ends all its processes, mounts and networks. So there is no book of labs that could be wrong; who asks which machines
 * there are looks at the processes, and the machine that was left by a command that was killed is found like any other.
 */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { Netns, unless } from "@vethwork/linux";
import { LabFailure } from "./failure.ts";

export interface Machine {
  lab: string;
  name: string;
  /** Number of its pid 1, as the real machine counts. */
  pid: number;
}

/** How a program in a machine ended. */
export interface Output {
  code: number;
  out: string;
  err: string;
}

export interface RunOptions {
  stdin?: string;
  /** Variables beside PATH, HOME, LANG and TERM. */
  env?: Record<string, string>;
  /** A network namespace of the machine, of a pod, instead of the machine's own: a path as the machine sees it. */
  netns?: string;
}

const MARK = "vethwork-lab";

/**
 * What is written to /etc, /opt and /var/lib lands in memory and hides nothing: plugins are installed into /opt/cni/bin and
 * configured in /etc/cni/net.d as on any node. The shell waits for its one child and, being pid 1, for all orphans.
 */
const INIT = `set -eu
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/overlay
for folder in etc opt var/lib; do
  own=/run/overlay/\${folder##*/}
  mkdir "$own" "$own.work"
  mount -t overlay -o "lowerdir=/$folder,upperdir=$own,workdir=$own.work" overlay "/$folder"
done
hostname "$2"
exec 2>/dev/null
echo ready
exec >/dev/null
sleep infinity &
wait`;

/** Starts a machine. LabFailure with its own words where it does not come up; nothing is left then. */
export async function startMachine({ lab, name }: { lab: string; name: string }): Promise<Machine> {
  const isolation = ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"];
  const child = Bun.spawn(["unshare", ...isolation, "sh", "-c", INIT, MARK, lab, name], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: environment(),
    cwd: "/",
    detached: true, // Ctrl-C is for the command, which then takes its machines down in order
  });
  const isReady = await beginsWith(child.stdout, "ready\n");
  child.unref(); // it outlives this command
  const machine = isReady ? findMachines(lab).find((one) => one.name === name) : undefined;
  if (machine) return machine;
  const complaint = (await new Response(child.stderr).text()).trim();
  throw new LabFailure(`Cannot start machine "${name}": ${complaint || "it ended without a word"}`);
}

/** Whether a stream's first bytes are these; the rest is not waited for, since the machine keeps its end as long as it lives. */
async function beginsWith(stream: ReadableStream<Uint8Array>, wanted: string): Promise<boolean> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < wanted.length) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text.startsWith(wanted);
}

/** Every machine of a lab, or of all labs, in the order in which they were started. */
export function findMachines(lab?: string): Machine[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).sort((a, b) => a - b);
  return pids.map(machineOf).filter((machine) => machine !== undefined).filter((machine) => lab === undefined || machine.lab === lab);
}

/** Ends machines and all that is in them; returns when they are gone. */
export async function stopMachines(machines: readonly Machine[]): Promise<void> {
  for (const { pid } of machines) unless(["ESRCH"], () => process.kill(pid, "SIGKILL"));
  const deadline = performance.now() + 10_000;
  for (const machine of machines) {
    while (machineOf(machine.pid)?.name === machine.name) {
      if (performance.now() > deadline) throw new LabFailure(`Cannot stop machine "${machine.name}": process ${machine.pid} does not end`);
      await Bun.sleep(2);
    }
  }
}

/** The machine's own file system, seen from outside. */
export const fileIn = ({ pid }: Pick<Machine, "pid">, path: string): string => `/proc/${pid}/root${path}`;

/** Opens the machine's network, or that of a pod in it. */
export const openNetwork = (machine: Machine, pod?: string): Netns =>
  Netns.open(pod === undefined ? `/proc/${machine.pid}/ns/net` : fileIn(machine, podNetns(pod)));

/** The path of a pod's namespace, as its node sees it. */
export const podNetns = (pod: string): string => `/run/netns/${pod}`;

/** The command line that runs a program in a machine. */
export function entering(machine: Machine, argv: readonly string[], netns?: string): string[] {
  const net = netns === undefined ? "--net" : `--net=${fileIn(machine, netns)}`;
  return ["nsenter", "--target", String(machine.pid), "--mount", "--pid", "--uts", net, "--", ...argv];
}

/** Runs a program in a machine, whatever its exit code. */
export async function runIn(machine: Machine, argv: readonly string[], { stdin = "", env = {}, netns }: RunOptions = {}): Promise<Output> {
  const child = Bun.spawn(entering(machine, argv, netns), {
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...environment(), ...env },
  });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { code, out, err };
}

/** As runIn; gives what the program printed, and throws LabFailure with its words where it failed. */
export async function outputOf(machine: Machine, argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, out, err } = await runIn(machine, argv, options);
  if (code === 0) return out;
  throw new LabFailure(`Cannot run "${argv.join(" ")}" on ${machine.name}: exit code ${code}: ${`${err}${out}`.trim()}`);
}

/** Nothing of the caller's shell gets in but what a terminal needs. */
export function environment(): Record<string, string> {
  const { TERM = "dumb" } = process.env;
  return { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cni/bin", HOME: "/root", LANG: "C.UTF-8", TERM };
}

/** The machine whose pid 1 a process is. Anyone may start a process that looks like one; only root's are believed. */
function machineOf(pid: number): Machine | undefined {
  return unless(["ENOENT", "ESRCH"], () => {
    const [shell, , , mark, lab, name] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (shell !== "sh" || mark !== MARK || lab === undefined || name === undefined) return undefined;
    const isFirst = /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    return isFirst && statSync(`/proc/${pid}`).uid === 0 ? { lab, name, pid } : undefined;
  });
}
