/** host-device on a node with devices to spare: they go to the pod, work there, and come back as they were. */
import { expect } from "bun:test";
import { find } from "@vethwork/cni";
import { stageTest, type Pod, type Stage } from "../testing/stage.ts";

const ipam = { type: "host-local", subnet: "10.5.0.0/24", routes: [{ dst: "0.0.0.0/0" }] };
const config = { cniVersion: "1.1.0", name: "spare", type: "host-device", device: "spare0", ipam };
const call = (stage: Stage, command: string, pod: Pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod });
const linksOf = async (stage: Stage, ...where: string[]): Promise<string> => stage.node.run(["ip", ...where, "-d", "link", "show"]);

/** A device of the node whose other end is a switch that answers at 10.5.0.1. */
async function addSpare(stage: Stage): Promise<void> {
  await stage.node.run(["ip", "netns", "add", "switch"]);
  await stage.node.run(["ip", "link", "add", "spare0", "address", "02:00:00:00:00:55", "mtu", "1400", "type", "veth", "peer", "name", "port0", "netns", "switch"]);
  await stage.node.run(["ip", "-n", "switch", "addr", "add", "10.5.0.1/24", "dev", "port0"]);
  await stage.node.run(["ip", "-n", "switch", "link", "set", "port0", "up"]);
}

stageTest("a device moves into the pod with its MAC address and MTU, works there, and comes back under its own name", async (stage) => {
  await addSpare(stage);
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const which of [{ device: "spare0" }, { device: "", hwaddr: "02:00:00:00:00:55" }]) {
    const { code, result: prevResult } = await call(stage, "ADD", pod, which);
    expect({ code, prevResult: structuredClone(prevResult) }).toMatchObject({ code: 0, prevResult: { interfaces: [{ name: "eth0", mac: "02:00:00:00:00:55", sandbox: pod.netns }], ips: [{ address: expect.stringMatching(/^10\.5\.0\.\d+\/24$/), interface: 0 }] } });
    expect(await linksOf(stage)).not.toContain("spare0");
    expect(await linksOf(stage, "-n", "pod1")).toMatch(/eth0@[\s\S]*mtu 1400[\s\S]*alias spare0/);
    expect((await stage.node.exec(["ip", "netns", "exec", "pod1", "ping", "-c1", "-W5", "10.5.0.1"])).code).toBe(0);
    expect(await call(stage, "CHECK", pod, { ...which, prevResult })).toMatchObject({ code: 0, out: "" });
    for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", pod, which)).toMatchObject({ code: 0, out: "", err: "" });
    expect(await stage.state()).toEqual(before);
    expect(await linksOf(stage)).not.toContain("alias");
  }
});

stageTest("CHECK finds what somebody took away; without IPAM the device is up and bare", async (stage) => {
  await addSpare(stage);
  for (const [command, says] of [
    ["ip -n pod1 addr flush dev eth0", /has lost its address 10\.5\.0\.\d+\/24/], ["ip -n pod1 link set eth0 down", /"eth0" is down/], ["ip -n pod1 link set eth0 address 02:00:00:00:00:09", /MAC address 02:00:00:00:00:09 instead/],
    ["ip -n pod1 link set eth0 down; ip -n pod1 link set eth0 name other", /no interface "eth0"/],
  ] as const) {
    const pod = await stage.addPod("pod1");
    const { result: prevResult } = await call(stage, "ADD", pod);
    await stage.node.run(["sh", "-c", command]);
    expect({ command, msg: find((await call(stage, "CHECK", pod, { prevResult })).result, "msg") }).toEqual({ command, msg: expect.stringMatching(says) });
    await stage.node.exec(["ip", "-n", "pod1", "link", "set", "other", "name", "eth0"]);
    expect((await call(stage, "DEL", pod)).code).toBe(0);
    await stage.deletePod(pod);
    await stage.node.run(["ip", "link", "set", "spare0", "address", "02:00:00:00:00:55"]);
  }
  const pod = await stage.addPod("pod1");
  const { ipam: _ipam, ...bare } = config;
  expect((await stage.call({ command: "ADD", config: bare, pod })).result).toEqual({ cniVersion: "1.1.0", interfaces: [{ name: "eth0", mac: "02:00:00:00:00:55", sandbox: pod.netns }] });
  expect(await linksOf(stage, "-n", "pod1")).toContain("state UP");
});

stageTest("what is wrong is named; the device stays where it was, and as up as it was", async (stage) => {
  await addSpare(stage);
  await stage.node.run(["ip", "link", "set", "spare0", "up"]);
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const [more, says] of [
    [{ device: "" }, /specify either "device", "hwaddr", "kernelpath" or "pciBusID"/], [{ device: "nobody" }, /failed to find host device: there is no link "nobody"/],
    [{ device: "", hwaddr: "02:00:00:00:00:99" }, /no link has the MAC address 02:00:00:00:00:99/], [{ device: "", kernelpath: "/etc/net" }, /must be in \/sys\/devices/],
    [{ device: "", pciBusID: "../../x" }, /"pciBusID" is "\.\.\/\.\.\/x"/], [{ device: "", pciBusID: "ffff:ff:ff.7" }, /no net directory/], [{ runtimeConfig: { deviceID: "nobody" } }, /DeviceID nobody not found/],
    [{ ipam: { type: "host-local", subnet: "10.5.0.0/33" } }, /10\.5\.0\.0\/33/],
  ] as const) {
    const refused = await call(stage, "ADD", pod, more);
    expect({ more, code: refused.code, msg: `${String(find(refused.result, "msg"))} ${String(find(refused.result, "details") ?? "")}` }).toEqual({ more, code: 1, msg: expect.stringMatching(says) });
    expect({ more, state: await stage.state() }).toEqual({ more, state: before });
  }
  expect(await stage.node.run(["ip", "-o", "link", "show", "spare0"])).toMatch(/<[^>]*\bUP\b/);
  await stage.node.run(["ip", "-n", "pod1", "link", "add", "eth0", "type", "bridge"]);
  expect(find((await call(stage, "ADD", pod)).result, "msg")).toBe('CNI_IFNAME "eth0" is taken in the pod (a free name is wanted)');
  expect(await linksOf(stage)).not.toContain("alias");
});
