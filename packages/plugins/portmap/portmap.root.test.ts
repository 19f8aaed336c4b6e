/** portmap's verbs: what it refuses, what CHECK misses, what DEL and GC take away and leave, after any death. Packets are in the other tests. */
import { expect, test } from "bun:test";
import { find, type JsonObject } from "@vethwork/cni";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { addPortPod, bridge, connectPod, type PortMapping } from "../testing/port-chain.ts";
import { faultyBinFolder, onStage, stageLacks, stageTest, type Stage } from "../testing/stage.ts";

const ports: readonly PortMapping[] = [
  { hostPort: 8080, containerPort: 80, protocol: "tcp" }, { hostPort: 8053, containerPort: 53, protocol: "udp", hostIP: "192.0.2.1" },
  { hostPort: 8083, containerPort: 83, protocol: "sctp", hostIP: "::" },
];
const quiet = { code: 0, out: "", err: "" };
const backends = ["nftables", "iptables"] as const;
const other = { network: "other", main: { ...bridge, bridge: "other0", ipam: { type: "host-local", subnet: "10.3.0.0/24" } } };

/** By both backends; iptables' is left out where it is not installed. */
function backendTest(title: string, act: (stage: Stage, backend: (typeof backends)[number]) => Promise<void>, timeoutMs = 60_000): void {
  for (const backend of backends) {
    const lacks = stageLacks || (backend === "iptables" ? missing({ programs: ["iptables", "ip6tables"] }) : "");
    test.skipIf(lacks !== "")(skipped(`by ${backend}: ${title}`, lacks), () => onStage((stage) => act(stage, backend)), timeoutMs);
  }
}

/** Everything that portmap may leave, but for the chains of iptables that all containers share: the reference leaves those, too. */
async function stateOf(stage: Stage): Promise<string> {
  const script = `nft list tables | grep -v ' nat$' | while read -r table; do nft -s list $table; done
    { iptables-save -t nat; ip6tables-save -t nat; } | grep 'CNI-[DS]N-'; sysctl net.ipv4.conf.cni0.route_localnet; conntrack -L -p udp --orig-port-dst 8053 2>/dev/null`;
  return await stage.node.run(["sh", "-c", script]);
}

backendTest("DEL leaves the node as it was: twice, before ADD, without the result, the ports, the namespace, and with a configuration that has become wrong", async (stage, backend) => {
  const pod = await connectPod(stage, { name: "pod1", options: { backend }, ports });
  const before = await stateOf(stage);
  const ways: readonly (readonly [what: string, more: object, env?: Record<string, string>])[] = [
    ["as a runtime calls it", {}], ["without the result", { prevResult: undefined }], ["without the ports", { runtimeConfig: {} }],
    ["with other ports", { runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 1, protocol: "tcp" }] } }],
    ["without a namespace", { prevResult: undefined, runtimeConfig: undefined }, { CNI_NETNS: "" }], ["with one that is gone", {}, { CNI_NETNS: "/run/netns/gone" }],
    ["without a backend", { backend: undefined }], ["with the other backend", { backend: backend === "iptables" ? "nftables" : "iptables" }],
  ];
  expect(await pod.portmap("DEL")).toMatchObject(quiet);
  for (const [what, more, env = {}] of ways) {
    expect({ what, code: (await pod.portmap("ADD")).code }).toEqual({ what, code: 0 });
    expect(await stateOf(stage)).not.toEqual(before);
    for (let times = 0; times < 2; times++) expect({ what, ...(await pod.portmap("DEL", more, { env })) }).toMatchObject({ what, ...quiet });
    expect({ what, state: await stateOf(stage) }).toEqual({ what, state: before });
  }
  await pod.portmap("ADD");
  const wrong = await pod.portmap("DEL", { backend: 7, markMasqBit: "x", conditionsV4: ["nonsense"], runtimeConfig: { portMappings: [{ hostPort: "x" }] }, prevResult: { ips: 5 } });
  expect({ code: wrong.code, out: wrong.out, err: wrong.err }).toEqual({ code: 0, out: "", err: expect.stringContaining("going on with DEL in spite of") });
  expect(await stateOf(stage)).toEqual(before);
});

