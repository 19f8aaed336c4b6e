/** What is read of Services and EndpointSlices, and which place is named where one is wrong. */
import { expect, test } from "bun:test";
import { readSlice } from "./endpoint-slice.ts";
import { readServiceCidr } from "./service-cidr.ts";
import { readService } from "./service.ts";

const service = (spec: object, metadata: object = {}) => ({ metadata: { namespace: "shop", name: "web", ...metadata }, spec: { clusterIPs: ["10.96.0.10", "fd00::a"], ports: [{ port: 80 }], ...spec } });

test("a service with everything", () => {
  const read = readService({
    ...service({
      type: "LoadBalancer", externalTrafficPolicy: "Local", internalTrafficPolicy: "Local", healthCheckNodePort: 32_000, sessionAffinity: "ClientIP",
      ports: [{ name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 }], externalIPs: ["192.0.2.9"], loadBalancerSourceRanges: [" 198.51.100.7/24"],
    }),
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.1", ipMode: "VIP" }, { ip: "203.0.113.2", ipMode: "Proxy" }, { ip: "203.0.113.3" }, { hostname: "lb.example.com" }] } },
  });
  expect([read.clusterIps, read.externalIps, read.loadBalancerIps, read.sourceRanges].map((all) => all.map(String))).toEqual([["10.96.0.10", "fd00::a"], ["192.0.2.9"], ["203.0.113.1", "203.0.113.3"], ["198.51.100.0/24"]]);
  expect(read).toMatchObject({ namespace: "shop", name: "web", ports: [{ name: "dns", protocol: "udp", port: 53, nodePort: 30_053 }], affinitySeconds: 10_800, isInternalLocal: true, isExternalLocal: true, healthCheckPort: 32_000 });
});

test("headless ones, names of others, and those of another proxy have no address", () => {
  for (const [spec, metadata] of [[{ clusterIP: "None", clusterIPs: ["None"] }], [{ type: "ExternalName" }], [{}, { labels: { "service.kubernetes.io/service-proxy-name": "other" } }], [{}, { labels: { "service.kubernetes.io/headless": "" } }]] as const) {
    expect(readService(service(spec, metadata)).clusterIps).toEqual([]);
  }
});

test("of a slice the first address counts, and what is not said is ready", () => {
  const slice = { addressType: "IPv4", metadata: { namespace: "shop", name: "web-1", labels: { "kubernetes.io/service-name": "web" } }, ports: [{ name: "", port: 8080 }] };
  const [endpoint] = readSlice({ ...slice, endpoints: [{ addresses: ["10.1.1.1", "10.1.1.2"], hints: { forZones: [{ name: "a" }] } }] }).endpoints;
  expect({ ...endpoint, ip: String(endpoint?.ip) }).toEqual({ ip: "10.1.1.1", node: "", pod: "", isReady: true, isServing: true, isTerminating: false, forZones: ["a"] });
  expect(readSlice({ ...slice, addressType: "FQDN", endpoints: [{ addresses: ["example.com"] }] })).toMatchObject({ service: "", endpoints: [] });
});

test("the place that is wrong is named", () => {
  const slice = (endpoint: object) => ({ addressType: "IPv4", metadata: { name: "s", labels: { "kubernetes.io/service-name": "web" } }, endpoints: [{ addresses: ["10.1.1.1"] }, endpoint] });
  expect(() => readService(service({ ports: [{ port: 80 }, { port: 70_000 }] }))).toThrow("spec.ports[1].port");
  expect(() => readService(service({ clusterIPs: ["10.96.0"] }))).toThrow("clusterIPs[0]");
  expect(() => readService(service({ externalTrafficPolicy: "Near" }))).toThrow("spec.externalTrafficPolicy");
  expect(() => readSlice(slice({ addresses: ["fd00::1"] }))).toThrow("endpoints[1].addresses[0]");
  expect(() => readSlice(slice({ addresses: ["10.1.1.2"], conditions: { ready: "yes" } }))).toThrow("endpoints[1].conditions.ready");
  expect(() => readServiceCidr({ metadata: { name: "x" }, spec: { cidrs: ["10.96.0.0/16", "x"] } })).toThrow("spec.cidrs[1]");
});
