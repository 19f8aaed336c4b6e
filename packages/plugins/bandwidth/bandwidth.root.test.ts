/** bandwidth: what it makes, where, and what is left of it: with a cable, and with a device that is the pod's alone. */
import { expect } from "bun:test";
import { find, type JsonObject } from "@vethwork/cni";
import { addDevice, buckets, call, limits, netName, pod, prevResult, seen, type Device } from "./testing/devices.ts";
import { faultyBinFolder, stageTest } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const subnets = { unshapedSubnets: ["10.0.0.0/8", "fd00::/8"] };
const interfacesOf = (result: JsonObject): unknown[] => [find(result, "interfaces")].flat();
const said = ({ result }: { result: JsonObject }): string => `${String(find(result, "msg"))} ${String(find(result, "details") ?? "")}`;

stageTest("a cable is limited at its end on the node, and the result has the ifb", async (stage) => {
  await addDevice(stage, "cable");
  const { code, result } = await call(stage, "ADD");
  expect(code).toBe(0);
  expect(interfacesOf(result)).toEqual([{ name: "near" }, { name: "eth0", sandbox: pod.netns }, { name: "bwp70a29d9dc18b", mac: expect.stringMatching(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/) }]);
  expect(await buckets(stage)).toEqual({ node: ["near tbf 1000000 100000", "near ingress", "bwp70a29d9dc18b tbf 2000000 200000"], pod: [] });
  const [ifb] = JSON.parse(await stage.node.run(["ip", "-j", "-d", "link", "show", "bwp70a29d9dc18b"]));
  expect(ifb).toMatchObject({ ifalias: "vethwork mynet abc123/eth0", mtu: 1400, linkinfo: { info_kind: "ifb" } });
  expect(await call(stage, "CHECK")).toMatchObject(quiet);
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect(JSON.parse(await stage.node.run(["ip", "-j", "link", "show", "type", "ifb"]) || "[]")).toEqual([]);
});

stageTest("a device without an end on the node is limited in the pod, where the ifb then is", async (stage) => {
  await addDevice(stage, "alone");
  const { code, result } = await call(stage, "ADD");
  expect({ code, ifb: interfacesOf(result)[2] }).toEqual({ code: 0, ifb: { name: "bwp70a29d9dc18b", mac: expect.any(String), sandbox: pod.netns } });
  expect(await buckets(stage)).toEqual({ node: [], pod: ["eth0 tbf 2000000 200000", "eth0 ingress", "bwp70a29d9dc18b tbf 1000000 100000"] });
  expect(await call(stage, "CHECK")).toMatchObject(quiet);
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect((await buckets(stage)).pod).not.toContain("bwp70a29d9dc18b tbf 1000000 100000");
});

stageTest("with one direction there is what it needs, with none nothing, and the result of the plugin before is handed on", async (stage) => {
  for (const [options, wanted] of [
    [{ ingressRate: 8_000_000, ingressBurst: 800_000 }, ["near tbf 1000000 100000"]], [{ egressRate: 8_000_000, egressBurst: 800_000 }, ["near ingress", "bwp70a29d9dc18b tbf 1000000 100000"]],
    [{}, []], [{ runtimeConfig: { bandwidth: { ingressRate: 0 } } }, []], [{ ingressRate: 0, runtimeConfig: { bandwidth: limits } }, []], [{ ...limits, unshapedSubnets: ["10.0.0.0/8"] }, ["near clsact", /^bwp[0-9a-f]{12} tbf 1000000 100000$/, "bwp70a29d9dc18b tbf 2000000 200000"]],
  ] as const) {
    await addDevice(stage, "cable");
    const { code, result } = await call(stage, "ADD", options, { bare: true });
    const { node } = await buckets(stage);
    expect({ options, code, node }).toEqual({ options, code: 0, node: wanted.map((one) => (typeof one === "string" ? one : expect.stringMatching(one))) });
    expect({ options, interfaces: interfacesOf(result).length }).toEqual({ options, interfaces: 2 + node.filter((line) => line.startsWith("bwp")).length });
    expect({ options, ...(await call(stage, "CHECK", options, { bare: true })) }).toMatchObject({ options, ...quiet });
    expect(await call(stage, "DEL", options, { bare: true })).toMatchObject(quiet);
  }
});