backendTest("CHECK finds each thing that somebody took away, and says which", async (stage, backend) => {
  const pod = await connectPod(stage, { name: "pod1", options: { backend }, ports });
  const element = (map: string, key: string): string => `nft delete element inet vethwork-hostports ${map} '{ ${key} }'`;
  const elsewhere = "nft delete element inet vethwork-hostports hostports4 '{ tcp . 8080 }'; nft add element inet vethwork-hostports hostports4";
  const chain = (tool: string): string => `$(${tool} -t nat -S | grep -om1 'CNI-DN-[0-9a-f]*')`;
  const damages: Record<(typeof backends)[number], readonly (readonly [command: string, says: RegExp])[]> = {
    nftables: [
      [element("hostports4", "tcp . 8080"), /host port 8080\/tcp leads nowhere \(10\.1\.2\.2:80 is wanted\)/],
      [element("hostports6", "tcp . 8080"), /host port 8080\/tcp leads nowhere \(\[fd00:1:2::2\]:80 is wanted\)/],
      [element("hostip-hostports4", "192.0.2.1 . udp . 8053"), /host port 192\.0\.2\.1:8053\/udp leads nowhere \(10\.1\.2\.2:53 is wanted\)/],
      [element("masquerade6", "fd00:1:2::/64 . sctp . 8083"), /packets from fd00:1:2::\/64 to host port 8083\/sctp are not masqueraded/],
      [`${elsewhere} '{ tcp . 8080 : 10.1.2.9 . 80 }'`, /host port 8080\/tcp leads to 10\.1\.2\.9:80 \(10\.1\.2\.2:80 is wanted\)/],
      [`${elsewhere} '{ tcp . 8080 comment "x" : 10.1.2.2 . 80 }'`, /host port 8080\/tcp has become another's \(x\)/],
      ["nft flush chain inet vethwork-hostports dnat6", /chain "dnat6" of table "vethwork-hostports" is not as it should be/],
      ["nft insert rule inet vethwork-hostports prerouting accept", /chain "prerouting" of table/], ["nft flush chain inet vethwork-hostports postrouting", /chain "postrouting" of table/],
      ["nft delete table inet vethwork-hostports", /8080\/tcp leads nowhere.*8053\/udp leads nowhere.*8083\/sctp leads nowhere/],
      ["nft flush chain inet vethwork-hostports guard", /chain "guard" of table/], ["nft flush set inet vethwork-hostports localnet", /127\.0\.0\.1 of the node is not guarded from "cni0"/],
      ["sysctl -qw net.ipv4.conf.cni0.route_localnet=0", /127\.0\.0\.1 does not lead to the pod \(net\.ipv4\.conf\.cni0\.route_localnet is 0\)/],
    ],
    iptables: [
      [`iptables -t nat -D ${chain("iptables")} 3`, /the IPv4 rule "-A CNI-DN-\w+ -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10\.1\.2\.2:80" is missing/],
      ["iptables -t nat -D CNI-HOSTPORT-DNAT 2", /no IPv4 rule of CNI-HOSTPORT-DNAT leads tcp ports 8080 to CNI-DN-/],
      [`ip6tables -t nat -F ${chain("ip6tables")}`, /the IPv6 rule "-A CNI-DN-\w+ -s fd00:1:2::\/64 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK" is missing/],
      ["iptables -t nat -F CNI-HOSTPORT-MASQ", /the IPv4 rule "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000\/0x2000 -j MASQUERADE" is missing/],
      ["iptables -t nat -D PREROUTING 1", /the IPv4 rule "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" is missing/],
      ["sysctl -qw net.ipv4.conf.cni0.route_localnet=0", /127\.0\.0\.1 does not lead to the pod/],
    ],
  };
  for (const [command, says] of damages[backend]) {
    expect((await pod.portmap("ADD")).code).toBe(0);
    expect({ command, ...(await pod.portmap("CHECK")) }).toMatchObject({ command, ...quiet });
    await stage.node.run(["sh", "-ec", command]);
    const checked = await pod.portmap("CHECK");
    expect({ command, code: find(checked.result, "code"), msg: find(checked.result, "msg") }).toEqual({ command, code: 100, msg: expect.stringMatching(says) });
    // What another has put in the place has no comment of ours: it is not ours to take.
    await stage.node.exec(["nft", "flush", "map", "inet", "vethwork-hostports", "hostports4"]);
    expect({ command, ...(await pod.portmap("DEL")) }).toMatchObject({ command, ...quiet });
  }
});

backendTest("GC takes away what is in no list, and leaves what another network has", async (stage, backend) => {
  const options = { backend, ...(backend === "nftables" && { conditionsV4: ["ip saddr != 10.9.0.0/16"] }) };
  await addPortPod(stage, { name: "other1", ...other, options: { backend }, ports: [{ ...ports[0] ?? never(), hostPort: 9000 }] });
  const keep = await addPortPod(stage, { name: "keep", options, ports: [{ hostPort: 1000, containerPort: 80, protocol: "tcp" }] });
  const before = await stateOf(stage);
  const gone = await addPortPod(stage, { name: "gone", options, ports });
  const lost = await connectPod(stage, { name: "lost", options, ports: [{ hostPort: 2000, containerPort: 80, protocol: "udp" }] });
  await lost.portmap("ADD");
  expect(await keep.portmap("GC")).toMatchObject(quiet); // without a list nothing is known to be stale
  if (backend === "nftables") await stage.node.run(["nft", "flush", "chain", "inet", "vethwork-hostports", "dnat4-mynet"]);
  if (backend === "nftables") expect((await gone.portmap("CHECK")).result).toMatchObject({ msg: expect.stringContaining('chain "dnat4-mynet"') });
  expect(await keep.portmap("GC", { "cni.dev/valid-attachments": ["keep", "gone", "lost"].map((containerID) => ({ containerID, ifname: "eth0" })) })).toMatchObject(quiet);
  expect(await gone.portmap("CHECK")).toMatchObject(quiet);
  expect(await keep.portmap("GC", { "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] })).toMatchObject(quiet);
  expect(await stateOf(stage)).toEqual(before);
  expect(await keep.portmap("CHECK")).toMatchObject(quiet);
  expect(await keep.portmap("GC", { "cni.dev/valid-attachments": [] })).toMatchObject(quiet);
  expect(await stateOf(stage)).not.toContain("mynet");
});

backendTest("two networks of one container have ports of their own, and so have two interfaces in one network", async (stage, backend) => {
  const { before } = await connectPod(stage, { name: "pod1" });
  const call = callFor(stage, before, 1);
  const second = { backend, name: "other", runtimeConfig: { portMappings: [{ hostPort: 9000, containerPort: 80, protocol: "tcp" }] } };
  const third = { backend, runtimeConfig: { portMappings: [{ hostPort: 9001, containerPort: 80, protocol: "tcp" }] } };
  for (const more of [{ backend }, second]) expect((await call("ADD", more)).code).toBe(0);
  expect(await call("DEL", { backend })).toMatchObject(quiet);
  expect(await call("CHECK", second)).toMatchObject(quiet);
  if (backend === "iptables") return; // the reference's chain is the container's, whichever its interface
  for (const [more, env] of [[{ backend }, {}], [third, { CNI_IFNAME: "net1" }]] as const) expect((await call("ADD", more, env)).code).toBe(0);
  expect(await call("DEL", { backend })).toMatchObject(quiet);
  for (const [more, env] of [[second, {}], [third, { CNI_IFNAME: "net1" }]] as const) expect(await call("CHECK", more, env)).toMatchObject(quiet);
});

stageTest("a port that a living pod has is refused, one of a pod that is gone is taken over, and its DEL takes nothing of the new one's", async (stage) => {
  const one = await addPortPod(stage, { name: "pod1", ports });
  const two = await connectPod(stage, { name: "pod2", ports });
  const before = await stateOf(stage);
  const refused = await two.portmap("ADD");
  expect(refused.result).toMatchObject({ code: 11, msg: "Cannot map host port 8080/tcp to 10.1.2.3:80: it leads to 10.1.2.2:80 (net: mynet, if: eth0, id: pod1)" });
  expect(await stateOf(stage)).toEqual(before);
  expect(await one.portmap("CHECK")).toMatchObject(quiet);
  // The same attachment once more is no conflict, and neither is another address of the node.
  expect((await one.portmap("ADD")).code).toBe(0);
  expect((await two.portmap("ADD", { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "192.0.2.1" }] } })).code).toBe(0);
  expect(await two.portmap("DEL")).toMatchObject(quiet);

  await stage.node.run(["sh", "-c", "ip netns del pod1; touch /run/netns/pod1"]); // as a runtime that was killed leaves it
  expect((await two.portmap("ADD")).code).toBe(0);
  expect(await two.portmap("CHECK")).toMatchObject(quiet);
  expect(await one.portmap("DEL")).toMatchObject(quiet);
  expect(await two.portmap("CHECK")).toMatchObject(quiet);
  await stage.node.run(["rm", "/run/netns/pod1"]);
  await stage.node.run(["ip", "netns", "add", "pod1"]); // another namespace of that name
  expect((await one.portmap("ADD")).result).toMatchObject({ code: 11 });
  await two.end();
  expect((await one.portmap("ADD")).code).toBe(0);
});

stageTest("what is wrong is refused in words, with the specification's codes, and nothing is made", async (stage) => {
  const pod = await connectPod(stage, { name: "pod1", ports });
  const before = await stateOf(stage);
  const port = (more: object) => ({ runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", ...more }] } });
  for (const [more, code, says] of [
    [port({ hostPort: 65536 }), 7, /runtimeConfig\.portMappings\[0\]\.hostPort": 65536 \(an integer from 1 to 65535 is wanted\)/], [port({ protocol: "icmp" }), 7, /"icmp" \(one of "tcp", "udp", "sctp" is wanted\)/],
    [port({ hostIP: "example" }), 7, /"example" \(an IP address is wanted\)/], [{ prevResult: undefined }, 7, /^Required prevResult missing/], [{ backend: "x" }, 7, /"backend": "x"/],
    [{ conditionsV4: ["ct state new"] }, 7, /^Cannot use conditionsV4 "ct state new"/], [{ backend: "nftables", externalSetMarkChain: "X" }, 7, /iptables-specific options \[externalSetMarkChain\]/],
    [{ backend: "iptables", conditionsV4: ["-m", "nonsense"] }, 999, /Cannot map host ports by iptables: iptables-restore ended with/],
    [{ externalSetMarkChain: "NO-SUCH-CHAIN" }, 999, /iptables-restore ended with/],
  ] as const) {
    const { result } = await pod.portmap("ADD", more);
    expect({ more, code: find(result, "code"), msg: find(result, "msg") }).toEqual({ more, code, msg: expect.stringMatching(says) });
    expect({ more, state: await stateOf(stage) }).toEqual({ more, state: before });
  }
  // Nothing to map is nothing to do.
  for (const more of [{ runtimeConfig: {} }, port({ hostIP: "::" }), { prevResult: { cniVersion: "1.1.0" } }].toSpliced(1, 1)) expect((await pod.portmap("ADD", more)).code).toBe(0);
  expect(await stateOf(stage)).toEqual(before);
});

stageTest("STATUS is quiet where ports can be mapped, and 50 where not", async (stage) => {
  const pod = await connectPod(stage, { name: "pod1" });
  for (const more of [{}, { backend: "iptables" }, { conditionsV4: ["ip saddr 10.0.0.0/8"] }]) expect({ more, ...(await pod.portmap("STATUS", more)) }).toMatchObject({ more, ...quiet });
  expect((await pod.portmap("STATUS", { conditionsV4: ["nonsense"] })).result).toMatchObject({ code: 50, msg: expect.stringContaining('"nonsense" is not understood') });
  const faulty = (fault: string) => pod.portmap("STATUS", {}, { program: `${faultyBinFolder}/portmap`, env: { VETHWORK_FAULT: fault } });
  const change = (await faulty("count")).err.split("\n").findIndex((line) => line.includes("begin a change of rules")) + 1;
  const broken = await faulty(`fail:${change}:EOPNOTSUPP`);
  expect(broken.result).toMatchObject({ code: 50, msg: "this kernel's nftables cannot map ports", details: expect.stringContaining("EOPNOTSUPP") });
  await stage.node.run(["sh", "-c", "for tool in iptables ip6tables; do mount --bind /bin/false $(readlink -f /usr/sbin/$tool) || true; done"]);
  expect((await pod.portmap("STATUS", { backend: "iptables" })).result).toMatchObject({ code: 50, msg: "neither iptables nor ip6tables is usable" });
  expect(await pod.portmap("STATUS")).toMatchObject(quiet);
});

/** A container that is nowhere, with an address and a port of its own. */
function callFor(stage: Stage, before: JsonObject, at: number) {
  const config = {
    cniVersion: "1.1.0", name: "mynet", type: "portmap", runtimeConfig: { portMappings: [{ hostPort: 8000 + at, containerPort: 80, protocol: "tcp" }] },
    prevResult: { cniVersion: "1.1.0", interfaces: find(before, "interfaces"), ips: [{ address: `10.1.2.${100 + at}/24`, interface: 2 }] },
  };
  return (command: string, more: object = {}, env: Record<string, string> = {}) =>
    stage.call({ command, pod: { name: `container${at}`, netns: `/run/netns/container${at}` }, config: { ...config, ...more }, program: `${faultyBinFolder}/portmap`, env });
}

backendTest("twenty at once, up and down, each with its own; nothing is left", async (stage, backend) => {
  const { before, portmap } = await connectPod(stage, { name: "pod1", options: { backend }, ports });
  for (const command of ["ADD", "DEL"]) await portmap(command);
  const quietState = await stateOf(stage);
  const calls = Array.from({ length: 20 }, (_, at) => callFor(stage, before, at));
  for (let times = 0; times < 2; times++) {
    const added = await Promise.all(calls.map((call) => call("ADD", { backend })));
    expect(added.filter(({ code }) => code !== 0).map(({ out }) => out)).toEqual([]);
    for (const call of calls) expect(await call("CHECK", { backend })).toMatchObject(quiet);
    const ended = await Promise.all(calls.map((call) => call("DEL", { backend })));
    expect(ended.filter(({ code, out, err }) => code !== 0 || out + err !== "")).toEqual([]);
    expect(await stateOf(stage)).toBe(quietState);
  }
  // One comes while another is the last to go: the switch of 127.0.0.1 stays with the one that stays.
  const [one, two] = [callFor(stage, before, 50), callFor(stage, before, 51)];
  for (let times = 0; times < 10; times++) {
    await one("ADD", { backend });
    await Promise.all([one("DEL", { backend }), two("ADD", { backend })]);
    expect({ times, ...(await two("CHECK", { backend })) }).toMatchObject({ times, ...quiet });
    expect(await two("DEL", { backend })).toMatchObject(quiet);
    expect(await stateOf(stage)).toBe(quietState);
  }
}, 120_000);

stageTest("a hundred pods are a page of maps: the hundredth ADD makes the calls that the second made, and writes its own elements alone", async (stage) => {
  const { before } = await connectPod(stage, { name: "pod1" });
  const call = (command: string, at: number, env: Record<string, string> = {}) => callFor(stage, before, at)(command, {}, env);
  expect((await call("ADD", 1)).code).toBe(0);
  const second = await call("ADD", 2, { VETHWORK_FAULT: "count" });
  for (let at = 3; at < 100; at += 10) await Promise.all(Array.from({ length: Math.min(10, 100 - at) }, (_, more) => call("ADD", at + more)));
  const hundredth = await call("ADD", 100, { VETHWORK_FAULT: "count" });
  expect(hundredth.code).toBe(0);
  const callsIn = ({ err }: { err: string }): string => err.replaceAll(/10\.1\.2\.\d+/g, "POD").replaceAll(/container\d+/g, "CONTAINER");
  expect(callsIn(hundredth)).toBe(callsIn(second));
  expect(hundredth.err).not.toContain("list");
  const written = hundredth.err.split("\n").filter((line) => line.includes("begin a change of rules"));
  expect(written.map((line) => line.replace(/^\d+ /, ""))).toEqual(['begin a change of rules; add to set "localnet"; add to set "hostports4"; add to set "masquerade4"; end a change of rules']);

  const ruleset = (await stage.node.run(["nft", "list", "table", "inet", "vethwork-hostports"])).trim().split("\n");
  const elements = ruleset.filter((line) => line.includes("comment"));
  expect(elements).toHaveLength(201); // a port and who is masqueraded to it, a line each, and the device
  expect(ruleset.length - elements.length).toBeLessThanOrEqual(80);
  await Promise.all(Array.from({ length: 100 }, (_, at) => call("DEL", at + 1)));
  expect((await stage.node.run(["nft", "list", "tables"])).trim()).toBe("");
});

const never = (): never => {
  throw new TypeError("there is no such port");
};
