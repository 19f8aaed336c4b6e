/** tap in a pod: a device that a program opens by its name, frames between both, as a port of a bridge, and with the reference. */
import { expect, test } from "bun:test";
import { find } from "@vethwork/cni";
import { Netns, openTap } from "@vethwork/linux";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { onStage, stageLacks, stageTest, type Pod, type Stage } from "../testing/stage.ts";

const ipam = { type: "host-local", ranges: [[{ subnet: "10.6.0.0/24", rangeStart: "10.6.0.5" }], [{ subnet: "fd06::/64", rangeStart: "fd06::5" }]], routes: [{ dst: "0.0.0.0/0" }] };
const config = { cniVersion: "1.0.0", name: "taps", type: "tap", ipam };
const full = { owner: 107, group: 108, mtu: 1400, mac: "02:00:00:00:00:07" };
const quiet = { code: 0, out: "", err: "" };
const call = (stage: Stage, command: string, pod: Pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod });
const linkIn = async (stage: Stage, pod: string, name = "eth0"): Promise<string> => stage.node.run(["ip", "-n", pod, "-d", "link", "show", "dev", name]);
const fromHere = (stage: Stage, { netns }: Pod): Netns => Netns.open(`/proc/${stage.node.pid}/root${netns}`);

stageTest("a pod gets a tap as asked, a program in it sees what the pod sends; CHECK, and DEL leaves nothing, twice", async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  const { code, result: prevResult } = await call(stage, "ADD", pod, full);
  expect({ code, prevResult }).toMatchObject({
    code: 0, prevResult: { interfaces: [{ name: "eth0", mac: full.mac, sandbox: pod.netns }], ips: [{ address: "10.6.0.5/24", interface: 0 }, { address: "fd06::5/64", interface: 0 }] },
  });
  expect(await linkIn(stage, "pod1")).toMatch(/mtu 1400[\s\S]*02:00:00:00:00:07[\s\S]*tun type tap pi off .* persist on user 107 group 108/);
  {
    using netns = fromHere(stage, pod);
    using program = openTap(netns, { name: "eth0" });
    await stage.node.exec(["ip", "netns", "exec", "pod1", "ping", "-c1", "-w1", "10.6.0.9"]);
    const frames = Array.from({ length: 50 }, () => program.receive());
    expect(frames.some((frame) => frame?.[13] === 0x06 && String(frame.slice(38, 42)) === "10,6,0,9")).toBe(true); // who has 10.6.0.9
    expect(await call(stage, "CHECK", pod, { ...full, prevResult })).toMatchObject(quiet);
  }
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", pod, full)).toMatchObject(quiet);
  expect(await call(stage, "DEL", { ...pod, netns: "/run/netns/gone" })).toMatchObject(quiet);
  expect(await stage.state()).toEqual(before);
});

stageTest("without IPAM it is a port of the pod's bridge, many may open it, and the runtime names its MAC address", async (stage) => {
  const pod = await stage.addPod("pod1");
  await stage.node.run(["sh", "-c", "ip -n pod1 link add br0 type bridge; ip -n pod1 link set br0 up"]);
  const { ipam: _ipam, ...bare } = config;
  const options = { ...bare, bridge: "br0", multiQueue: true, mac: "02:00:00:00:00:01", runtimeConfig: { mac: "02:00:00:00:00:03" } };
  const { code, result } = await stage.call({ command: "ADD", config: options, pod, env: { CNI_ARGS: "IgnoreUnknown=1;MAC=02:00:00:00:00:02" } });
  expect({ code, result }).toEqual({ code: 0, result: { cniVersion: "1.0.0", interfaces: [{ name: "eth0", mac: "02:00:00:00:00:03", sandbox: pod.netns }] } });
  expect(await linkIn(stage, "pod1")).toMatch(/<[^>]*\bUP\b.*master br0[\s\S]*multi_queue/);
  const check = () => stage.call({ command: "CHECK", config: { ...options, prevResult: result }, pod });
  using netns = fromHere(stage, pod);
  using _one = openTap(netns, { name: "eth0", multiQueue: true });
  using _other = openTap(netns, { name: "eth0", multiQueue: true });
  expect(await check()).toMatchObject(quiet);
  await stage.node.run(["ip", "-n", "pod1", "link", "set", "eth0", "nomaster"]);
  expect(find((await check()).result, "msg")).toContain('it is no port of "br0"');
});

stageTest("CHECK finds what is not as asked", async (stage) => {
  const pod = await stage.addPod("pod1");
  const { result: prevResult } = await call(stage, "ADD", pod, full);
  for (const [more, says] of [
    [{ owner: 1 }, /it is user 107's and group 108's \(1 and 108 are wanted\)/], [{ multiQueue: true }, /it has one queue/], [{ mtu: 1300 }, /its MTU is 1400 \(1300 is wanted\)/], [{ bridge: "nobody" }, /has no bridge "nobody"/],
  ] as const) expect({ more, msg: find((await call(stage, "CHECK", pod, { ...full, prevResult, ...more })).result, "msg") }).toEqual({ more, msg: expect.stringMatching(says) });
  await stage.node.run(["sh", "-c", "ip -n pod1 link del eth0; ip -n pod1 tuntap add eth0 mode tun; ip -n pod1 link set eth0 up"]);
  expect(find((await call(stage, "CHECK", pod, { ...full, prevResult })).result, "msg")).toMatch(/lost its address.*it is no tap/);
});

stageTest("what is wrong is named, and nothing is left; STATUS misses the device of all taps", async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const [more, says] of [
    [{ bridge: "nobody" }, /the pod has no bridge "nobody"/], [{ bridge: "lo" }, /the pod has no bridge "lo"/], [{ owner: -1 }, /owner/], [{ mtu: 70_000 }, /mtu/], [{ mac: "01:00:5e:00:00:01" }, /EADDRNOTAVAIL/],
    [{ ipam: { ...ipam, ranges: [[{ subnet: "10.6.0.0/33" }]] } }, /10\.6\.0\.0\/33/],
  ] as const) {
    const refused = await call(stage, "ADD", pod, more);
    expect({ more, code: refused.code, msg: `${String(find(refused.result, "msg"))} ${String(find(refused.result, "details") ?? "")}` }).toEqual({ more, code: 1, msg: expect.stringMatching(says) });
    expect({ more, links: await stage.node.run(["ip", "-n", "pod1", "-br", "link"]), files: (await stage.state()).files }).toEqual({ more, links: expect.not.stringContaining("eth0"), files: before.files });
  }
  expect((await call(stage, "STATUS", pod, { cniVersion: "1.1.0" })).code).toBe(0);
  await stage.node.run(["mount", "--bind", "/run", "/dev/net"]);
  expect((await call(stage, "STATUS", pod, { cniVersion: "1.1.0" })).result).toMatchObject({ code: 50 });
});

const hasSelinux = (await Bun.file("/sys/fs/selinux/enforce").exists());
test.skipIf(stageLacks !== "" || hasSelinux)(skipped("a security label is refused in words where SELinux is not, and nothing is left", stageLacks || (hasSelinux ? "a kernel without SELinux" : "")), () => onStage(async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  const refused = await call(stage, "ADD", pod, { selinuxContext: "system_u:system_r:container_t:s0" });
  expect(refused.result).toMatchObject({ code: 7, msg: expect.stringMatching(/^cannot take the security label "system_u:system_r:container_t:s0": .* \(SELinux and a label that it knows are wanted\)$/) });
  expect(await stage.state()).toEqual(before);
}));

