/**
 * How the plugin and its daemon speak: JSON in lines, over the daemon's socket. The reference's pair speak Go's own way (gob), so
 * the plugin of one and the daemon of the other do not understand each other.
 *
 *     plugin ─▶ {"do":"add","wish":{…}}
 *               {"waitMs":213000}                        ◀─ daemon, at once: it is at work, and for how long at most
 *               {"lease":{…}}  or  {"error":{…}}         ◀─ daemon, when it is done
 *
 * The plugin waits with nothing else to do, and never for ever: a daemon that hangs is as good as none.
 */
import { CniError, ErrorCode, find, isObject, list, messageOf, object, parseJson, required, string, type JsonObject } from "@vethwork/cni";
import { KernelError, connectUnix, type UnixStream } from "@vethwork/linux";
import { parseOwner, parseWish, type Census, type Owner, type Wish } from "./lease.ts";

export const DEFAULT_SOCKET = "/run/cni/dhcp.sock";

/** What may be asked. `add` gives a lease, a new one or the one that there is; `show` only the latter. The others give nothing. */
export type Question =
  | { do: "add"; wish: Wish }
  | { do: "show" | "release"; owner: Owner }
  | ({ do: "collect" } & Census)
  | { do: "status" };

const kept = list(object({ containerId: [string, required, "The container."], ifname: [string, required, "Its interface."] }));

/** Reads a question. CniError 7 where it is none. */
export function questionFrom(line: string): Question {
  const json = lineIn(line);
  const asked = isObject(json) ? json : {};
  const verb = find(asked, "do");
  if (verb === "add") return { do: verb, wish: parseWish(find(asked, "wish")) };
  if (verb === "show" || verb === "release") return { do: verb, owner: parseOwner(find(asked, "owner")) };
  if (verb === "collect") return { do: verb, network: string.parse(find(asked, "network"), "network"), keep: kept.parse(find(asked, "keep"), "keep") };
  if (verb === "status") return { do: verb };
  throw new CniError(ErrorCode.INVALID_CONFIG, `the DHCP daemon does not understand ${JSON.stringify(verb)} (add, show, release, collect or status is wanted)`);
}

function lineIn(line: string): unknown {
  try {
    return parseJson(line);
  } catch (error) {
    throw new CniError(ErrorCode.INVALID_CONFIG, `the DHCP daemon was asked ${JSON.stringify(line.slice(0, 60))} (JSON is wanted)`, { cause: error });
  }
}

/** What came of it: what the daemon answered, or why there is no daemon to answer. */
export type Reply = { answer: JsonObject } | { away: CniError };

/** Within this time a daemon takes a question and says for how long it will be at work. */
const GREETING_MS = 10_000;
const SLACK_MS = 5_000;

/** Asks the daemon behind a socket. CniError is the daemon's own refusal. */
export function ask(path: string, question: Question, greetingMs = GREETING_MS): Reply {
  try {
    using stream = connectUnix(path, greetingMs);
    stream.send(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    const answer = answerFrom(stream, path, greetingMs);
    const error = find(answer, "error");
    if (isObject(error)) throw errorFrom(error);
    return { answer };
  } catch (error) {
    if (error instanceof KernelError || error instanceof RangeError || error instanceof SyntaxError) return { away: awayError(path, messageOf(error)) };
    throw error;
  }
}

/** The last line; lines that only say how long it may take are heeded. RangeError where it does not come. */
function answerFrom(stream: UnixStream, path: string, greetingMs: number): JsonObject {
  let deadline = performance.now() + greetingMs;
  let text = "";
  const decoder = new TextDecoder();
  for (;;) {
    const end = text.indexOf("\n");
    if (end < 0) {
      const bytes = stream.receive(deadline - performance.now());
      if (bytes === undefined) throw new RangeError(`"${path}" took the question and says nothing`);
      if (bytes.length === 0) throw new RangeError(`"${path}" took the question and hung up`);
      text += decoder.decode(bytes, { stream: true });
      continue;
    }
    const line = parseJson(text.slice(0, end));
    if (!isObject(line)) throw new RangeError(`"${path}" says ${JSON.stringify(line)} (an object is wanted)`);
    const waitMs = find(line, "waitMs");
    if (typeof waitMs !== "number") return line;
    deadline = performance.now() + waitMs + SLACK_MS;
    text = text.slice(end + 1);
  }
}

const awayError = (path: string, why: string): CniError =>
  new CniError(ErrorCode.TRY_AGAIN, `error dialing DHCP daemon: ${why}`, { details: `is "dhcp daemon" running, with the socket ${path}?` });

function errorFrom(error: JsonObject): CniError {
  const [code, msg, details] = [find(error, "code"), find(error, "msg"), find(error, "details")];
  return new CniError(typeof code === "number" ? code : ErrorCode.INTERNAL, String(msg), typeof details === "string" ? { details } : {});
}
