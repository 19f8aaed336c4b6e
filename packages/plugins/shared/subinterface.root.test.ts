/**
 * ipvlan, vlan and dummy: on a kernel that has them their whole life, on one that lacks them a plain word and nothing left.
 * What is sent for each is seen in linux/links.test.ts on every kernel.
 */
import { expect, test } from "bun:test";
import { find } from "@vethwork/cni";
import { kernelLacks } from "../../../tests/conformance/node/kernel.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { onStage, stageLacks, stageTest, type Pod, type Stage } from "../testing/stage.ts";

const ipam = { type: "host-local", subnet: "192.0.2.0/24", rangeStart: "192.0.2.10", rangeEnd: "192.0.2.20", gateway: "192.0.2.254", routes: [{ dst: "0.0.0.0/0" }] };
const types = [
  { type: "ipvlan", option: "CONFIG_IPVLAN", more: { master: "eth0", mode: "l2" }, shows: /ipvlan +mode l2/ },
  { type: "vlan", option: "CONFIG_VLAN_8021Q", more: { master: "eth0", vlanId: 100 }, shows: /vlan protocol 802\.1Q id 100/ },
  { type: "dummy", option: "CONFIG_DUMMY", more: {}, shows: /dummy/ },
] as const;

for (const { type, option, more, shows } of types) {
  const config = { cniVersion: "1.1.0", name: "wire", type, ipam, ...more };
  const call = (stage: Stage, command: string, pod: Pod, extra: object = {}) => stage.call({ command, config: { ...config, ...extra }, pod });
  const lacks = stageLacks || kernelLacks(option);

  const title = `${type}: a pod gets it with its address and route, CHECK finds it, DEL takes it away`;
  test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(async (stage) => {
    const pod = await stage.addPod("pod1");
    const before = await stage.state();
    const { code, result: prevResult } = await call(stage, "ADD", pod);
    expect({ code, prevResult }).toMatchObject({ code: 0, prevResult: { interfaces: [{ name: "eth0", sandbox: pod.netns }], ips: [{ address: "192.0.2.10/24", interface: 0 }] } });
    expect(await stage.node.run(["ip", "-n", "pod1", "-d", "link", "show", "eth0"])).toMatch(shows);
    expect((await call(stage, "CHECK", pod, { prevResult })).code).toBe(0);
    await stage.node.run(["ip", "-n", "pod1", "addr", "flush", "dev", "eth0"]);
    expect(find((await call(stage, "CHECK", pod, { prevResult })).result, "msg")).toContain("has lost its address 192.0.2.10/24");
    for (let times = 0; times < 2; times++) expect(await call(stage, "DEL", pod)).toMatchObject({ code: 0, out: "", err: "" });
    expect(await stage.state()).toEqual(before);
  }), 60_000);

  if (lacks === option) {
    stageTest(`${type}: a kernel without it is said to be one, and nothing is left`, async (stage) => {
      const pod = await stage.addPod("pod1");
      const before = await stage.state();
      const refused = await call(stage, "ADD", pod);
      expect(refused.code).toBe(1);
      expect(`${String(find(refused.result, "msg"))} ${String(find(refused.result, "details") ?? "")}`).toMatch(new RegExp(`Cannot add ${type} ".*EOPNOTSUPP`));
      expect((await call(stage, "DEL", pod)).code).toBe(0);
      expect(await stage.state()).toEqual(before);
    });
  }

  stageTest(`${type}: what is wrong is named before anything is made`, async (stage) => {
    const pod = await stage.addPod("pod1");
    const before = await stage.state();
    const wrong = [
      ...(type === "dummy" ? [] : [[{ master: "nobody" }, /failed to lookup master "nobody"/]] as const),
      ...(type === "vlan" ? [[{ vlanId: 4095 }, /invalid VLAN ID 4095/], [{ master: "" }, /"master" field is required/], [{ mtu: 9000 }, /invalid MTU 9000/]] as const : []),
      ...(type === "ipvlan" ? [[{ mode: "l4" }, /mode/], [{ ipam: undefined }, /no addresses for the pod/]] as const : []),
      ...(type === "dummy" ? [[{ ipam: undefined }, /requires an IPAM configuration/]] as const : []),
    ];
    for (const [extra, says] of wrong) {
      const refused = await call(stage, "ADD", pod, extra);
      expect({ extra, code: refused.code, msg: find(refused.result, "msg") }).toEqual({ extra, code: 1, msg: expect.stringMatching(says) });
    }
    expect(await stage.state()).toEqual(before);
  });
}
