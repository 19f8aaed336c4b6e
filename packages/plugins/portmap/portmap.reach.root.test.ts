/**
 * Who reaches a pod by a port of the node, from where, and whom the pod then sees.
 *
 *     world 192.0.2.254, 2001:db8::fe     node 192.0.2.1, 2001:db8::1, and 10.1.2.1, fd00:1:2::1 on cni0
 *                                         pod1 10.1.2.2, fd00:1:2::2     pod2 10.1.2.3, fd00:1:2::3
 */
import { expect, test } from "bun:test";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { heardFrom } from "../testing/calls.ts";
import { addPortPod, bridge } from "../testing/port-chain.ts";
import { onStage, stageLacks } from "../testing/stage.ts";

/** From where, which address is called, and whom the pod sees. */
const calls: readonly (readonly [from: string, address: string, seen: string])[] = [
  ["world", "192.0.2.1", "192.0.2.254"], ["world", "2001:db8::1", "2001:db8::fe"],
  ["node", "192.0.2.1", "192.0.2.1"], ["node", "2001:db8::1", "2001:db8::1"],
  ["node", "127.0.0.1", "10.1.2.1"], ["node", "127.1.2.3", "10.1.2.1"],
  ["node", "10.1.2.1", "10.1.2.1"], ["node", "fd00:1:2::1", "fd00:1:2::1"],
  ["pod2", "192.0.2.1", "10.1.2.1"], ["pod2", "10.1.2.1", "10.1.2.1"], ["pod2", "2001:db8::1", "fd00:1:2::1"], ["pod2", "fd00:1:2::1", "fd00:1:2::1"],
  ["pod1", "192.0.2.1", "10.1.2.1"], ["pod1", "10.1.2.1", "10.1.2.1"], ["pod1", "2001:db8::1", "fd00:1:2::1"], ["pod1", "fd00:1:2::1", "fd00:1:2::1"],
];
const protocols = ["tcp", "udp", "sctp"] as const;

/** Bridged packets pass the node's rules where br_netfilter is on, as Kubernetes wants it. Then a packet leaves a port that it came by in hairpin mode alone. */
const bridges = [{ backend: "nftables", filtered: 0 }, { backend: "nftables", filtered: 1 }, { backend: "iptables", filtered: 0 }, { backend: "iptables", filtered: 1 }] as const;

for (const { backend, filtered } of bridges) {
  const lacks = stageLacks || (backend === "iptables" ? missing({ programs: ["iptables", "ip6tables"] }) : "");
  const title = `by ${backend}, ${filtered ? "with" : "without"} br_netfilter: the world, the node, another pod and the pod itself reach it by TCP, UDP and SCTP, and it sees who calls, or the node where its answer would be lost`;
  test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(async (stage) => {
    await stage.node.exec(["sysctl", "-qw", `net.bridge.bridge-nf-call-iptables=${filtered}`, `net.bridge.bridge-nf-call-ip6tables=${filtered}`]);
    const main = { ...bridge, hairpinMode: filtered === 1 };
    const ports = protocols.map((protocol) => ({ hostPort: 8080, containerPort: 80, protocol }));
    await addPortPod(stage, { name: "pod1", main, options: { backend }, ports });
    await addPortPod(stage, { name: "pod2", main });
    for (const protocol of protocols) {
      const told = calls.map(([from, address]) => [from, address, heardFrom(stage, { from, to: "pod1", protocol, address, port: 8080, listening: 80 })]);
      expect({ protocol, told }).toEqual({ protocol, told: calls.map((row) => [...row]) });
      const elsewhere = heardFrom(stage, { from: "world", to: "pod1", protocol, address: "192.0.2.1", port: 8081, listening: 80 }, { expectsAnswer: false });
      expect({ protocol, elsewhere }).toEqual({ protocol, elsewhere: "" });
    }
  }), 60_000);
}
