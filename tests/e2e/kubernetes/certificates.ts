/**
 * Who is who in the cluster: one authority, and a certificate for each who speaks. Kubernetes takes a client's name from
 * its certificate: the common name is the user, the organisation is the group, and what a user may do is written for these
 * names in the roles that the API server brings along.
 *
 *     CN=system:node:node-1, O=system:nodes     a kubelet: its own node, and the pods that were given to it
 *     CN=system:kube-scheduler                  binds pods to nodes
 *     CN=admin, O=system:masters                everything
 *
 * Servers have one as well, with the addresses that they are called by, so that nobody has to trust the wire. The keys are
 * made anew for each cluster, lie in the folder of its control node, and go with it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, succeeded } from "../../conformance/node/node.ts";

export interface Identity {
  certificate: string;
  key: string;
}

export interface Authority {
  /** The authority's own certificate: whom all trust. */
  certificate: string;
  /** The key pair by which pods' tokens are signed. */
  tokens: Identity;
  /** A certificate for a user, which is also good for a server with these names (`IP:192.0.2.1`, `DNS:kubernetes`). */
  issue(user: string, options?: { group?: string; names?: readonly string[] }): Promise<Identity>;
  /** The file by which a client finds the server and shows who it is; JSON, which is YAML. */
  kubeconfig(user: string, identity: Identity, server: string): string;
}

const elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];

/** Makes an authority whose files are in a folder of its own. */
export async function createAuthority(folder: string): Promise<Authority> {
  mkdirSync(folder);
  const request = async (name: string, argv: readonly string[]): Promise<Identity> => {
    const identity = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
    const line = ["openssl", "req", "-x509", ...elliptic, "-out", identity.certificate, "-keyout", identity.key, ...argv];
    succeeded(line, await command(line));
    return identity;
  };
  const ca = await request("ca", ["-subj", "/CN=vethwork-e2e"]);
  const tokens = await request("tokens", ["-subj", "/CN=tokens"]);
  return {
    certificate: ca.certificate,
    tokens,
    issue: (user, { group, names = [] } = {}) => {
      const subject = `${group === undefined ? "" : `/O=${group}`}/CN=${user}`;
      const both = ["-addext", "extendedKeyUsage=clientAuth,serverAuth", "-addext", "basicConstraints=critical,CA:FALSE"];
      const called = names.length === 0 ? [] : ["-addext", `subjectAltName=${names.join(",")}`];
      return request(user.replaceAll(":", "-"), ["-subj", subject, "-CA", ca.certificate, "-CAkey", ca.key, ...both, ...called]);
    },
    kubeconfig: (user, { certificate, key }, server) => {
      const path = join(folder, `${user.replaceAll(":", "-")}.kubeconfig`);
      writeFileSync(path, JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "e2e", cluster: { server, "certificate-authority": ca.certificate } }],
        users: [{ name: user, user: { "client-certificate": certificate, "client-key": key } }],
        contexts: [{ name: "e2e", context: { cluster: "e2e", user } }],
        "current-context": "e2e",
      }, undefined, 2));
      return path;
    },
  };
}
