/**
 * The plugin on a real kernel: what each verb leaves on the node and in the pod, and that packets go where they should.
 * The oracles are `ip -j` and `nft`, not our own library.
 */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import type { NetworkState } from "../../../tests/conformance/node/leftovers.ts";
import { address } from "../../../tests/conformance/node/node.ts";
import { stageTest, type Pod, type Stage } from "../testing/stage.ts";

const ipv4 = { cniVersion: "0.3.1", name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" };
const newest = { ...ipv4, cniVersion: "1.1.0" };
const dual = {
  ...newest, network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.1.0/24", "fd00:10:244:1::/64"],
};
const ipv6 = { ...newest, network: "fd00:10:244::/48", subnet: "fd00:10:244:1::/64" };

stageTest("ADD with the smallest configuration gives the pod an address, a way to the node and a way out", async (stage) => {
  const pod = await stage.addPod("pod1");
  const added = await stage.call({ command: "ADD", config: ipv4, pod });
  expect(added).toMatchObject({ code: 0, err: "" });
  expect(added.result).toEqual({
    cniVersion: "0.3.1",
    interfaces: [
      { name: expect.stringMatching(/^veth[0-9a-f]{11}$/), mac: "02:76:65:74:68:01" },
      { name: "eth0", mac: "0a:58:0a:f4:00:02", sandbox: "/run/netns/pod1" },
    ],
    ips: [{ version: "4", address: "10.244.0.2/32", gateway: "169.254.1.1", interface: 1 }],
    routes: [{ dst: "0.0.0.0/0", gw: "169.254.1.1" }],
    dns: {},
  });
  expect(await linesInPod(stage, pod, "ip", "-4", "route")).toEqual([
    "169.254.1.1 dev eth0 proto static scope link", "default via 169.254.1.1 dev eth0 proto static",
  ]);
  expect(await linesInPod(stage, pod, "ip", "neigh")).toEqual(["169.254.1.1 dev eth0 lladdr 02:76:65:74:68:01 PERMANENT"]);
  expect(await reaches(stage, pod, address.node4)).toBe(true);
  expect(await reaches(stage, pod, address.world4)).toBe(true);
  expect((await stage.node.exec(["ping", "-c", "1", "-W", "2", "10.244.0.2"])).code).toBe(0);
});

stageTest("two pods reach each other, and each sees the other's own address", async (stage) => {
  const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of [one, two]) expect((await stage.call({ command: "ADD", config: dual, pod })).code).toBe(0);
  expect(await reaches(stage, one, "10.244.1.3")).toBe(true);
  expect(await reaches(stage, one, "fd00:10:244:1::3")).toBe(true);
  expect(await reaches(stage, two, "fd00:10:244:1::2")).toBe(true);
  const seen = await stage.node.run(["ip", "netns", "exec", "pod2", "ip", "neigh", "show", "dev", "eth0"]);
  expect(seen).not.toContain("10.244.1.2"); // routed: nobody but the gateway is ever a neighbour
});

stageTest("IPv6 alone works as IPv4 alone does", async (stage) => {
  const pod = await stage.addPod("pod1");
  const added = await stage.call({ command: "ADD", config: ipv6, pod });
  expect(find(added.result, "ips")).toEqual([{ address: "fd00:10:244:1::2/128", gateway: "fe80::1", interface: 1 }]);
  expect(await linesInPod(stage, pod, "ip", "-4", "route")).toEqual([]);
  expect(await reaches(stage, pod, address.node6)).toBe(true);
  expect(await reaches(stage, pod, address.world6)).toBe(true);
});

