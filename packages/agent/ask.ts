/** Asking an agent how it is, by its socket (./server.ts). */
import { connectUnix, isErrno } from "@vethwork/linux";
import type { AgentStatus } from "./agent.ts";

/** The status as it comes over the socket: addresses are text. */
export type ToldStatus = Omit<AgentStatus, "podSubnets" | "peers"> & { podSubnets: string[]; peers: { name: string; podSubnets: string[]; way: string; because: string }[] };

/** No agent answers; the message says why. */
export class NoAgent extends Error {
  override readonly name = "NoAgent";
}

const PATIENCE_MS = 5_000;

/** What the agent behind the socket says. NoAgent where none does. */
export function askAgent(socket: string): ToldStatus {
  try {
    const answer = ask(socket, "/status");
    const told: ToldStatus = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
    return told;
  } catch (error) {
    const why = isErrno(error, "EACCES", "EPERM") ? "this needs root" : isErrno(error, "ENOENT", "ECONNREFUSED") ? "no agent is running (vethwork agent --help)" : "it does not answer";
    throw new NoAgent(`Cannot ask the agent at "${socket}": ${why}`, { cause: error });
  }
}

function ask(socket: string, path: string): string {
  using stream = connectUnix(socket, PATIENCE_MS);
  stream.send(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nhost: agent\r\n\r\n`));
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const bytes = stream.receive(PATIENCE_MS);
    if (bytes === undefined) throw new NoAgent(`no answer within ${PATIENCE_MS / 1000} s`);
    if (bytes.length === 0) return text;
    text += decoder.decode(bytes, { stream: true });
  }
}
