/**
 * Who we are to an API server, and where it is: from a kubeconfig, or from the files that the kubelet puts into a pod.
 *
 *     kubeconfig     current-context ──▶ cluster (server, authority) and user (certificate, token, or a program that gives them)
 *     in a pod       KUBERNETES_SERVICE_HOST and …/serviceaccount/{ca.crt,token}, which the kubelet renews
 *
 * How a kubeconfig is spelt, and who a program or a token's file says we are, is the official client's. Its KubeConfig as a whole is
 * not taken: it brings a class for each kind of object along, 12 MiB in memory (docs/decisions/0131).
 */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { RequestOptions } from "node:https";
import type { Authenticator } from "@kubernetes/client-node/dist/auth.js";
import { newClusters, newContexts, newUsers, type Cluster, type User } from "@kubernetes/client-node/dist/config_types.js";
import { ExecAuth } from "@kubernetes/client-node/dist/exec_auth.js";
import { FileAuth } from "@kubernetes/client-node/dist/file_auth.js";
import { isObject, kindOf } from "@vethwork/cni";
import { load } from "js-yaml";

export interface Identity {
  server: string;
  /** For each request anew: files and tokens are renewed. */
  credentials(): Promise<Credentials>;
}

export interface Credentials {
  headers: Record<string, string>;
  tls: Bun.TLSOptions;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** RangeError where the file names no cluster or no user. */
export function identityFromFile(path: string): Identity {
  const value = load(readFileSync(path, "utf8"));
  if (!isObject(value)) throw new RangeError(`"${path}" is ${kindOf(value)} (a kubeconfig is wanted)`);
  const context = newContexts(value["contexts"]).find(({ name }) => name === value["current-context"]);
  if (!context) throw new RangeError(`"${path}" has no context "${String(value["current-context"] ?? "")}", which its current-context is`);
  const cluster = newClusters(value["clusters"]).find(({ name }) => name === context.cluster);
  const user = newUsers(value["users"]).find(({ name }) => name === context.user);
  if (!cluster || !user) throw new RangeError(`"${path}" has no ${cluster ? `user "${context.user}"` : `cluster "${context.cluster}"`}, which its context "${context.name}" names`);
  return identityOf(cluster, user, dirname(path));
}

/** RangeError where this is no pod. `server` is asked instead of the Service, which may need us first. */
export function identityFromPod(server: string | undefined, folder = SERVICE_ACCOUNT): Identity {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = process.env;
  if (host === undefined && server === undefined) throw new RangeError("there is no KUBERNETES_SERVICE_HOST, so this is no pod of a cluster (--kubeconfig is wanted)");
  const address = server ?? `https://${host?.includes(":") ? `[${host}]` : host}:${port}`;
  const user = { name: "pod", authProvider: { name: "tokenFile", config: { tokenFile: join(folder, "token") } } };
  return identityOf({ name: "pod", server: address, caFile: join(folder, "ca.crt"), skipTLSVerify: false }, user, folder);
}

function identityOf(cluster: Cluster, user: User, folder: string): Identity {
  const authenticators: Authenticator[] = [new ExecAuth(), new FileAuth()];
  const bytes = (file: string | undefined, data: string | undefined): Buffer | undefined =>
    (file ? readFileSync(isAbsolute(file) ? file : join(folder, file)) : data ? Buffer.from(data, "base64") : undefined);
  return {
    server: cluster.server.replace(/\/+$/, ""),
    credentials: async () => {
      const options: RequestOptions = { headers: user.token ? { Authorization: `Bearer ${user.token}` } : {} };
      const [ca, cert, key] = [bytes(cluster.caFile, cluster.caData), bytes(user.certFile, user.certData), bytes(user.keyFile, user.keyData)];
      await authenticators.find((one) => one.isAuthProvider(user))?.applyAuthentication(user, options);
      return {
        headers: headersOf(options.headers),
        tls: {
          ...(ca && { ca }), ...textOr(options.cert, cert, "cert"), ...textOr(options.key, key, "key"),
          ...(cluster.skipTLSVerify && { rejectUnauthorized: false }),
          ...(cluster.tlsServerName && { serverName: cluster.tlsServerName }),
        },
      };
    },
  };
}

/** What a program gave comes before what the file says. */
function textOr(given: unknown, own: Buffer | undefined, name: "cert" | "key"): Bun.TLSOptions {
  const value = typeof given === "string" ? given : own;
  return value === undefined ? {} : { [name]: value };
}

function headersOf(headers: RequestOptions["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).flatMap(([name, value]) => (typeof value === "string" ? [[name, value.trim()]] : [])));
}
