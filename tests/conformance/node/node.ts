/**
 * A node for the tests of real runtimes: a machine made of namespaces, in which containerd or podman run as they do on
 * a real one, and from which nothing they do gets out.
 *
 *     the machine                        the node: own network, mounts, pids, control groups, /run, /var/lib
 *   ┌─────────────────┐   a pipe    ┌───────────────────────────────────────────────┐
 *   │ test ── keeper ─┼─────────────┼─ pid 1 ── containerd ── pods                  │
 *   │                 │             │                    eth0 192.0.2.1 ═══ world   │
 *   └─────────────────┘             └───────────────────────────────────────────────┘
 *
 * The pipe is the node's life. Closing it, or dying while holding it, ends pid 1; with pid 1 the kernel ends every
 * process, mount and network of the node, and the keeper removes control groups and files. So there is one way down,
 * and it is taken after a failure halfway and after kill -9, too. The two scripts beside this file are the keeper and
 * pid 1; what a node leaves behind, or keeps inside, is looked at by leftovers.ts.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { RigFailure } from "./failure.ts";

/** What a finished command said. */
export interface Output {
  code: number;
  out: string;
  err: string;
}

export interface ExecOptions {
  /** Kill the command after this long; 30 s unless given. */
  timeoutMs?: number;
  /** Variables beside PATH, HOME and LANG. */
  env?: Record<string, string>;
  stdin?: string;
}

export interface Node {
  /** Unique on the machine: base name of `dir` and name of the node's control groups. */
  name: string;
  /** Work folder, seen under the same path inside and outside; goes with the node. */
  dir: string;
  /** Number of the node's pid 1 as the machine counts. */
  pid: number;
  /** The command line that runs a command in the node, for who wants to talk with it. */
  entering(argv: readonly string[]): string[];
  /** Runs a command in the node, whatever its exit code. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<Output>;
  /** Runs a command in the node and gives what it printed. Throws RigFailure when it fails. */
  run(argv: readonly string[], options?: ExecOptions): Promise<string>;
  /** Ends everything that runs in the node and removes what it had. May be called twice. */
  stop(): Promise<void>;
}

/** The node's own addresses, and those of the host outside that knows no pod. */
export const address = { node4: "192.0.2.1", node6: "2001:db8::1", world4: "192.0.2.254", world6: "2001:db8::fe" } as const;

/** The environment of every command of the rigs: nothing of the developer's shell gets in. */
export const cleanEnv = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LANG: "C.UTF-8" } as const;

/**
 * Starts a node, with a wire to the world unless it is to be bare. Needs root and util-linux's unshare and nsenter.
 * @throws RigFailure with pid 1's own words when the node does not come up; nothing is left then.
 */
export async function startNode({ bare = false } = {}): Promise<Node> {
  const dir = mkdtempSync(join(tmpdir(), "vethwork-node."));
  // setsid: Ctrl-C goes to the terminal's foreground group, and the keeper has to outlive the test to clean up.
  const keeper = Bun.spawn(["setsid", "bash", join(import.meta.dir, "node.sh"), dir, bare ? "bare" : "world"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnv,
  });
  const said = new Response(keeper.stderr).text();
  const stop = async () => {
    await keeper.stdin.end();
    await keeper.exited;
    const complaint = (await said).trim();
    if (complaint !== "") throw new RigFailure(`Cannot take node "${basename(dir)}" down cleanly: ${complaint}`);
  };
  const pid = await readyPid(keeper.stdout);
  if (pid === undefined) {
    await stop();
    throw new RigFailure(`Cannot start node "${basename(dir)}": pid 1 ended without a word`);
  }
  const entering = (argv: readonly string[]) => ["nsenter", "--target", String(pid), "--all", "--", "/run/node/enter", ...argv];
  const exec = (argv: readonly string[], options: ExecOptions = {}) => command(entering(argv), options);
  const run = async (argv: readonly string[], options: ExecOptions = {}) => succeeded(argv, await exec(argv, options));
  return { name: basename(dir), dir, pid, entering, exec, run, stop };
}

/** Runs a command where the test itself runs. */
export async function command(argv: readonly string[], options: ExecOptions = {}): Promise<Output> {
  const child = Bun.spawn([...argv], {
    stdin: new Blob([options.stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...cleanEnv, ...options.env },
    timeout: options.timeoutMs ?? 30_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

/** What a command printed, if it succeeded. Throws RigFailure with both its outputs otherwise. */
export function succeeded(argv: readonly string[], { code, out, err }: Output): string {
  if (code === 0) return out;
  throw new RigFailure(`Cannot run "${argv.join(" ")}": exit code ${code}: ${`${err}${out}`.trim()}`);
}

/** Waits for the line that init.sh prints last; undefined when the output ends before it. */
async function readyPid(stdout: ReadableStream<Uint8Array>): Promise<number | undefined> {
  const reader = stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return undefined;
    text += decoder.decode(value, { stream: true });
    const ready = /^ready (\d+)$/m.exec(text);
    if (ready !== null) return Number(ready[1]);
  }
}
