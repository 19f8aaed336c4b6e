/**
 * Many at once, as when a node comes back from a reboot and kubelet starts everything together. A hundred processes
 * want an address of one subnet and a rule in one table at the same moment.
 */
import { expect } from "bun:test";
import { find, isObject } from "@vethwork/cni";
import { stageTest, type Answer } from "../testing/stage.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24" };
const MANY = 100;

stageTest("a hundred ADDs at once give a hundred addresses, and a hundred DELs at once leave nothing", async (stage) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  const before = await stage.state();
  const names = Array.from({ length: MANY }, (_, at) => `pod${at}`);
  const pods = [];
  for (const name of names) pods.push(await stage.addPod(name));
  const added = await Promise.all(pods.map((pod) => stage.call({ command: "ADD", config, pod })));
  expect(added.filter(({ code }) => code !== 0)).toEqual([]);
  expect(new Set(added.map(addressIn)).size).toBe(MANY);
  const rules = (await stage.state()).nft.filter((line) => line.includes(" masquerade "));
  expect(rules).toHaveLength(1);
  expect((await stage.node.exec(["ping", "-c", "1", "-W", "2", String(addressIn(added[42])).replace("/32", "")])).code).toBe(0);

  const deleted = await Promise.all(pods.map((pod) => stage.call({ command: "DEL", config, pod })));
  expect(deleted.filter(({ code, out, err }) => code !== 0 || out !== "" || err !== "")).toEqual([]);
  for (const pod of pods) await stage.deletePod(pod);
  expect(await stage.state()).toEqual(before);
}, 180_000);

stageTest("ADDs and DELs of different pods at once end in the state that the last of each pod says", async (stage) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  const before = await stage.state();
  const pods = [];
  for (let at = 0; at < 20; at++) pods.push(await stage.addPod(`pod${at}`));
  // Each comes and goes three times while the others do: tables are made and deleted under one another's hands.
  await Promise.all(pods.map(async (pod) => {
    for (let round = 0; round < 3; round++) {
      expect(await stage.call({ command: "ADD", config, pod })).toMatchObject({ code: 0 });
      expect(await stage.call({ command: "DEL", config, pod })).toMatchObject({ code: 0, err: "" });
    }
  }));
  for (const pod of pods) await stage.deletePod(pod);
  expect(await stage.state()).toEqual(before);
}, 180_000);

stageTest("ADD and DEL of one attachment at once: a DEL afterwards leaves nothing", async (stage) => {
  await stage.node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  const before = await stage.state();
  for (let round = 0; round < 10; round++) {
    const pod = await stage.addPod("pod1");
    await Promise.all((["ADD", "DEL", "DEL"] as const).map((command) => stage.call({ command, config, pod })));
    expect(await stage.call({ command: "DEL", config, pod })).toMatchObject({ code: 0, out: "", err: "" });
    await stage.deletePod(pod);
    expect({ round, state: await stage.state() }).toEqual({ round, state: before });
  }
}, 120_000);

function addressIn(answer: Answer | undefined): unknown {
  const ips = find(answer?.result ?? {}, "ips");
  const first: unknown = Array.isArray(ips) ? ips[0] : undefined;
  return isObject(first) ? find(first, "address") : undefined;
}