stageTest("a cable whose end on the node no result tells of is found, and one that ends elsewhere is limited in the pod", async (stage) => {
  await addDevice(stage, "cable");
  expect((await call(stage, "ADD", { prevResult: { cniVersion: "1.0.0" } })).code).toBe(0);
  expect((await buckets(stage)).node).toContain("near tbf 1000000 100000");
  await call(stage, "DEL");
  // Both ends in other namespaces, and on the node a cable of the same pair of indices.
  await stage.node.run(["sh", "-c", `ip link del near; ip netns del pod1; ip netns add pod1; ip netns add other; ip netns add third
    ip -n other link add name x index 70 type veth peer name eth0 index 71 netns pod1; ip -n pod1 link set eth0 up
    ip link add name y index 70 type veth peer name z index 71 netns third`]);
  expect((await call(stage, "ADD")).code).toBe(0);
  expect(await buckets(stage)).toEqual({ node: [], pod: ["eth0 tbf 2000000 200000", "eth0 ingress", "bwp70a29d9dc18b tbf 1000000 100000"] });
});

stageTest("two interfaces of a container in one network have an ifb each, and DEL takes the right one, without a namespace", async (stage) => {
  for (const [first, second] of [["eth0", "net1"], ["net1", "eth0"]] as const) {
    await addDevice(stage, "cable");
    await stage.node.run(["sh", "-c", "ip link add near1 mtu 1400 type veth peer name net1 netns pod1; ip link set near1 up"]);
    for (const ifname of [first, second]) expect((await call(stage, "ADD", {}, { ifname })).code).toBe(0);
    const owners = async (): Promise<unknown[]> => JSON.parse(await stage.node.run(["ip", "-j", "link", "show", "type", "ifb"]) || "[]").map(({ ifalias }: { ifalias: string }) => ifalias);
    expect(await owners()).toEqual([first, second].map((ifname) => `vethwork mynet abc123/${ifname}`));
    for (const ifname of [first, second]) expect({ ifname, ...(await call(stage, "CHECK", {}, { ifname })) }).toMatchObject({ ifname, ...quiet });
    for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", {}, { ifname: second, env: { CNI_NETNS: "" } })).toMatchObject(quiet);
    expect(await owners()).toEqual([`vethwork mynet abc123/${first}`]);
    expect(await call(stage, "CHECK", {}, { ifname: first })).toMatchObject(quiet);
    expect(await call(stage, "DEL", { prevResult: undefined }, { ifname: first, env: { CNI_NETNS: "/run/netns/gone" } })).toMatchObject(quiet);
    expect(await owners()).toEqual([]);
  }
});

stageTest("the same attachment once more, and a device that another has traffic control on, are refused, and lose nothing", async (stage) => {
  await addDevice(stage, "cable");
  expect((await call(stage, "ADD")).code).toBe(0);
  const before = await seen(stage);
  expect((await call(stage, "ADD")).result).toMatchObject({ code: 4, msg: '"near" has traffic control of its own already (another program\'s, or of an attachment that nobody deleted)' });
  expect((await call(stage, "ADD", { ingressRate: 0, ingressBurst: 0 })).result).toMatchObject({ code: 4, msg: expect.stringMatching(/"bwp70a29d9dc18b" exists already/) });
  expect(await seen(stage)).toEqual(before);
  expect(await call(stage, "DEL")).toMatchObject(quiet);
  for (const other of ["root handle 7: tbf rate 1mbit burst 10kb latency 10ms", "ingress", "clsact"]) {
    await addDevice(stage, "cable");
    await stage.node.run(["sh", "-c", `tc qdisc add dev near ${other}`]);
    const others = await seen(stage);
    expect({ other, ...(await call(stage, "ADD")).result }).toMatchObject({ other, code: 4, msg: expect.stringContaining('"near" has traffic control of its own already') });
    expect({ other, seen: await seen(stage) }).toEqual({ other, seen: others });
    expect(await call(stage, "DEL")).toMatchObject(quiet);
  }
});

