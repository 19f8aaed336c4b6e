/** What portmap's options, and several pods and networks beside each other, mean for real packets. The address plan is in ../testing/port-chain.ts. */
import { expect } from "bun:test";
import { openSocket, parseIp } from "@vethwork/linux";
import { heardFrom, netnsOf, type Call } from "../testing/calls.ts";
import { addPortPod, bridge, type PortMapping } from "../testing/port-chain.ts";
import { stageTest, type Stage } from "../testing/stage.ts";

const web = (hostIP?: string): PortMapping => ({ hostPort: 8080, containerPort: 80, protocol: "tcp", ...(hostIP !== undefined && { hostIP }) });
const ipam = (subnet: string) => ({ type: "host-local", ranges: [[{ subnet }]], routes: [{ dst: "0.0.0.0/0" }] });
/** Another network, with a bridge and a subnet of its own: its first pod is 10.3.0.2. */
const other = { network: "other", main: { ...bridge, bridge: "other0", ipam: ipam("10.3.0.0/24") } };

/** A row: who calls what address on port 8080, which pod listens, and whom it sees; "" is nobody. */
type Row = readonly [from: string, address: string, to: string, seen: string];

function expectCalls(stage: Stage, rows: readonly Row[], more: Partial<Call> = {}): void {
  const call = ([from, address, to, seen]: Row): Row =>
    [from, address, to, heardFrom(stage, { from, address, to, protocol: "tcp", port: 8080, listening: 80, ...more }, { expectsAnswer: seen !== "" })];
  expect(rows.map(call)).toEqual([...rows]);
}