stageTest("the world sees the node's address, and `ipMasq: false` leaves the pod's", async (stage) => {
  await stage.node.run(["ip", "-n", "world", "route", "add", "10.244.0.0/16", "via", address.node4]);
  const log = async (): Promise<string> => await stage.node.run(["ip", "netns", "exec", "world", "nft", "list", "ruleset"]);
  const rules = "table ip seen { set from { type ipv4_addr; flags dynamic; }; chain in { type filter hook input priority 0; add @from { ip saddr }; }; }";
  await stage.node.run(["ip", "netns", "exec", "world", "nft", rules]);
  const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  await stage.call({ command: "ADD", config: ipv4, pod: one });
  expect(await reaches(stage, one, address.world4)).toBe(true);
  expect(await log()).toContain(address.node4);
  expect(await log()).not.toContain("10.244.0.2");
  const open = { ...ipv4, name: "open", network: "10.245.0.0/16", subnet: "10.245.0.0/24", ipMasq: false };
  await stage.node.run(["ip", "-n", "world", "route", "add", "10.245.0.0/16", "via", address.node4]);
  await stage.call({ command: "ADD", config: open, pod: two });
  expect(await reaches(stage, two, address.world4)).toBe(true);
  expect(await log()).toContain("10.245.0.2");
});

stageTest("DEL of the last pod leaves the node as it was before the first", async (stage) => {
  // Forwarding stays on, since others may have come to need it; with it, IPv6 has routes of its own for routers.
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  const before = await stage.state();
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of pods) expect((await stage.call({ command: "ADD", config: dual, pod })).code).toBe(0);
  expect(await stage.state()).not.toEqual(before);
  for (const pod of pods) expect(await stage.call({ command: "DEL", config: dual, pod })).toMatchObject({ code: 0, out: "", err: "" });
  for (const pod of pods) await stage.deletePod(pod);
  expect(await stage.state()).toEqual(before);
});

stageTest("DEL is quiet before ADD, twice, with the namespace gone and with the state gone", async (stage) => {
  const before = await stage.state();
  const quiet = { code: 0, out: "", err: "" };
  const pod = await stage.addPod("pod1");
  expect(await stage.call({ command: "DEL", config: ipv4, pod })).toMatchObject(quiet);
  await stage.call({ command: "ADD", config: ipv4, pod });
  expect(await stage.call({ command: "DEL", config: ipv4, pod })).toMatchObject(quiet);
  expect(await stage.call({ command: "DEL", config: ipv4, pod })).toMatchObject(quiet);

  await stage.call({ command: "ADD", config: ipv4, pod });
  await stage.deletePod(pod);
  expect(await stage.call({ command: "DEL", config: ipv4, pod })).toMatchObject(quiet);
  expect(await stage.call({ command: "DEL", config: ipv4, pod, env: { CNI_NETNS: "" } })).toMatchObject(quiet);
  expect(await stage.state()).toEqual(before);

  await stage.addPod("pod1");
  await stage.call({ command: "ADD", config: ipv4, pod });
  await stage.node.run(["rm", "-r", "/run/vethwork"]);
  expect(await stage.call({ command: "DEL", config: ipv4, pod })).toMatchObject(quiet);
  await stage.deletePod(pod);
  expect(await stage.state()).toEqual(before);
});

stageTest("DEL works with a configuration that has become wrong since ADD", async (stage) => {
  const before = await stage.state();
  const pod = await stage.addPod("pod1");
  await stage.call({ command: "ADD", config: ipv4, pod });
  const wrong = { ...ipv4, subnet: "10.250.0.0/24", mtu: "big" };
  expect(await stage.call({ command: "DEL", config: wrong, pod })).toMatchObject({ code: 0, out: "" });
  await stage.deletePod(pod);
  const after = await stage.state();
  expect({ ...after, routes: [] }).toEqual({ ...before, routes: [] });
});

stageTest("an address is not lost when the namespace is gone before DEL", async (stage) => {
  const tiny = { ...ipv4, subnet: "10.244.0.0/30" };
  for (let round = 0; round < 3; round++) {
    const pod = await stage.addPod(`pod${round}`);
    const added = await stage.call({ command: "ADD", config: tiny, pod });
    expect(find(added.result, "ips")).toEqual([expect.objectContaining({ address: "10.244.0.2/32" })]);
    await stage.deletePod(pod);
    expect((await stage.call({ command: "DEL", config: tiny, pod })).code).toBe(0);
  }
});

