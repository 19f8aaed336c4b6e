/** bridge's own options, each by what packets do or what the kernel shows. */
import { expect, test } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { kernelLacks } from "../../../tests/conformance/node/kernel.ts";
import type { NetworkState } from "../../../tests/conformance/node/leftovers.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { dualIpam, reaches } from "../testing/interface-suite.ts";
import { onStage, stageLacks, stageTest, type Pod, type Stage } from "../testing/stage.ts";

const base = { cniVersion: "1.1.0", name: "mynet", type: "bridge" };
const gateway = { ...base, isGateway: true, ipam: dualIpam };

const add = async (stage: Stage, name: string, config: object): Promise<{ pod: Pod; code: number; result: JsonObject }> => {
  const pod = await stage.addPod(name);
  return { pod, ...(await stage.call({ command: "ADD", config, pod })) };
};
const near = ({ result }: { result: JsonObject }): string => interfacesIn(result)[1] ?? "";
const interfacesIn = (result: JsonObject): string[] => {
  const list = find(result, "interfaces");
  return Array.isArray(list) ? list.filter(isObject).map((one) => String(find(one, "name"))) : [];
};
const inPod = (stage: Stage, name: string, ...argv: string[]): Promise<string> => stage.node.run(["ip", "netns", "exec", name, ...argv]);

stageTest("hairpinMode and portIsolation are the port's, promiscMode is the bridge's", async (stage) => {
  const hairpin = await add(stage, "pod1", { ...gateway, hairpinMode: true });
  expect(await stage.node.run(["bridge", "-d", "link", "show", "dev", near(hairpin)])).toMatch(/hairpin on.*isolated off/s);
  const isolated = [await add(stage, "pod2", { ...gateway, portIsolation: true }), await add(stage, "pod3", { ...gateway, portIsolation: true, promiscMode: true })];
  for (const one of isolated) expect(await stage.node.run(["bridge", "-d", "link", "show", "dev", near(one)])).toMatch(/hairpin off.*isolated on/s);
  expect(await reaches(stage, "pod2", "10.1.2.4")).toBe(false);
  for (const ip of ["10.1.2.1", "10.1.2.2", "fd00:1:2::1"]) expect({ ip, reached: await reaches(stage, "pod2", ip) }).toEqual({ ip, reached: true });
  expect(await stage.node.run(["ip", "link", "show", "cni0"])).toContain("PROMISC");
  const [one] = isolated;
  await stage.node.run(["bridge", "link", "set", "dev", one ? near(one) : "", "isolated", "off"]);
  const checked = await stage.call({ command: "CHECK", config: { ...gateway, portIsolation: true, prevResult: one?.result }, ...(one && { pod: one.pod }) });
  expect({ code: checked.code, says: find(checked.result, "msg") }).toEqual({ code: 1, says: expect.stringContaining("is not isolated") });
});

stageTest("macspoofchk drops what a pod sends with another MAC address, and only that", async (stage) => {
  const { result } = await add(stage, "pod1", { ...gateway, macspoofchk: true, runtimeConfig: { mac: "0a:58:0a:01:02:02" } });
  const interfaces = find(result, "interfaces");
  expect(interfaces).toMatchObject([{ name: "cni0" }, {}, { name: "eth0", mac: "0a:58:0a:01:02:02" }]);
  expect(await reaches(stage, "pod1", "10.1.2.1")).toBe(true);
  await stage.node.run(["ip", "-n", "pod1", "link", "set", "eth0", "address", "02:00:00:00:00:66"]);
  expect(await reaches(stage, "pod1", "10.1.2.1")).toBe(false);
  await stage.node.run(["ip", "-n", "pod1", "link", "set", "eth0", "address", "0a:58:0a:01:02:02"]);
  expect(await reaches(stage, "pod1", "10.1.2.1")).toBe(true);
});

