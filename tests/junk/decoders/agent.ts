/** What the agent reads: manifests, Nodes, a kubeconfig, ip-masq-agent's file, and what it is asked. */
import { isObject } from "@vethwork/cni";
import { parseMasqueradeFile } from "@vethwork/agent/masquerade-file.ts";
import { readSlice } from "@vethwork/agent/readers/endpoint-slice.ts";
import { readNode } from "@vethwork/agent/readers/node.ts";
import { readServiceCidr } from "@vethwork/agent/readers/service-cidr.ts";
import { readService } from "@vethwork/agent/readers/service.ts";
import { endpointIn, targetIn } from "@vethwork/agent/server.ts";
import { chainIn } from "@vethwork/agent/services/mirror.ts";
import { documentsIn } from "@vethwork/agent/sources/documents.ts";
import { identityIn } from "@vethwork/agent/sources/kubeconfig.ts";
import { nodeObject } from "../../../packages/agent/testing/nodes.ts";
import type { Decoder } from "../trial.ts";
import { ofJson, ofText } from "./stock.ts";

const node = nodeObject({ name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podCIDRs: ["10.244.1.0/24", "fd00:0:0:1::/64"], conditions: [{ type: "NetworkUnavailable", status: "True" }] });
const service = {
  metadata: { namespace: "shop", name: "web", labels: {}, annotations: {} },
  spec: {
    type: "LoadBalancer", clusterIPs: ["10.96.0.10", "fd00::a"], externalTrafficPolicy: "Local", internalTrafficPolicy: "Cluster", healthCheckNodePort: 32_000, sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }, ports: [{ name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 }], externalIPs: ["192.0.2.9"], loadBalancerSourceRanges: [" 198.51.100.7/24"],
  },
  status: { loadBalancer: { ingress: [{ ip: "203.0.113.1", ipMode: "VIP" }, { hostname: "lb.example.com" }] } },
};
const slice = {
  addressType: "IPv4", metadata: { namespace: "shop", name: "web-1", labels: { "kubernetes.io/service-name": "web" } }, ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  endpoints: [{ addresses: ["10.1.1.1"], nodeName: "node-1", targetRef: { kind: "Pod", name: "web-1" }, conditions: { ready: true, serving: true, terminating: false }, hints: { forZones: [{ name: "a" }] } }],
};
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
  ofJson("agent: Service", [service], (value) => (isObject(value) ? readService(value) : undefined), { throws: [RangeError], words: ["None", "ExternalName", "ClusterIP", "SCTP"] }),
  ofJson("agent: EndpointSlice", [slice], (value) => (isObject(value) ? readSlice(value) : undefined), { throws: [RangeError], words: ["IPv6", "FQDN", "fd00::1"] }),
  ofJson("agent: ServiceCIDR", [{ metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/16", "fd00::/108"] } }], (value) => (isObject(value) ? readServiceCidr(value) : undefined), { throws: [RangeError], words: ["0.0.0.0/0"] }),
  ofText("agent: a verdict", ["goto inside4-3 (default/web:http ClusterIP)", "jump remember4-60s"], chainIn, { throws: [] }),
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
