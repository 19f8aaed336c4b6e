/**
 * How the agent is asked how it is: by a socket that only root may use, and by an address for those who look after nodes.
 *
 *     /run/vethwork/.agent/socket    /status                                       vethwork status
 *     127.0.0.1:10118                /healthz  /readyz  /metrics  and no more      the kubelet, Prometheus
 *
 * Both speak HTTP. What is told by the socket says who is where in the cluster, and is root's: its folder and its file are, and
 * whoever connects is asked of the kernel. 10118 is below the ports of NodePorts and of connections that go out (30000 and 32768),
 * and free of those that Kubernetes and other networks use; 118 is the number of our routes.
 */
import { chmodSync } from "node:fs";
import { STATUS_CODES } from "node:http";
import { deleteFile, ensureFolder, folderOf, peerOf } from "@vethwork/linux";
import type { Log } from "@vethwork/plugins/shared/log.ts";

export const DEFAULT_LISTEN = "127.0.0.1:10118";

export interface Page {
  status: number;
  type: "text/plain; charset=utf-8" | "text/plain; version=0.0.4; charset=utf-8" | "application/json";
  body: string;
  headers?: Readonly<Record<string, string>>;
}

/** What there is at a path; undefined where there is nothing. */
export type Pages = (path: string) => Page | undefined;

const NOTHING: Page = { status: 404, type: "text/plain; charset=utf-8", body: "there is nothing here\n" };
const LONGEST_HEAD = 8 * 1024;

/** Serves at `host:port`, or `[host]:port` of IPv6. RangeError where it is no such thing. */
export function servePublic(listen: string, pages: Pages): Disposable {
  const { hostname, port } = endpointIn(listen);
  const server = Bun.serve({
    hostname, port,
    fetch: (request) => {
      const { status, type, body, headers } = pages(new URL(request.url).pathname) ?? NOTHING;
      return new Response(body, { status, headers: { ...headers, "content-type": type } });
    },
  });
  return { [Symbol.dispose]: () => void server.stop(true) };
}

export function endpointIn(text: string): { hostname: string; port: number } {
  const [, six, four, digits = ""] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const hostname = six ?? four;
  if (hostname === undefined || Number(digits) > 65_535) throw new RangeError(`"${text}" is no address to listen at (127.0.0.1:10118, [::1]:10118 or 0.0.0.0:10118 is wanted)`);
  return { hostname, port: Number(digits) };
}

/** Serves root by a socket that is a file. Whoever has the agent's lock may take away a file that was left. */
export function servePrivate(path: string, pages: Pages, log: Log): Disposable {
  ensureFolder(folderOf(path));
  chmodSync(folderOf(path), 0o700);
  deleteFile(path);
  const listener = Bun.listen<Guest>({
    unix: path,
    socket: {
      open: (socket) => {
        socket.data = { head: "", rest: undefined };
        const { uid, pid } = "fd" in socket && typeof socket.fd === "number" ? peerOf(socket.fd) : { uid: -1, pid: 0 };
        if (uid === 0) return;
        log("warning", "only root may ask", { user: uid, process: pid });
        socket.terminate();
      },
      data: (socket, bytes) => {
        const guest = socket.data;
        guest.head += new TextDecoder().decode(bytes);
        if (guest.rest !== undefined || (!guest.head.includes("\r\n\r\n") && guest.head.length <= LONGEST_HEAD)) return;
        guest.rest = answerOf(pages(targetIn(guest.head)) ?? NOTHING);
        goOn(socket);
      },
      drain: goOn,
      error: (_socket, error) => log("debug", "whoever asked is gone", { why: error.message }),
    },
  });
  chmodSync(path, 0o600);
  return {
    [Symbol.dispose]: () => {
      listener.stop(true);
      deleteFile(path);
    },
  };
}

/** The path that a request's head asks for; "" where it is no request that is answered. */
export function targetIn(head: string): string {
  return /^GET (\/[^ ?]*)[^\r\n]* HTTP\/1\.[01]\r\n/.exec(head)?.[1] ?? "";
}

/** Who has connected: what he has said so far, and what he has yet to be told. */
interface Guest {
  head: string;
  rest: Uint8Array | undefined;
}

/** Writes what there is room for; the connection ends with the answer. */
function goOn(socket: Bun.Socket<Guest>): void {
  const { rest } = socket.data;
  if (rest === undefined) return;
  socket.data.rest = rest.subarray(Math.max(0, socket.write(rest)));
  if (socket.data.rest.length === 0) socket.end();
}

function answerOf({ status, type, body }: Page): Uint8Array {
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`, `content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`, "connection: close"];
  return new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body}`);
}
