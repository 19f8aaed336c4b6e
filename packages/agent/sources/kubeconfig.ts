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
import { newClusters, newContexts, newUsers, type Cluster, type Context, type User } from "@kubernetes/client-node/dist/config_types.js";
import { ExecAuth } from "@kubernetes/client-node/dist/exec_auth.js";
import { FileAuth } from "@kubernetes/client-node/dist/file_auth.js";
import { isObject, kindOf, messageOf, type JsonObject } from "@vethwork/cni";
import { YAMLException, load } from "js-yaml";

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
export const identityFromFile = (path: string): Identity => identityIn(readFileSync(path, "utf8"), path);

/** The same of a file's text. */
export function identityIn(text: string, path: string): Identity {
  const value = valueIn(text, path);
  if (!isObject(value)) throw new RangeError(`"${path}" is ${kindOf(value)} (a kubeconfig is wanted)`);
  const { contexts, clusters, users } = listsIn(value, path);
  const context = contexts.find(({ name }) => name === value["current-context"]);
  if (!context) throw new RangeError(`"${path}" has no context "${String(value["current-context"] ?? "")}", which its current-context is`);
  const cluster = clusters.find(({ name }) => name === context.cluster);
  const user = users.find(({ name }) => name === context.user);
  if (!cluster || !user) throw new RangeError(`"${path}" has no ${cluster ? `user "${context.user}"` : `cluster "${context.cluster}"`}, which its context "${context.name}" names`);
  return identityOf(cluster, user, dirname(path));
}

/** The client says in its own words what an entry lacks; of a value that is of another kind than it thinks it knows nothing. */
function listsIn(value: JsonObject, path: string): { contexts: Context[]; clusters: Cluster[]; users: User[] } {
  const listAt = (key: string): JsonObject[] => {
    const list = value[key] ?? [];
    if (!Array.isArray(list)) throw new RangeError(`"${path}" has as ${key} ${kindOf(list)} (a list is wanted)`);
    return list.map((entry: unknown, at) => {
      if (isObject(entry)) return entry;
      throw new RangeError(`"${path}" has as ${key}[${at}] ${kindOf(entry)} (an object is wanted)`);
    });
  };
  const [contexts, clusters, users] = [listAt("contexts"), listAt("clusters"), listAt("users")];
  for (const { name, cluster } of clusters) {
    const server = isObject(cluster) ? cluster["server"] : undefined;
    if (server !== undefined && typeof server !== "string") throw new RangeError(`"${path}" has as server of cluster "${String(name)}" ${kindOf(server)} (text is wanted)`);
  }
  try {
    return { contexts: newContexts(contexts), clusters: newClusters(clusters), users: newUsers(users) };
  } catch (error) {
    throw new RangeError(`"${path}" is no kubeconfig: ${messageOf(error)}`, { cause: error });
  }
}

function valueIn(text: string, path: string): unknown {
  try {
    return load(text);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    throw new RangeError(`"${path}" does not read: line ${(error.mark?.line ?? 0) + 1}: ${error.reason}`, { cause: error });
  }
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
