/** macvlan on a node with a wire: pods beside the node in its subnet, whatever becomes of them afterwards. */
import { expect } from "bun:test";
import { find } from "@vethwork/cni";
import { stageTest, type Pod, type Stage } from "../testing/stage.ts";

const ipam = { type: "host-local", ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.10", rangeEnd: "192.0.2.20", gateway: "192.0.2.254" }], [{ subnet: "2001:db8::/64", rangeStart: "2001:db8::10", rangeEnd: "2001:db8::20", gateway: "2001:db8::fe" }]], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] };
const config = { cniVersion: "1.1.0", name: "wire", type: "macvlan", master: "eth0", ipam };
const call = (stage: Stage, command: string, pod: Pod, more: object = {}) => stage.call({ command, config: { ...config, ...more }, pod });
const reaches = async (stage: Stage, pod: string, ip: string): Promise<boolean> => (await stage.node.exec(["ip", "netns", "exec", pod, "ping", "-c1", "-W2", ip])).code === 0;
const message = (result: Parameters<typeof find>[0]): unknown => find(result, "msg");

stageTest("pods reach the wire and each other with addresses of the wire's subnet, and the wire sees their own MAC address", async (stage) => {
  const before = await stage.state();
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const added = [];
  for (const pod of pods) added.push(await call(stage, "ADD", pod, { runtimeConfig: { mac: pod.name === "pod1" ? "02:00:00:00:00:11" : "02:00:00:00:00:12" } }));
  expect(added.map(({ code }) => code)).toEqual([0, 0]);
  expect(added[0]?.result).toMatchObject({
    cniVersion: "1.1.0", interfaces: [{ name: "eth0", mac: "02:00:00:00:00:11", sandbox: "/run/netns/pod1" }],
    ips: [{ address: "192.0.2.10/24", gateway: "192.0.2.254", interface: 0 }, { address: "2001:db8::10/64", gateway: "2001:db8::fe", interface: 0 }],
  });
  for (const ip of ["192.0.2.254", "2001:db8::fe", "192.0.2.11", "2001:db8::11"]) expect({ ip, reached: await reaches(stage, "pod1", ip) }).toEqual({ ip, reached: true });
  expect(await stage.node.run(["ip", "-n", "world", "neigh", "show", "192.0.2.10"])).toContain("02:00:00:00:00:11");
  for (const pod of pods) {
    for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", pod)).toMatchObject({ code: 0, out: "", err: "" });
    await stage.deletePod(pod);
  }
  await stage.node.run(["ip", "-n", "world", "neigh", "flush", "all"]);
  expect(await stage.state()).toEqual(before);
});

stageTest("modes, MTU and the parent of the default route are as asked; private pods do not reach each other", async (stage) => {
  const { master: _master, ...rest } = config;
  const pods = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  for (const pod of pods) expect((await stage.call({ command: "ADD", config: { ...rest, mode: "private", mtu: 1400 }, pod })).code).toBe(0);
  expect(await stage.node.run(["ip", "-n", "pod1", "-d", "link", "show", "eth0"])).toMatch(/mtu 1400[\s\S]*macvlan mode private/);
  expect(await reaches(stage, "pod1", "192.0.2.254")).toBe(true);
  expect(await reaches(stage, "pod1", "192.0.2.11")).toBe(false);
});

stageTest("without IPAM the card is up and has no addresses", async (stage) => {
  const pod = await stage.addPod("pod1");
  const { ipam: _ipam, ...bare } = config;
  expect((await stage.call({ command: "ADD", config: bare, pod })).result).toMatchObject({ interfaces: [{ name: "eth0" }] });
  expect(await stage.node.run(["ip", "-n", "pod1", "-o", "link", "show", "eth0"])).toContain("state UP");
  expect(await stage.node.run(["ip", "-n", "pod1", "-4", "-o", "addr", "show", "eth0"])).toBe("");
});

stageTest("CHECK finds each thing that somebody took away, and says which", async (stage) => {
  for (const [command, says] of [
    ["ip -n pod1 addr del 2001:db8::10/64 dev eth0", /"eth0" has lost its address 2001:db8::10\/64/], ["ip -n pod1 route del default", /lost its route to 0\.0\.0\.0\/0/],
    ["ip -n pod1 link set eth0 down", /"eth0" is down/], ["ip -n pod1 link del eth0", /no interface "eth0"/], ["ip -n pod1 link set eth0 type macvlan mode private", /its mode is private \(bridge is wanted\)/],
    ["ip -n pod1 link set eth0 address 02:00:00:00:00:09", /MAC address 02:00:00:00:00:09 instead of/], ["rm /var/lib/cni/networks/wire/192.0.2.10", /192\.0\.2\.10 is not reserved/],
  ] as const) {
    const pod = await stage.addPod("pod1");
    const { result: prevResult } = await call(stage, "ADD", pod);
    expect({ command, ...(await call(stage, "CHECK", pod, { prevResult })) }).toMatchObject({ command, code: 0 });
    await stage.node.run(["sh", "-c", command]);
    const checked = await call(stage, "CHECK", pod, { prevResult });
    expect({ command, code: checked.code, msg: message(checked.result) }).toEqual({ command, code: 1, msg: expect.stringMatching(says) });
    await call(stage, "DEL", pod);
    await stage.deletePod(pod);
    await stage.node.run(["sh", "-c", "rm -f /var/lib/cni/networks/wire/last_reserved_ip.*"]);
  }
});

stageTest("what is wrong is named, and leaves nothing", async (stage) => {
  const pod = await stage.addPod("pod1");
  const before = await stage.state();
  for (const [more, says] of [
    [{ master: "nobody" }, /failed to lookup master "nobody"/], [{ mode: "fast" }, /mode/], [{ mtu: 9000 }, /invalid MTU 9000, must be \[0, master MTU\(1500\)\]/],
    [{ mac: "02:00" }, /mac/], [{ ipam: { type: "nobody" } }, /nobody/], [{ ipam: { ...ipam, ranges: [[{ subnet: "192.0.2.0/33" }]] } }, /192\.0\.2\.0\/33/],
  ] as const) {
    const refused = await call(stage, "ADD", pod, more);
    expect({ more, code: refused.code, msg: `${String(message(refused.result))} ${String(find(refused.result, "details") ?? "")}` }).toEqual({ more, code: 1, msg: expect.stringMatching(says) });
    expect(await stage.node.run(["ip", "-n", "pod1", "-br", "link"])).not.toContain("eth0");
  }
  expect((await call(stage, "ADD", pod)).code).toBe(0);
  expect(message((await stage.call({ command: "ADD", config: { ...config, name: "other" }, pod })).result)).toBe('CNI_IFNAME "eth0" is taken in the pod (a free name is wanted)');
  await call(stage, "DEL", pod);
  expect((await stage.state()).files).toEqual(before.files);
});

stageTest("GC gives back the addresses of pods in no list, STATUS misses a parent that is gone", async (stage) => {
  const [keep, gone] = [await stage.addPod("keep"), await stage.addPod("gone")];
  for (const pod of [keep, gone]) await call(stage, "ADD", pod);
  await stage.deletePod(gone);
  expect((await call(stage, "GC", keep, { "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] })).code).toBe(0);
  expect((await stage.node.run(["ls", "/var/lib/cni/networks/wire"])).split("\n").filter((name) => /^[\d.]+$/.test(name))).toEqual(["192.0.2.10"]);
  expect((await call(stage, "STATUS", keep)).code).toBe(0);
  expect((await call(stage, "STATUS", keep, { master: "nobody" })).result).toMatchObject({ code: 50, msg: 'there is no link "nobody" to sit on' });
});
