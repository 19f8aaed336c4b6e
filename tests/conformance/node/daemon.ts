/**
 * A program that stays: started on a node, with what it says in a log in the node's work folder, and over when it is killed
 * or the node ends. It has started when it answers, not when it runs.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RigFailure } from "./failure.ts";
import type { Node } from "./node.ts";
import { until } from "./until.ts";

export interface DaemonOptions {
  /** What it is called in the log's name and in a failure. */
  name: string;
  argv: readonly string[];
  /** Variables beside PATH, HOME and LANG. */
  env?: Record<string, string>;
  /** Whether it does its work now; asked again and again until it does, or the daemon has ended, or `timeoutMs` are over. */
  answers: () => Promise<boolean>;
  /** 60 s unless given. */
  timeoutMs?: number;
}

export interface Daemon {
  alive(): boolean;
  /** kill -9; returns when it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts a daemon and waits until it answers.
 * @throws RigFailure with the end of its log when it does not.
 */
export async function startDaemon(node: Node, { name, argv, env = {}, answers, timeoutMs = 60_000 }: DaemonOptions): Promise<Daemon> {
  const log = join(node.dir, `${name}.log`);
  const line = `log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!`;
  const pid = (await node.run(["sh", "-c", line, "sh", log, ...argv], { env })).trim();
  // The node's own list of processes, seen from here.
  const alive = () => existsSync(`/proc/${node.pid}/root/proc/${pid}`);
  const kill = async () => {
    await node.run(["kill", "-9", pid]);
    await until(() => !alive());
  };
  let answered = false;
  await until(async () => (answered = await answers()) || !alive(), timeoutMs);
  if (answered) return { alive, kill };
  const state = alive() ? `does not answer within ${timeoutMs / 1000} s` : "has ended";
  throw new RigFailure(`Cannot start ${name} on node "${node.name}": it ${state}: ${readFileSync(log, "utf8").slice(-2_000)}`);
}

/** An answer for a daemon that has none of its own: somebody on the node listens on this port of loopback. */
export const listens = (node: Node, port: number) => async (): Promise<boolean> =>
  (await node.exec(["bash", "-c", `: </dev/tcp/127.0.0.1/${port}`])).code === 0;