stageTest("another subnet's gateway on the bridge is refused, and with forceAddress takes its place; IPv6 subnets live side by side", async (stage) => {
  await add(stage, "pod1", gateway);
  const other = { ...gateway, name: "other", ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }]] } };
  const refused = await add(stage, "pod2", other);
  expect(refused.result).toMatchObject({ code: 7, msg: '"cni0" already has an IP address different from 10.9.0.1/24' });
  expect(await stage.node.run(["ip", "-n", "pod2", "-o", "link"])).not.toContain("eth0");
  expect((await stage.node.run(["ls", "/var/lib/cni/networks/other"])).match(/10\.9/)).toBeNull();
  expect((await stage.call({ command: "ADD", config: { ...other, forceAddress: true }, pod: refused.pod })).code).toBe(0);
  expect(await stage.node.run(["ip", "-4", "-o", "addr", "show", "cni0"])).toMatch(/10\.9\.0\.1\/24/);
  expect(await stage.node.run(["ip", "-4", "-o", "addr", "show", "cni0"])).not.toMatch(/10\.1\.2\.1/);
  const six = { ...gateway, name: "six", ipam: { type: "host-local", ranges: [[{ subnet: "fd00:9::/64" }]] } };
  expect((await add(stage, "pod3", six)).code).toBe(0);
  expect(await stage.node.run(["ip", "-6", "-o", "addr", "show", "cni0"])).toMatch(/fd00:1:2::1\/64[^]*fd00:9::1\/64|fd00:9::1\/64[^]*fd00:1:2::1\/64/);
});

stageTest("without IPAM the bridge is a switch and nothing else", async (stage) => {
  for (const [name, ip] of [["pod1", "10.5.0.1/24"], ["pod2", "10.5.0.2/24"]] as const) {
    const { code, result, pod } = await add(stage, name, base);
    expect({ code, interfaces: interfacesIn(result).length, ips: find(result, "ips") }).toEqual({ code: 0, interfaces: 3, ips: undefined });
    expect((await stage.call({ command: "CHECK", config: { ...base, prevResult: result }, pod })).code).toBe(0);
    await stage.node.run(["ip", "-n", name, "addr", "add", ip, "dev", "eth0"]);
  }
  expect(await reaches(stage, "pod1", "10.5.0.2")).toBe(true);
  // Its MAC address is its lowest port's, so it changes while nobody is hurt by it.
  const first = await add(stage, "pod3", base);
  await stage.node.run(["ip", "link", "set", near(first), "address", "02:00:00:00:00:01"]);
  expect((await stage.call({ command: "CHECK", config: { ...base, prevResult: first.result }, pod: first.pod })).code).toBe(0);
  expect(await stage.node.run(["ip", "-4", "-o", "addr", "show", "cni0"])).toBe("");
  expect(await stage.node.run(["sysctl", "-n", "net.ipv4.ip_forward"])).toBe("0\n");
});

stageTest("disableContainerInterface leaves the pod's end down", async (stage) => {
  const config = { ...base, disableContainerInterface: true };
  const { code, result, pod } = await add(stage, "pod1", config);
  expect(code).toBe(0);
  expect(await stage.node.run(["ip", "-n", "pod1", "-o", "link", "show", "eth0"])).toContain("state DOWN");
  expect((await stage.call({ command: "CHECK", config: { ...config, prevResult: result }, pod })).code).toBe(0);
  expect(await stage.call({ command: "DEL", config, pod })).toMatchObject({ code: 0, out: "", err: "" });
});

stageTest("enabledad finds a twin of the pod's IPv6 address, and the ADD is undone", async (stage) => {
  const ipam = { type: "static", addresses: [{ address: "fd00:1:2::5/64", gateway: "fd00:1:2::1" }] };
  expect((await add(stage, "pod1", { ...gateway, ipam, enabledad: true })).code).toBe(0);
  const twin = await add(stage, "pod2", { ...gateway, ipam, enabledad: true });
  expect(twin.result).toMatchObject({ msg: expect.stringContaining("link eth0 has address fd00:1:2::5 in DADFAILED state") });
  expect(await stage.node.run(["ip", "-n", "pod2", "-o", "link"])).not.toContain("eth0");
  expect(await inPod(stage, "pod1", "sysctl", "-n", "net.ipv6.conf.eth0.accept_dad")).toBe("1\n");
});

stageTest("isGateway alone gives no default route; isDefaultGateway gives one, also where IPAM lists it without a gateway", async (stage) => {
  const ipam = { type: "host-local", ranges: dualIpam.ranges };
  await add(stage, "pod1", { ...gateway, ipam });
  expect(await inPod(stage, "pod1", "ip", "route", "show", "default")).toBe("");
  for (const [name, conf] of [["pod2", ipam], ["pod3", dualIpam]] as const) {
    const { code, result } = await add(stage, name, { ...base, isDefaultGateway: true, ipam: conf });
    expect(code).toBe(0);
    expect((await inPod(stage, name, "ip", "route", "show", "default")).trim()).toBe("default via 10.1.2.1 dev eth0");
    expect(await inPod(stage, name, "ip", "-6", "route", "show", "default")).toContain("default via fd00:1:2::1 dev eth0");
    if (conf === ipam) expect(find(result, "routes")).toEqual([{ dst: "0.0.0.0/0", gw: "10.1.2.1" }, { dst: "::/0", gw: "fd00:1:2::1" }]);
  }
});

