/**
 * The way to an API server: where it is, by which authority it is known, and who we are.
 *
 *     in a pod      KUBERNETES_SERVICE_HOST, and the service account's files (token and authority), which the kubelet renews
 *     elsewhere     a kubeconfig, as kubectl has it: certificates, tokens, programs that give them
 *
 * Finding all that is the official client's (its KubeConfig, and nothing else of it). Sending is the runtime's own fetch: the
 * client's goes by undici's dispatchers, which this runtime does not obey, so its certificates would not be used.
 */
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { isObject } from "@vethwork/cni";
import type { RequestOptions } from "node:https";

/** The server said no; `status` is HTTP's. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Seconds that the server wants to be left alone, 0 where it does not say. */
  readonly retryAfter: number;

  constructor(message: string, { status, retryAfter = 0 }: { status: number; retryAfter?: number }) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export interface AccessOptions {
  /** Path of a kubeconfig; without one the service account of the pod that this runs in. */
  kubeconfig?: string | undefined;
  /** Address of the API server, instead of what that says: `https://192.0.2.10:6443`. */
  server?: string | undefined;
}

export interface ApiRequest {
  method?: "GET" | "PATCH";
  /** With a body. */
  contentType?: string;
  body?: string;
  signal: AbortSignal;
}

export interface Access {
  /** What is asked; "" until it is known. */
  server(): string;
  /** Asks; ApiError where the answer is no. */
  request(path: string, request: ApiRequest): Promise<Response>;
}

export function createAccess({ kubeconfig, server }: AccessOptions): Access {
  let config: KubeConfig | undefined;
  let asked = server ?? "";
  // Loaded when first asked for: half of the time that the agent takes to start, and nothing for one that reads a folder.
  const load = async (): Promise<KubeConfig> => {
    const { KubeConfig } = await import("@kubernetes/client-node/dist/config.js");
    const loaded = new KubeConfig();
    if (kubeconfig !== undefined) loaded.loadFromFile(kubeconfig);
    else if (process.env["KUBERNETES_SERVICE_HOST"] || server !== undefined) loaded.loadFromCluster();
    else throw new RangeError("there is no KUBERNETES_SERVICE_HOST, so this is no pod of a cluster (a kubeconfig is wanted)");
    const found = loaded.getCurrentCluster()?.server;
    if (found === undefined) throw new RangeError(`"${kubeconfig}" names no cluster (its current-context is wanted)`);
    asked = (server ?? found).replace(/\/+$/, "");
    return loaded;
  };
  return {
    server: () => asked,
    request: async (path, { method = "GET", contentType, body, signal }) => {
      config ??= await load();
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options); // files are read again: they may have been renewed
      const response = await fetch(`${asked}${path}`, {
        method, signal,
        headers: { ...headersOf(options.headers), accept: "application/json", "user-agent": "vethwork-agent", ...(contentType && { "content-type": contentType }) },
        tls: tlsOf(options),
        ...(body !== undefined && { body }),
      });
      if (response.ok) return response;
      if (response.status === 401) config = undefined; // who we are may stand elsewhere in the file by now
      throw await refusalOf(response);
    },
  };
}

function headersOf(headers: RequestOptions["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])));
}

function tlsOf({ ca, cert, key, rejectUnauthorized, servername }: RequestOptions): Bun.TLSOptions {
  return {
    ...(isText(ca) && { ca }),
    ...(isText(cert) && { cert }),
    ...(isText(key) && { key }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    ...(servername !== undefined && { serverName: servername }),
  };
}

const isText = (value: unknown): value is string | Buffer => typeof value === "string" || Buffer.isBuffer(value);

/** A refusal is a Status object that says why; what stands between us and the server may say something else. */
async function refusalOf(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after") ?? 0) || 0;
  const text = (await response.text()).slice(0, 10_000);
  return new ApiError(`HTTP ${response.status}: ${messageIn(text) || response.statusText}`, { status: response.status, retryAfter });
}

function messageIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? String(value["message"] ?? "") : "";
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text.trim().split("\n")[0]?.slice(0, 200) ?? "";
  }
}
