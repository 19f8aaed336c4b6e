/**
 * Asking a web server which address it saw the question come from: the plainest proof that nothing on the way changed
 * it, and of who changed it where something did.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "../node/node.ts";
import { until } from "../node/until.ts";
import { busybox, peerScript } from "./image.ts";
import { port } from "./pod.ts";

/** Runs a command where the question starts; `code` 0 is success, `said` what it printed. */
type Asker = (...argv: string[]) => Promise<{ code: number; said: string }>;

/** Asks as the node itself, or as a network namespace of the node. */
export function from(node: Node, netns?: string): Asker {
  const prefix = netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`];
  return async (...argv) => {
    const { code, out, err } = await node.exec([...prefix, busybox, ...argv]);
    return { code, said: `${out}${err}`.trim() };
  };
}

/** Starts on the node, or in a namespace of it, the web server that pods have. It goes with the node. */
export async function serve(node: Node, netns?: string): Promise<void> {
  const www = join(node.dir, `www-${netns ?? "node"}`);
  mkdirSync(join(www, "cgi-bin"), { recursive: true });
  writeFileSync(join(www, "cgi-bin/peer"), peerScript, { mode: 0o755 });
  await from(node, netns)("httpd", "-p", String(port), "-h", www);
}

/**
 * The source address that the web server at `host` saw. A server that was started a moment ago may not listen yet, so the
 * question is repeated for up to 10 s.
 * @param at the port; unless given, the one that pods serve on
 */
export async function seenBy(ask: Asker, host: string, at: number = port): Promise<string> {
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${at}/cgi-bin/peer`;
  let last = "";
  await until(async () => {
    const { code, said } = await ask("wget", "-q", "-O", "-", url);
    last = said;
    return code === 0;
  }, 10_000);
  return last.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:/, "");
}

/** Whether an echo comes back from `host`. */
export async function pings(ask: Asker, host: string): Promise<boolean> {
  return (await ask("ping", "-c", "1", "-W", "5", host)).code === 0;
}
