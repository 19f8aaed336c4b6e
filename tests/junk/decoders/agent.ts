/** What the agent reads: manifests, Nodes, a kubeconfig, ip-masq-agent's file, and what it is asked. */
import { isObject } from "@vethwork/cni";
import { parseMasqueradeFile } from "@vethwork/agent/masquerade-file.ts";
import { readNode } from "@vethwork/agent/readers/node.ts";
import { endpointIn, targetIn } from "@vethwork/agent/server.ts";
import { documentsIn } from "@vethwork/agent/sources/documents.ts";
import { identityIn } from "@vethwork/agent/sources/kubeconfig.ts";
import { nodeObject } from "../../../packages/agent/testing/nodes.ts";
import type { Decoder } from "../trial.ts";
import { ofJson, ofText } from "./stock.ts";

const node = nodeObject({ name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podCIDRs: ["10.244.1.0/24", "fd00:0:0:1::/64"], conditions: [{ type: "NetworkUnavailable", status: "True" }] });
const yaml = `apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {a: b}}
spec:
  podCIDRs: [10.244.1.0/24]
---
# nothing
---
apiVersion: v1
kind: List
items:
- {kind: Node, metadata: {name: &a node-2}, spec: {podCIDR: "10.244.2.0/24"}, x: *a}
`;
const kubeconfig = `apiVersion: v1
kind: Config
current-context: c
contexts:
- {name: c, context: {cluster: k, user: u}}
clusters:
- {name: k, cluster: {server: "https://192.0.2.1:6443/", insecure-skip-tls-verify: true, certificate-authority-data: e30=}}
users:
- {name: u, user: {token: abc, exec: {command: x, args: [a], env: [{name: A, value: b}]}}}
`;
const words = ["---\n", "- ", "&a ", "*a", "<<: *a", "!!binary ", "!!js/function ", "%YAML 1.2\n", "? ", "|\n", "__proto__: ", "{", "["];

export const decoders: readonly Decoder[] = [
  ofText("agent: manifests", [yaml, JSON.stringify(node), JSON.stringify({ kind: "List", items: [node] })], (text) => {
    for (const document of documentsIn(text)) if ("value" in document && isObject(document.value)) readOrRefuse(document.value);
  }, { throws: [], words }),
  ofJson("agent: Node", [node], (value) => (isObject(value) ? readNode(value) : undefined), { throws: [RangeError], words: ["10.244.1.0/24", "InternalIP"] }),
  ofText("agent: kubeconfig", [kubeconfig], (text) => identityIn(text, "/etc/kubeconfig"), { throws: [RangeError], words: [...words, "contexts: ", "cluster: ", "users: ", "null"] }),
  ofText("agent: ip-masq-agent's file", ["nonMasqueradeCIDRs: [10.0.0.0/8]\nmasqLinkLocal: false\nresyncInterval: 60s\n", '{"nonMasqueradeCIDRs":["fd00::/8"],"masqLinkLocalIPv6":true}'], parseMasqueradeFile, { throws: [RangeError], words }),
  ofText("agent: what its socket is asked", ["GET /status HTTP/1.1\r\nhost: x\r\n\r\n", "GET /healthz?a HTTP/1.0\r\n\r\n"], targetIn, { throws: [], words: ["GET ", "HTTP/1.1", "\r\n\r\n", "%00", "http://"] }),
  ofText("agent: where to listen", ["127.0.0.1:10118", "[::1]:10118"], endpointIn, { throws: [RangeError] }),
];

/** An object's own faults are told with its line; see agent/sources/folder.ts. */
function readOrRefuse(value: Record<string, unknown>): void {
  try {
    readNode(value);
  } catch (error) {
    if (!(error instanceof RangeError) || !/ is |Cannot|wanted/.test(error.message)) throw error;
  }
}
