/**
 * Asking an API server (./kubeconfig.ts says which, and as whom).
 *
 * Sending is the runtime's own fetch. The official client sends by undici and gives certificates to undici's dispatchers, which this
 * runtime does not obey: it would speak without them.
 */
import { isObject } from "@vethwork/cni";
import { identityFromFile, identityFromPod, type Identity } from "./kubeconfig.ts";

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
  let identity: Identity | undefined;
  let asked = server ?? "";
  const identify = (): Identity => {
    const found = kubeconfig === undefined ? identityFromPod(server) : identityFromFile(kubeconfig);
    asked = server?.replace(/\/+$/, "") ?? found.server;
    return found;
  };
  return {
    server: () => asked,
    request: async (path, { method = "GET", contentType, body, signal }) => {
      identity ??= identify();
      const { headers, tls } = await identity.credentials();
      const response = await fetch(`${asked}${path}`, {
        method, signal, tls,
        headers: { ...headers, accept: "application/json", "user-agent": "vethwork-agent", ...(contentType && { "content-type": contentType }) },
        ...(body !== undefined && { body }),
      });
      if (response.ok) return response;
      if (response.status === 401) identity = undefined; // who we are may stand elsewhere in the file by now
      throw await refusalOf(response);
    },
  };
}

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
