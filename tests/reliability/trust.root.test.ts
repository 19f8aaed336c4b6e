/** Whose a rule is, and whose a frame: one pod cannot take another's. (Values: packages/plugins/registry.hostile; addresses: vethwork.senders.) */
import { expect } from "bun:test";
import { join } from "node:path";
import type { JsonObject } from "@vethwork/cni";
import { stageTest, type Pod, type Stage } from "../../packages/plugins/testing/stage.ts";
import { rows } from "./rows.ts";

const quiet = { code: 0, out: "", err: "" };
const shell = (stage: Stage, script: string): Promise<string> => stage.node.run(["sh", "-c", script]);

/** The row's plugin, as a runtime would ask for it. */
function requestOf(name: string): JsonObject & { type: string } {
  const row = rows.find((one) => one.name === name);
  const [plugin] = row?.plugins ?? [];
  return { cniVersion: "1.0.0", name: "mynet", type: "", ...plugin, ...(row?.prevResult && { prevResult: row.prevResult }), ...(row?.capabilities && { runtimeConfig: row.capabilities }) };
}

stageTest("an id that looks like another's rule is that pod's own comment, and takes nothing of the other away", async (stage) => {
  const [pod, other] = [await stage.addPod("pod1"), await stage.addPod("pod1.x")];
  const config = { ...requestOf("bridge"), cniVersion: "1.1.0" };
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod });
  const { result: others } = await stage.call({ command: "ADD", config, pod: other });
  expect(await stage.call({ command: "DEL", config, pod })).toMatchObject(quiet);
  expect(await stage.call({ command: "CHECK", config: { ...config, prevResult: others }, pod: other })).toMatchObject(quiet);
  expect((await stage.call({ command: "CHECK", config: { ...config, prevResult }, pod })).code).toBe(1);
});

/** Frames as a pod would forge them: from a packet socket of its own, as every program with CAP_NET_RAW may. */
async function forge(stage: Stage, pod: Pod, { mac, ip }: { mac: string; ip: string }): Promise<void> {
  const near = join(import.meta.dir, "forge.ts");
  await stage.node.run(["ip", "netns", "exec", pod.name, process.execPath, near, "eth0", mac, ip]);
}

stageTest("a pod cannot speak with another's MAC address where that is checked, and can where it is not", async (stage) => {
  const seen = async (): Promise<number> => Number(/packets (\d+)/.exec(await stage.node.run(["nft", "list", "counter", "bridge", "seen", "forged"]))?.[1]);
  for (const macspoofchk of [true, false]) {
    const [pod, victim] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    const config = { ...requestOf("bridge"), macspoofchk };
    for (const one of [pod, victim]) expect((await stage.call({ command: "ADD", config, pod: one })).code).toBe(0);
    const macIn = async (name: string): Promise<string> => (await stage.node.run(["ip", "netns", "exec", name, "cat", "/sys/class/net/eth0/address"])).trim();
    const [own, theirs] = [await macIn("pod1"), await macIn("pod2")];
    await shell(stage, `nft 'table bridge seen { counter forged { }; chain in { type filter hook prerouting priority 0; ether type ip udp dport 7777 counter name forged; }; }'`);
    await forge(stage, pod, { mac: own, ip: "10.1.2.200" });
    const honest = await seen();
    for (const mac of [theirs, "02:de:ad:be:ef:00"]) await forge(stage, pod, { mac, ip: "10.1.2.200" });
    expect({ macspoofchk, honest, forged: (await seen()) - honest }).toEqual({ macspoofchk, honest: 1, forged: macspoofchk ? 0 : 2 });
    for (const one of [pod, victim]) {
      expect(await stage.call({ command: "DEL", config, pod: one })).toMatchObject(quiet);
      await stage.deletePod(one);
    }
    await shell(stage, "nft delete table bridge seen");
  }
});
