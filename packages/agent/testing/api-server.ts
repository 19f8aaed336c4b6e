/**
 * A server that speaks Kubernetes' list, watch and patch of nodes, with TLS and certificates, and that can be as bad as a real one:
 * away, slow, forgetful, cut off in the middle of a line. What the real one does is tests/e2e's business.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority, type Authority } from "../../../tests/e2e/kubernetes/certificates.ts";

interface NodeObject {
  metadata: { name: string };
  spec?: object;
}

interface Watcher {
  send(text: string): void;
  end(how: "orderly" | "cut"): void;
}

export interface ApiServer extends AsyncDisposable {
  url: string;
  authority: Authority;
  folder: string;
  /** A kubeconfig of somebody with a certificate. */
  kubeconfig: string;
  put(...objects: readonly NodeObject[]): void;
  delete(name: string): void;
  /** Only a version, as it comes every minute. */
  bookmark(): void;
  /** Ends all watches that there are, cut in the middle of a line, and gives how many. */
  end(how: "orderly" | "cut"): number;
  /** Sends text as it is to all who watch. */
  say(text: string): void;
  /** All versions so far are too old. Who watches is told in the stream; who comes later is refused. */
  forget(): void;
  /** Answers the next requests with this instead; "hang" is no answer at all. */
  refuse(...answers: readonly ("hang" | { status: number; body: string })[]): void;
  /** Not there any more, and there again at the same address. */
  stop(): Promise<void>;
  start(): void;
  watchers(): number;
  /** `GET /api/v1/nodes?…` and so on, with who asked: a certificate's or a token's. */
  asked: string[];
  patches: { path: string; contentType: string; body: unknown }[];
}

export async function startApiServer({ token }: { token?: string } = {}): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "api-"));
  const authority = await createAuthority(join(folder, "keys"));
  const own = await authority.issue("kube-apiserver", { names: ["IP:127.0.0.1", "DNS:localhost"] });
  const client = await authority.issue("agent");
  const objects = new Map<string, NodeObject>();
  const watchers = new Set<Watcher>();
  const history: { version: number; event: object }[] = [];
  const refusals: ("hang" | { status: number; body: string })[] = [];
  const asked: string[] = [];
  const patches: ApiServer["patches"] = [];
  let version = 100;
  let floor = 0;
  let port = 0;
  let server: Bun.Server<undefined> | undefined;

  const happen = (type: string, object: NodeObject): void => {
    version += 1;
    const event = { type, object: { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } } };
    history.push({ version, event });
    for (const watcher of watchers) watcher.send(lineOf(event));
  };

  const list = (query: URLSearchParams): Response => {
    const all = [...objects.values()];
    const from = Number(query.get("continue") ?? 0);
    const to = from + Number(query.get("limit") ?? all.length);
    const metadata = { resourceVersion: String(version), ...(to < all.length && { continue: String(to) }) };
    return Response.json({ kind: "NodeList", apiVersion: "v1", metadata, items: all.slice(from, to) });
  };

  const watch = (query: URLSearchParams): Response => {
    const from = Number(query.get("resourceVersion"));
    if (from < floor) return Response.json({ kind: "Status", code: 410, message: "too old resource version" }, { status: 410 });
    let watcher: Watcher | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const text = (words: string): void => controller.enqueue(new TextEncoder().encode(words));
        const end = (how: "orderly" | "cut"): void => {
          if (how === "cut") text('{"type":"ADDED","object":{"kind":"No');
          controller.close();
        };
        watcher = { send: text, end };
        watchers.add(watcher);
        text("\n"); // the head of the answer goes out with it
        for (const past of history) if (past.version > from) watcher.send(lineOf(past.event));
      },
      cancel: () => void (watcher && watchers.delete(watcher)),
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  };

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    asked.push(`${request.method} ${url.pathname}${url.search} ${request.headers.get("authorization") ?? ""}`.trim());
    const refusal = refusals.shift();
    if (refusal === "hang") return new Promise(() => {});
    if (refusal) return new Response(refusal.body, { status: refusal.status, headers: { "retry-after": "0" } });
    if (token !== undefined && request.headers.get("authorization") !== `Bearer ${token}`) return Response.json({ kind: "Status", message: "Unauthorized" }, { status: 401 });
    if (request.method === "PATCH") {
      patches.push({ path: url.pathname, contentType: request.headers.get("content-type") ?? "", body: await request.json() });
      return Response.json({});
    }
    return url.searchParams.get("watch") === "1" ? watch(url.searchParams) : list(url.searchParams);
  };

  const end = (how: "orderly" | "cut"): number => {
    const all = [...watchers];
    watchers.clear();
    for (const watcher of all) watcher.end(how);
    return all.length;
  };

  const start = (): void => {
    const tls = { cert: Bun.file(own.certificate), key: Bun.file(own.key), ca: Bun.file(authority.certificate), requestCert: token === undefined, rejectUnauthorized: token === undefined };
    server = Bun.serve({ port, hostname: "127.0.0.1", idleTimeout: 0, tls, fetch: answer });
    port = server.port ?? 0;
  };
  const stop = async (): Promise<void> => {
    watchers.clear();
    await server?.stop(true);
  };
  start();
  const url = `https://127.0.0.1:${port}`;
  return {
    url, authority, folder, asked, patches, start, stop, end,
    kubeconfig: authority.kubeconfig("agent", client, url),
    put: (...some) => some.forEach((object) => {
      const { name } = object.metadata;
      happen(objects.has(name) ? "MODIFIED" : "ADDED", object);
      objects.set(name, object);
    }),
    delete: (name) => {
      const object = objects.get(name);
      if (!object) throw new RangeError(`there is no ${name}`);
      objects.delete(name);
      happen("DELETED", object);
    },
    bookmark: () => {
      version += 1;
      for (const watcher of watchers) watcher.send(lineOf({ type: "BOOKMARK", object: { kind: "Node", metadata: { resourceVersion: String(version) } } }));
    },
    say: (text) => watchers.forEach((watcher) => watcher.send(text)),
    forget: () => {
      version += 1;
      floor = version;
      history.length = 0;
      for (const watcher of watchers) watcher.send(lineOf({ type: "ERROR", object: { kind: "Status", code: 410, message: "too old resource version" } }));
      end("orderly");
    },
    refuse: (...answers) => void refusals.push(...answers),
    watchers: () => watchers.size,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true });
    },
  };
}

const lineOf = (event: object): string => `${JSON.stringify(event)}\n`;
