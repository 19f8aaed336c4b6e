/**
 * Ports that the reference's portmap mapped by nftables, with packets. What either makes by iptables, and who takes away what,
 * is in the differential table.
 */
import { expect, test } from "bun:test";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { heardFrom } from "../testing/calls.ts";
import { connectPod, type PortMapping } from "../testing/port-chain.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { onStage, stageLacks } from "../testing/stage.ts";

const lacks = stageLacks || referenceLacks || missing({ programs: ["conntrack"] });
const tcp = (hostPort: number, more: Partial<PortMapping> = {}): PortMapping => ({ hostPort, containerPort: 80, protocol: "tcp", ...more });
/** The newest; Debian's own has no nftables. */
const theirs = `${referenceFolders[0] ?? ""}/portmap`;

test.skipIf(lacks !== "")(skipped("nftables: ours checks and takes away what the reference made, flows and all, and leaves another container's", lacks), () => onStage(async (stage) => {
  const ports = [tcp(8080), tcp(8053, { protocol: "udp", containerPort: 53 }), tcp(8081, { hostIP: "192.0.2.1" }), tcp(8082, { protocol: "sctp", hostIP: "::" })];
  const one = await connectPod(stage, { name: "pod1", options: { backend: "nftables" }, ports });
  const two = await connectPod(stage, { name: "pod2", options: { backend: "nftables" }, ports: [tcp(9000)] });
  for (const pod of [one, two]) expect((await pod.portmap("ADD", {}, { program: theirs })).code).toBe(0);
  expect(heardFrom(stage, { from: "world", to: "pod1", protocol: "udp", address: "192.0.2.1", port: 8053, listening: 53 })).toBe("192.0.2.254");
  for (const pod of [one, two]) expect(await pod.portmap("CHECK")).toMatchObject({ code: 0, out: "", err: "" });
  expect((await one.portmap("CHECK", { runtimeConfig: { portMappings: [tcp(8088)] } })).result).toMatchObject({ code: 100, msg: expect.stringContaining("host port 8088/tcp leads nowhere") });

  expect(await one.portmap("DEL", { runtimeConfig: {}, prevResult: undefined })).toMatchObject({ code: 0, out: "", err: "" });
  expect(await stage.node.run(["sh", "-c", "nft list ruleset; conntrack -L -p udp --orig-port-dst 8053"])).not.toMatch(/pod1|8053/);
  expect(await two.portmap("CHECK")).toMatchObject({ code: 0, out: "", err: "" });
  expect(heardFrom(stage, { from: "world", to: "pod2", protocol: "tcp", address: "192.0.2.1", port: 9000, listening: 80 })).toBe("192.0.2.254");
  expect(await two.portmap("DEL")).toMatchObject({ code: 0, out: "", err: "" });
  expect(await stage.node.run(["nft", "list", "tables"])).toBe("");
}), 60_000);