stageTest("nothing is linked into /var/run/netns and no host end stays behind", async (stage) => {
  const pod = await stage.addPod("pod1");
  await stage.call({ command: "ADD", config: ipv4, pod });
  expect((await stage.node.run(["ls", "/var/run/netns"])).trim().split("\n").sort()).toEqual(["pod1", "world"]);
  await stage.deletePod(pod);
  await stage.call({ command: "DEL", config: ipv4, pod });
  expect(await stage.node.run(["ip", "-o", "link", "show", "type", "veth"])).not.toContain("vethwork");
});

stageTest("the pod's cable has the MTU of the node's way into the world, or the one that is asked for", async (stage) => {
  await stage.node.run(["ip", "link", "set", "eth0", "mtu", "1400"]);
  const [one, two] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  await stage.call({ command: "ADD", config: newest, pod: one });
  expect(await mtus(stage, one)).toEqual([1400, 1400]);
  const added = await stage.call({ command: "ADD", config: { ...newest, mtu: 1300 }, pod: two });
  expect(await mtus(stage, two)).toEqual([1300, 1300]);
  expect(find(added.result, "interfaces")).toEqual([expect.anything(), expect.objectContaining({ mtu: 1300 })]);
});

stageTest("CHECK finds each thing that somebody took away, and says which", async (stage) => {
  const broken: readonly [what: string, argv: readonly string[], says: RegExp][] = [
    ["the pod's address", ["ip", "-n", "pod1", "addr", "flush", "dev", "eth0"], /"eth0" has lost its address 10\.244\.0\.2/],
    ["the pod's default route", ["ip", "-n", "pod1", "route", "del", "default"], /no default route by 169\.254\.1\.1/],
    ["the pod's neighbour", ["ip", "-n", "pod1", "neigh", "flush", "dev", "eth0", "nud", "permanent"], /does not know that 169\.254\.1\.1/],
    ["the pod's link", ["ip", "-n", "pod1", "link", "set", "eth0", "down"], /interface "eth0" is down/],
    ["the route to the pod", ["ip", "route", "del", "10.244.0.2"], /no route to 10\.244\.0\.2/],
    ["forwarding", ["sysctl", "-qw", "net.ipv4.ip_forward=0"], /does not forward IPv4/],
    ["the rules", ["nft", "delete", "table", "inet", "vethwork"], /nft rule "ip saddr 10\.244\.0\.0\/16 .*masquerade.*" is missing/],
    ["the address in the book", ["rm", "/run/vethwork/mynet/10.244.0.2"], /reserved/],
  ];
  for (const [what, argv, says] of broken) {
    const pod = await stage.addPod("pod1");
    const { result: prevResult } = await stage.call({ command: "ADD", config: newest, pod });
    const config = { ...newest, prevResult };
    expect(await stage.call({ command: "CHECK", config, pod })).toMatchObject({ code: 0, out: "", err: "" });
    await stage.node.run(argv);
    const checked = await stage.call({ command: "CHECK", config, pod });
    expect({ what, code: checked.code, error: find(checked.result, "code") }).toEqual({ what, code: 1, error: 100 });
    expect(find(checked.result, "msg")).toMatch(says);
    await stage.call({ command: "DEL", config, pod });
    await stage.deletePod(pod);
    await stage.node.run(["rm", "-rf", "/run/vethwork"]);
  }
});