/** As tests of bridges without br_netfilter, where hairpin mode is not needed. */
const withoutBridgeFilter = (stage: Stage) => stage.node.exec(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0"]);
const localnet = async (stage: Stage, device: string): Promise<string> => (await stage.node.run(["sysctl", "-n", `net.ipv4.conf.${device}.route_localnet`])).trim();

stageTest("hostIP: one address of the node, and none but it; it comes before a pod that has the port of all addresses", async (stage) => {
  await addPortPod(stage, { name: "pod1", ports: [web("192.0.2.1"), web("2001:db8::1")] });
  expect(await localnet(stage, "cni0")).toBe("0"); // 127.0.0.1 leads nowhere, so nothing is opened for it
  expectCalls(stage, [
    ["world", "192.0.2.1", "pod1", "192.0.2.254"], ["world", "2001:db8::1", "pod1", "2001:db8::fe"], ["node", "192.0.2.1", "pod1", "192.0.2.1"],
    ["node", "10.1.2.1", "pod1", ""], ["node", "127.0.0.1", "pod1", ""], ["node", "fd00:1:2::1", "pod1", ""],
  ]);
  await addPortPod(stage, { name: "pod2", ports: [web()] });
  expectCalls(stage, [
    ["world", "192.0.2.1", "pod1", "192.0.2.254"], ["node", "10.1.2.1", "pod2", "10.1.2.1"], ["node", "127.0.0.1", "pod2", "10.1.2.1"], ["node", "fd00:1:2::1", "pod2", "fd00:1:2::1"],
  ]);
});

stageTest("hostIP 0.0.0.0 is every IPv4 address and :: every IPv6 address; 127.0.0.1 is for the node alone", async (stage) => {
  const one = await addPortPod(stage, { name: "pod1", ports: [web("0.0.0.0")] });
  expectCalls(stage, [["world", "192.0.2.1", "pod1", "192.0.2.254"], ["node", "127.0.0.1", "pod1", "10.1.2.1"], ["world", "2001:db8::1", "pod1", ""]]);
  await one.end();
  const two = await addPortPod(stage, { name: "pod2", ports: [web("::")] });
  expectCalls(stage, [["world", "2001:db8::1", "pod2", "2001:db8::fe"], ["world", "192.0.2.1", "pod2", ""]]);
  await two.end();
  await addPortPod(stage, { name: "pod3", ports: [web("127.0.0.1")] });
  expectCalls(stage, [["node", "127.0.0.1", "pod3", "10.1.2.1"], ["world", "192.0.2.1", "pod3", ""], ["node", "192.0.2.1", "pod3", ""]]);
});

for (const backend of ["nftables", "iptables"] as const) {
  stageTest(`by ${backend}: masqAll lends the node's address to everybody, snat: false to nobody`, async (stage) => {
    await withoutBridgeFilter(stage);
    const one = await addPortPod(stage, { name: "pod1", options: { backend, masqAll: true }, ports: [web()] });
    expectCalls(stage, [["world", "192.0.2.1", "pod1", "10.1.2.1"], ["world", "2001:db8::1", "pod1", "fd00:1:2::1"], ["node", "127.0.0.1", "pod1", "10.1.2.1"], ["pod1", "192.0.2.1", "pod1", "10.1.2.1"]]);
    await one.end();
    await addPortPod(stage, { name: "pod2", options: { backend, snat: false }, ports: [web()] });
    expect(await localnet(stage, "cni0")).toBe("0");
    expectCalls(stage, [["world", "192.0.2.1", "pod2", "192.0.2.254"], ["node", "192.0.2.1", "pod2", "192.0.2.1"], ["node", "127.0.0.1", "pod2", ""], ["pod2", "192.0.2.1", "pod2", ""]]);
  });

  stageTest(`by ${backend}: conditions hold for their network and their family, and change no other network's`, async (stage) => {
    const words = backend === "nftables" ? ["ip", "saddr", "!=", "{", "192.0.2.254,", "198.51.100.0/24", "}"] : ["!", "-s", "192.0.2.254"];
    const second = { ...web(), hostPort: 8081 };
    await addPortPod(stage, { name: "other1", ...other, options: { backend }, ports: [second] });
    const one = await addPortPod(stage, { name: "pod1", options: { backend, conditionsV4: words }, ports: [web()] });
    await addPortPod(stage, { name: "other2", ...other, options: { backend }, ports: [{ ...second, hostPort: 8082 }] });
    expectCalls(stage, [["world", "192.0.2.1", "pod1", ""], ["node", "192.0.2.1", "pod1", "192.0.2.1"], ["node", "127.0.0.1", "pod1", "10.1.2.1"], ["world", "2001:db8::1", "pod1", "2001:db8::fe"]]);
    for (const [to, port] of [["other1", 8081], ["other2", 8082]] as const) expectCalls(stage, [["world", "192.0.2.1", to, "192.0.2.254"]], { port });
    expect(await one.portmap("CHECK")).toMatchObject({ code: 0, out: "" });
    await one.end();
    for (const [to, port] of [["other1", 8081], ["other2", 8082]] as const) expectCalls(stage, [["world", "192.0.2.1", to, "192.0.2.254"]], { port });
    expect(await stage.node.run(["nft", "list", "ruleset"])).not.toContain("mynet");
  });

  stageTest(`by ${backend}: markMasqBit is the bit that says masquerade`, async (stage) => {
    await withoutBridgeFilter(stage);
    const options = { backend, markMasqBit: 5 };
    const one = await addPortPod(stage, { name: "pod1", options, ports: [web()] });
    expectCalls(stage, [["pod1", "192.0.2.1", "pod1", "10.1.2.1"], ["world", "192.0.2.1", "pod1", "192.0.2.254"]]);
    expect(await stage.node.run(backend === "nftables" ? ["nft", "list", "ruleset"] : ["iptables-save"])).toMatch(backend === "nftables" ? /meta mark set meta mark \| 0x00000020[^]*meta mark & 0x00000020 == 0x00000020 masquerade/ : /--set-xmark 0x20\/0x20/);
    expect(await stage.node.run(["sh", "-c", "nft list ruleset; iptables-save"])).not.toContain("0x00002000");
    await one.end();
  });
}

stageTest("by iptables: another's chain may do the marking, and asking for it asks for iptables", async (stage) => {
  await withoutBridgeFilter(stage);
  const chain = ["iptables -t nat -N KUBE-MARK-MASQ", "iptables -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000", "iptables -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE"];
  await stage.node.run(["sh", "-c", [...chain, ...chain.map((line) => line.replace("iptables", "ip6tables"))].join(" && ")]);
  await addPortPod(stage, { name: "pod1", options: { externalSetMarkChain: "KUBE-MARK-MASQ" }, ports: [web()] });
  expectCalls(stage, [["pod1", "192.0.2.1", "pod1", "10.1.2.1"], ["node", "127.0.0.1", "pod1", "10.1.2.1"], ["world", "192.0.2.1", "pod1", "192.0.2.254"], ["pod1", "2001:db8::1", "pod1", "fd00:1:2::1"]]);
  expect(await stage.node.run(["iptables-save"])).not.toContain("CNI-HOSTPORT-SETMARK");
});

stageTest("two networks have the same port for different callers, by their conditions", async (stage) => {
  await addPortPod(stage, { name: "pod1", options: { conditionsV4: ["ip", "saddr", "192.0.2.254"] }, ports: [web()] });
  await addPortPod(stage, { name: "pod2", ...other, options: { conditionsV4: ["iifname != eth0"] }, ports: [web()] });
  expectCalls(stage, [["world", "192.0.2.1", "pod1", "192.0.2.254"], ["node", "192.0.2.1", "pod2", "192.0.2.1"]]);
});

stageTest("behind ptp and vethwork: the world, the node, another pod and the pod itself reach it", async (stage) => {
  const ptp = { type: "ptp", ipam: ipam("10.4.0.0/24") };
  const vethwork = { type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" };
  for (const [network, main, sees] of [["p", ptp, "10.4.0.1"], ["v", vethwork, undefined]] as const) {
    const names = [`${network}1`, `${network}2`];
    const [one, two] = [await addPortPod(stage, { name: names[0] ?? "", network, main, ports: [web()] }), await addPortPod(stage, { name: names[1] ?? "", network, main })];
    const [to = "", beside = ""] = names;
    expectCalls(stage, [["world", "192.0.2.1", to, "192.0.2.254"], ["node", "192.0.2.1", to, "192.0.2.1"], ["node", "127.0.0.1", to, sees ?? "192.0.2.1"], [to, "192.0.2.1", to, sees ?? "192.0.2.1"], [beside, "192.0.2.1", to, sees ?? "10.244.0.3"]]);
    await two.end();
    await one.end();
  }
});

for (const backend of ["nftables", "iptables"] as const) stageTest(`by ${backend}: 127.0.0.1 of the node is reached by nobody else, neither as destination nor as source, though the device lets it through`, async (stage) => {
  const pod = await addPortPod(stage, { name: "pod1", options: { backend }, ports: [web()] });
  expect(await localnet(stage, "cni0")).toBe("1");
  // A pod that has the rights to: 127.0.0.1 is beyond its cable, or its own address beyond it.
  await stage.node.run(["sh", "-c", `ip netns exec pod1 sysctl -qw net.ipv4.conf.all.route_localnet=1; ip -n pod1 link set lo up; ip -n pod1 addr flush dev lo
    ip -n pod1 route add 127.0.0.1 via 10.1.2.1 dev eth0 src 10.1.2.2; ip -n pod1 addr add 127.0.0.9/32 dev eth0`]);
  using node = netnsOf(stage, "node");
  using inPod = netnsOf(stage, "pod1");
  using server = openSocket(node, { kind: "udp", family: 4 });
  server.bind(parseIp("0.0.0.0"), 5353);
  const arrives = (address: string, source: string): boolean => {
    using client = openSocket(inPod, { kind: "udp", family: 4 });
    client.bind(parseIp(source));
    client.send(Uint8Array.of(1), { ip: parseIp(address), port: 5353 });
    if (!server.wait("in", 250)) return false;
    server.receive();
    return true;
  };
  expect([arrives("10.1.2.1", "10.1.2.2"), arrives("127.0.0.1", "10.1.2.2"), arrives("10.1.2.1", "127.0.0.9")]).toEqual([true, false, false]);
  await stage.node.run(["nft", "flush", "chain", "inet", "vethwork-hostports", "guard"]);
  expect([arrives("127.0.0.1", "10.1.2.2"), arrives("10.1.2.1", "127.0.0.9")]).toEqual([true, true]); // as behind the reference
  expect(await pod.portmap("DEL")).toMatchObject({ code: 0, out: "", err: "" });
  expect([await localnet(stage, "cni0"), arrives("127.0.0.1", "10.1.2.2"), arrives("10.1.2.1", "127.0.0.9")]).toEqual(["0", false, false]);
});

stageTest("who had 127.0.0.1 routed before keeps it so, and a device is turned back with the last port behind it", async (stage) => {
  const [one, two, three] = [await addPortPod(stage, { name: "pod1", ports: [web()] }), await addPortPod(stage, { name: "pod2", ports: [{ ...web(), hostPort: 8081 }] }), await addPortPod(stage, { name: "pod3", ...other })];
  await three.end();
  await stage.node.run(["sysctl", "-qw", "net.ipv4.conf.other0.route_localnet=1"]);
  const four = await addPortPod(stage, { name: "pod4", ...other, ports: [{ ...web(), hostPort: 8082 }] });
  expect([await localnet(stage, "cni0"), await localnet(stage, "other0")]).toEqual(["1", "1"]);
  await one.end();
  expectCalls(stage, [["node", "127.0.0.1", "pod2", "10.1.2.1"]], { port: 8081 });
  await two.end();
  await four.end();
  expect([await localnet(stage, "cni0"), await localnet(stage, "other0")]).toEqual(["0", "1"]);
  expect(await stage.node.run(["nft", "list", "ruleset"])).toBe("");
});
