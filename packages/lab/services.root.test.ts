/** Services of a lab: a pod and the world reach them, and what is no Service is refused. */
import { expect } from "bun:test";
import { openSocket, parseIp } from "@vethwork/linux";
import { until } from "../../tests/conformance/node/until.ts";
import { openNetwork, outputOf } from "./machine.ts";
import { applyServices } from "./services.ts";
import { labTest } from "./testing/labtest.ts";

const web = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { node: node-2 }
  ports: [{ port: 80, targetPort: 8080, nodePort: 30080, protocol: UDP }]
`;

labTest("a pod and the world reach a Service, whose pods are those that it selects", { nodes: 2, pods: 2, families: [4, 6] }, async (lab) => {
  const [one] = lab.nodes;
  if (!one) return expect.unreachable();
  expect(await applyServices(lab, web)).toEqual(["web"]);
  const seen = () => outputOf(one.machine, ["sh", "-c", "vethwork service web || true"]);
  expect(await until(async () => (await seen()).includes("10.244.2.2 8080"))).toBe(true);
  expect(await seen()).toContain("default/web  ClusterIP  fd00:10:96::a udp 80  0 connections");
  using server = openNetwork(lab.nodes[1]?.machine ?? one.machine, "pod-2");
  for (const [machine, pod, to, port] of [[one.machine, "pod-1", "10.96.0.10", 80], [one.machine, "pod-1", "fd00:10:96::a", 80], [lab.world, undefined, "192.168.50.11", 30_080]] as const) {
    using client = openNetwork(machine, pod);
    const ip = parseIp(to);
    using listening = openSocket(server, { kind: "udp", family: ip.family });
    listening.bind(parseIp(ip.family === 4 ? "10.244.2.2" : "fd00:10:244:2::2"), 8080);
    using asking = openSocket(client, { kind: "udp", family: ip.family });
    asking.connect({ ip, port });
    asking.send(new Uint8Array(1));
    expect(listening.wait("in", 5000)).toBe(true);
    expect(String(listening.receive().from.ip)).toBe(pod ? (ip.family === 4 ? "10.244.1.2" : "fd00:10:244:1::2") : "192.168.50.11");
  }
  await expect(applyServices(lab, "kind: Pod\nmetadata: { name: x }")).rejects.toThrow("line 1: it is no Service with a name");
  expect(await applyServices(lab, web.replaceAll("web", "other"))).toEqual(["web", "other"]);
  expect(await until(async () => (await outputOf(one.machine, ["vethwork", "service"])).includes("10.96.0.11 udp 80"))).toBe(true);
});