stageTest("mtu is the cable's and the new bridge's; dns of the network comes before IPAM's", async (stage) => {
  const { result } = await add(stage, "pod1", { ...gateway, mtu: 1300, dns: { nameservers: ["192.0.2.53"] } });
  expect(find(result, "dns")).toEqual({ nameservers: ["192.0.2.53"] });
  expect(await stage.node.run(["ip", "-n", "pod1", "link", "show", "eth0"])).toContain("mtu 1300");
  expect((await stage.node.run(["ip", "-o", "link"])).match(/(cni0|veth\w+)(@\S+)?: .* mtu 1300 /g)).toHaveLength(2);
});

stageTest("a link of the bridge's name that is no bridge is refused by ADD and STATUS", async (stage) => {
  await stage.node.run(["ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other"]);
  const { result } = await add(stage, "pod1", gateway);
  expect(result).toMatchObject({ code: 7, msg: 'failed to create bridge "cni0": "cni0" already exists but is not a bridge' });
  expect((await stage.call({ command: "STATUS", config: gateway })).result).toMatchObject({ code: 50 });
});

stageTest("the bridge keeps its MAC address while pods come and go", async (stage) => {
  const macOf = async (): Promise<string | undefined> => /link\/ether (\S+)/.exec(await stage.node.run(["ip", "link", "show", "cni0"]))?.[1];
  const first = await add(stage, "pod1", gateway);
  const mac = await macOf();
  for (let at = 2; at < 9; at++) await add(stage, `pod${at}`, gateway);
  expect(await macOf()).toBe(mac);
  await stage.call({ command: "DEL", config: gateway, pod: first.pod });
  expect(await macOf()).toBe(mac);
  expect((await stage.call({ command: "DEL", config: gateway, pod: first.pod })).code).toBe(0);
});

const vlans = { ...gateway, vlan: 10, vlanTrunk: [{ minID: 20, maxID: 22 }, { id: 30 }] };
const noVlans = stageLacks || kernelLacks("CONFIG_BRIDGE_VLAN_FILTERING");

test.skipIf(noVlans !== "")(skipped("a VLAN and a trunk: the port's VLANs, and a link of its own for the gateway, which goes with the last port", noVlans), () => onStage(async (stage) => {
  const before = await stage.state();
  const made = await add(stage, "pod1", vlans);
  expect(made.code).toBe(0);
  expect(await stage.node.run(["bridge", "vlan", "show", "dev", near(made)])).toMatch(/10 PVID Egress Untagged[^]*20[^]*21[^]*22[^]*30/);
  expect(interfacesIn(made.result)[3]).toBe("cni0.10");
  expect(await reaches(stage, "pod1", "10.1.2.1")).toBe(true);
  expect((await stage.call({ command: "CHECK", config: { ...vlans, prevResult: made.result }, pod: made.pod })).code).toBe(0);
  await leavesNothing(stage, made.pod, before);
}), 60_000);

if (noVlans === "CONFIG_BRIDGE_VLAN_FILTERING") {
  stageTest("a kernel whose bridges know no VLAN is said to be one, and nothing is left", async (stage) => {
    const before = await stage.state();
    const { pod, result } = await add(stage, "pod1", vlans);
    expect(result).toMatchObject({ code: 50, msg: expect.stringContaining("CONFIG_BRIDGE_VLAN_FILTERING") });
    await leavesNothing(stage, pod, before);
  });
}

async function leavesNothing(stage: Stage, pod: Pod, before: NetworkState): Promise<void> {
  expect(await stage.call({ command: "DEL", config: vlans, pod })).toMatchObject({ code: 0, out: "", err: "" });
  const after = await stage.state();
  expect(after.links.filter((name) => name !== "cni0")).toEqual(before.links);
  expect(after.files.filter((path) => path.includes("by-attachment"))).toEqual([]);
}