stageTest("GC takes the ifbs of attachments that are gone, of its own network, and no others", async (stage) => {
  await stage.node.run(["ip", "link", "add", "bwp000000000000", "type", "ifb"]); // without an alias it may be anybody's
  await stage.node.run(["sh", "-c", "ip link add mine type ifb; ip link set mine alias 'vethwork'"]);
  const ids = ["keep", "gone", "other"];
  for (const id of ids) {
    await addDevice(stage, "cable", id);
    const name = id === "other" ? "others" : netName;
    expect((await call(stage, "ADD", { ...subnets, name }, { pod: { name: id, netns: `/run/netns/${id}` } })).code).toBe(0);
  }
  const ifbs = async (): Promise<string[]> => JSON.parse(await stage.node.run(["ip", "-j", "link", "show", "type", "ifb"])).map(({ ifalias, ifname }: { ifalias?: string; ifname: string }) => ifalias ?? ifname).toSorted();
  const all = await ifbs();
  expect(all).toHaveLength(8);
  const gc = (more: object) => call(stage, "GC", { cniVersion: "1.1.0", ...more });
  expect(await gc({})).toMatchObject(quiet); // without a list nothing is known to be stale
  expect(await ifbs()).toEqual(all);
  expect(await gc({ "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }, { containerID: "gone", ifname: "net7" }] })).toMatchObject(quiet);
  expect(await ifbs()).toEqual(all.filter((alias) => !alias.includes("gone")));
});

const damages: Readonly<Record<Device, readonly (readonly [options: object, command: string, says: RegExp])[]>> = {
  cable: [
    [{}, "tc qdisc del dev near root", /"near" has no tbf for ingress any more/],
    [{}, "tc qdisc change dev near root handle 1: tbf rate 9mbit burst 100000 limit 125000", /Rate doesn't match: "near" lets 1125000 bytes a second pass \(1000000 are wanted\); Buffer doesn't match/],
    [{}, "tc qdisc change dev near root handle 1: tbf rate 8mbit burst 100000 limit 99", /Limit doesn't match: 99 bytes may wait at "near" \(125000 are wanted\)/],
    [{}, "tc qdisc change dev near root handle 1: tbf rate 8mbit burst 50000 limit 125000", /Buffer doesn't match: the bucket of "near" takes 781250 ticks to fill \(1562500 are wanted\)/],
    [{}, "tc qdisc del dev bwp70a29d9dc18b root", /"bwp70a29d9dc18b" has no tbf for egress any more/], [{}, "ip link set bwp70a29d9dc18b down", /"bwp70a29d9dc18b" is down/],
    [{}, "ip link del bwp70a29d9dc18b", /the ifb for what the pod sends is gone/], [{}, "tc qdisc del dev near ingress", /"near" has no ingress qdisc any more/],
    [{}, "tc filter del dev near parent ffff:", /"near" has no filter any more that leads all to "bwp70a29d9dc18b"/], [{}, "ip -n pod1 link del eth0", /the pod has no interface "eth0"/],
    [subnets, "tc filter del dev near egress pref 2", /no filter any more that leads ip a000000\/ff000000 at 12 past the limit/], [subnets, "tc filter del dev near ingress pref 3", /no filter any more that leads ipv6 fd000000\/ff000000 at 24 past the limit/],
    [subnets, "tc filter del dev near egress pref 4", /no filter any more that leads all to "bwp/], [subnets, "tc qdisc del dev near clsact; tc qdisc add dev near ingress", /"near" has no clsact qdisc any more/],
  ],
  alone: [
    [{}, "tc -n pod1 qdisc del dev eth0 root", /"eth0" has no tbf for egress any more/], [{}, "ip -n pod1 link del bwp70a29d9dc18b", /the ifb for what comes to the pod is gone/],
    [subnets, "tc -n pod1 filter del dev eth0 ingress pref 2", /leads ip a000000\/ff000000 at 12 past the limit/],
  ],
};

for (const device of ["cable", "alone"] as const) {
  stageTest(`CHECK finds each thing that somebody changed, and says which (${device})`, async (stage) => {
    for (const [options, command, says] of damages[device]) {
      await addDevice(stage, device);
      expect((await call(stage, "ADD", options)).code).toBe(0);
      expect({ command, ...(await call(stage, "CHECK", options)) }).toMatchObject({ command, ...quiet });
      await stage.node.run(["sh", "-c", command]);
      const checked = await call(stage, "CHECK", options);
      expect({ command, code: checked.code, msg: said(checked) }).toEqual({ command, code: 1, msg: expect.stringMatching(says) });
      expect({ command, ...(await call(stage, "DEL", options)) }).toMatchObject({ command, ...quiet });
    }
  });
}

stageTest("STATUS tries it in a namespace of its own, and says what a kernel lacks", async (stage) => {
  const before = await seen(stage);
  const status = (env: Record<string, string>) => call(stage, "STATUS", { cniVersion: "1.1.0", prevResult: undefined }, { program: `${faultyBinFolder}/bandwidth`, env });
  expect(await status({})).toMatchObject(quiet);
  const calls = (await status({ VETHWORK_FAULT: "count" })).err.trim().split("\n");
  for (const kind of ["ifb", "tbf", "ingress", "u32"]) {
    const at = calls.findIndex((line) => line.includes(` ${kind} `)) + 1;
    expect({ kind, at }).not.toEqual({ kind, at: 0 });
    expect({ kind, ...(await status({ VETHWORK_FAULT: `fail:${at}:ENOENT` })).result }).toMatchObject({ kind, code: 50, msg: expect.stringContaining("this kernel cannot limit what is sent (CONFIG_IFB, CONFIG_NET_SCH_TBF"), details: expect.stringContaining(kind) });
  }
  expect(await seen(stage)).toEqual(before);
});

stageTest("what is wrong is named before anything is made, and DEL goes on with it", async (stage) => {
  await addDevice(stage, "cable");
  const before = await seen(stage);
  for (const [options, says] of [
    [{ ingressBurst: 0 }, /if rate is set, burst must also be set \(ingressRate is 8000000, ingressBurst 0\)/], [{ egressRate: 0 }, /if burst is set, rate must also be set/], [{ egressBurst: 2 ** 35 }, /burst cannot be more than 4GB/], [{ egressRate: -1 }, /egressRate.*-1/],
    [{ egressRate: 1 }, /cannot be less than 8 bits/], [{ ...subnets, shapedSubnets: ["10.0.0.0/8"] }, /cannot be both specified/], [{ unshapedSubnets: ["10.0.0.0"] }, /unshapedSubnets\[0\].*"10\.0\.0\.0"/],
    [{ prevResult: undefined }, /Required prevResult missing/], [{ ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined, prevResult: undefined }, /Required prevResult missing/],
  ] as const) {
    const refused = await call(stage, "ADD", options);
    expect({ options, code: refused.code, msg: said(refused) }).toEqual({ options, code: 1, msg: expect.stringMatching(says) });
    expect({ options, code: (await call(stage, "DEL", options)).code, seen: await seen(stage) }).toEqual({ options, code: 0, seen: before });
  }
  expect(said(await call(stage, "ADD", {}, { ifname: "net7" }))).toContain('the pod has no interface "net7"');
  expect((await call(stage, "ADD", {}, { env: { CNI_NETNS: "/run/netns/gone" } })).result).toMatchObject({ code: 3 });
  expect(await seen(stage)).toEqual(before);
});

stageTest("host-device's device goes back to the node without a limit", async (stage) => {
  const made = await stage.addPod("pod1");
  await stage.node.run(["sh", "-c", "ip link add dev7 type veth peer name port netns world; ip link set dev7 up"]);
  const device = { cniVersion: "1.0.0", name: netName, type: "host-device", device: "dev7" };
  const { result } = await stage.call({ command: "ADD", pod: made, config: device });
  expect((await stage.call({ command: "ADD", pod: made, config: { cniVersion: "1.0.0", name: netName, type: "bandwidth", ...limits, prevResult: result } })).code).toBe(0);
  expect((await buckets(stage)).pod).toHaveLength(3);
  for (const config of [{ cniVersion: "1.0.0", name: netName, type: "bandwidth", ...limits, prevResult }, device]) expect(await stage.call({ command: "DEL", pod: made, config })).toMatchObject(quiet);
  expect(await buckets(stage)).toEqual({ node: [], pod: [] });
  expect(await stage.node.run(["ip", "link", "show", "dev7"])).toContain("dev7");
});