stageTest("GC takes away what is in no list, and nothing else", async (stage) => {
  const pods = [await stage.addPod("keep"), await stage.addPod("gone"), await stage.addPod("lost")];
  const [keep, gone, lost] = pods;
  if (!keep || !gone || !lost) throw new TypeError("three pods are wanted");
  const other = { ...newest, name: "other", subnet: "10.244.9.0/24" };
  const foreign = await stage.addPod("foreign");
  await stage.call({ command: "ADD", config: other, pod: foreign });
  const { result: prevResult } = await stage.call({ command: "ADD", config: newest, pod: keep });
  const state = withoutNames(await stage.state());
  for (const pod of [gone, lost]) await stage.call({ command: "ADD", config: newest, pod });
  await stage.deletePod(lost);
  const config = { ...newest, "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] };
  expect(await stage.call({ command: "GC", config })).toMatchObject({ code: 0, out: "", err: "" });
  expect(withoutNames(await stage.state())).toEqual(state);
  expect((await stage.call({ command: "CHECK", config: { ...newest, prevResult }, pod: keep })).code).toBe(0);
  // Without a list nothing is known to be stale.
  expect((await stage.call({ command: "GC", config: newest })).code).toBe(0);
  expect((await stage.call({ command: "CHECK", config: { ...newest, prevResult }, pod: keep })).code).toBe(0);
});

stageTest("STATUS says 50 while the subnet is full, and nothing while there is room", async (stage) => {
  const tiny = { ...newest, subnet: "10.244.0.0/30" };
  const before = await stage.state();
  expect(await stage.call({ command: "STATUS", config: tiny })).toMatchObject({ code: 0, out: "", err: "" });
  expect(await stage.state()).toEqual(before);
  await stage.call({ command: "ADD", config: tiny, pod: await stage.addPod("pod1") });
  const full = await stage.call({ command: "STATUS", config: tiny });
  expect(full.result).toMatchObject({ code: 50, msg: expect.stringContaining('no address left in subnet "10.244.0.0/30"') });
});

stageTest("a second interface of the same container is an attachment of its own", async (stage) => {
  const pod = await stage.addPod("pod1");
  await stage.call({ command: "ADD", config: newest, pod });
  const second = await stage.call({ command: "ADD", config: { ...newest, name: "other", subnet: "10.244.7.0/24" }, pod, ifname: "net1" });
  expect(find(second.result, "ips")).toEqual([expect.objectContaining({ address: "10.244.7.2/32" })]);
  expect((await stage.call({ command: "DEL", config: newest, pod })).code).toBe(0);
  expect(await linesInPod(stage, pod, "ip", "-o", "-4", "addr", "show", "dev", "net1")).toHaveLength(1);
});

stageTest("a plugin before it in the chain keeps its interfaces and addresses in the result", async (stage) => {
  const pod = await stage.addPod("pod1");
  const prevResult = {
    cniVersion: "1.1.0", interfaces: [{ name: "net0", sandbox: pod.netns }],
    ips: [{ address: "192.0.2.77/24", interface: 0 }], dns: { nameservers: ["192.0.2.53"] },
  };
  const { result } = await stage.call({ command: "ADD", config: { ...newest, prevResult }, pod });
  expect(find(result, "interfaces")).toHaveLength(3);
  expect(find(result, "ips")).toEqual([prevResult.ips[0], expect.objectContaining({ address: "10.244.0.2/32", interface: 2 })]);
  expect(find(result, "dns")).toEqual(prevResult.dns);
});

/** The state without the pods' own namespaces. */
const withoutNames = (state: NetworkState): NetworkState => ({
  ...state, netns: [], files: state.files.filter((path) => !path.startsWith("/run/netns/")),
});

async function linesInPod(stage: Stage, pod: Pod, ...argv: string[]): Promise<string[]> {
  const text = await stage.node.run(["ip", "netns", "exec", pod.name, ...argv]);
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").toSorted();
}

async function reaches(stage: Stage, pod: Pod, ip: string): Promise<boolean> {
  return (await stage.node.exec(["ip", "netns", "exec", pod.name, "ping", "-c", "1", "-W", "2", ip])).code === 0;
}

/** Of the pod's interface, and of the node's end. */
async function mtus(stage: Stage, pod: Pod): Promise<unknown[]> {
  const inside = objectsIn(await stage.node.run(["ip", "-n", pod.name, "-j", "link", "show", "eth0"]));
  const outside = objectsIn(await stage.node.run(["ip", "-j", "link", "show", "type", "veth"]));
  const near = outside.find((link) => String(find(link, "ifalias")).endsWith(`${pod.name}/eth0`));
  return [find(inside[0] ?? {}, "mtu"), find(near ?? {}, "mtu")];
}

function objectsIn(text: string): JsonObject[] {
  const json = parseJson(text);
  return Array.isArray(json) ? json.filter(isObject) : [];
}
