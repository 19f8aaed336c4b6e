/**
 * The plugin is killed at every call that it makes into the kernel, one run for each, and then DEL comes, as a runtime
 * sends it. Nothing may be left: no address, link, route, rule or file. And every call fails once: ADD then says so and
 * has taken back by itself what it made.
 */
import { expect } from "bun:test";
import { faultyBinFolder, stageTest, type Stage } from "../testing/stage.ts";

const program = `${faultyBinFolder}/vethwork`;
const config = {
  cniVersion: "1.1.0", name: "mynet", type: "vethwork",
  network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.0.0/24", "fd00:10:244::/64"],
};
const MINUTES = 60_000;

stageTest("killed at any call of ADD, then DEL: nothing is left", async (stage) => {
  await prepare(stage);
  const calls = await callsOf(stage, "ADD");
  expect(calls.length).toBeGreaterThan(30);
  const before = await stage.state();
  for (let at = 1; at <= calls.length; at++) {
    const pod = await stage.addPod("pod1");
    const killed = await stage.call({ command: "ADD", config, pod, program, env: { VETHWORK_FAULT: `kill:${at}` } });
    expect({ at, signalled: killed.code > 128 || killed.code < 0 }).toEqual({ at, signalled: true });
    expect({ at, ...(await stage.call({ command: "DEL", config, pod })) }).toMatchObject({ at, code: 0, out: "", err: "" });
    await stage.deletePod(pod);
    expect({ at, call: calls[at - 1], state: await stage.state() }).toEqual({ at, call: calls[at - 1], state: before });
  }
}, 5 * MINUTES);

stageTest("killed at any call of ADD, the next ADD of the same pod works after DEL, and others' pods are untouched", async (stage) => {
  await prepare(stage);
  const neighbour = await stage.addPod("neighbour");
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod: neighbour });
  const calls = await callsOf(stage, "ADD");
  for (let at = 1; at <= calls.length; at += 3) {
    const pod = await stage.addPod("pod1");
    await stage.call({ command: "ADD", config, pod, program, env: { VETHWORK_FAULT: `kill:${at}` } });
    await stage.call({ command: "DEL", config, pod });
    expect({ at, code: (await stage.call({ command: "ADD", config, pod })).code }).toEqual({ at, code: 0 });
    await stage.call({ command: "DEL", config, pod });
    await stage.deletePod(pod);
    expect({ at, code: (await stage.call({ command: "CHECK", config: { ...config, prevResult }, pod: neighbour })).code }).toEqual({ at, code: 0 });
  }
}, 5 * MINUTES);

stageTest("killed at any call of DEL, then DEL again: nothing is left", async (stage) => {
  await prepare(stage);
  const before = await stage.state();
  const first = await stage.addPod("pod1");
  await stage.call({ command: "ADD", config, pod: first });
  const counted = await stage.call({ command: "DEL", config, pod: first, program, env: { VETHWORK_FAULT: "count" } });
  await stage.deletePod(first);
  const calls = counted.err.trim().split("\n");
  for (let at = 1; at <= calls.length; at++) {
    const pod = await stage.addPod("pod1");
    await stage.call({ command: "ADD", config, pod });
    await stage.call({ command: "DEL", config, pod, program, env: { VETHWORK_FAULT: `kill:${at}` } });
    expect({ at, ...(await stage.call({ command: "DEL", config, pod })) }).toMatchObject({ at, code: 0, out: "", err: "" });
    await stage.deletePod(pod);
    expect({ at, call: calls[at - 1], state: await stage.state() }).toEqual({ at, call: calls[at - 1], state: before });
  }
}, 5 * MINUTES);

stageTest("whichever call fails, ADD says so and has taken back what it made", async (stage) => {
  await prepare(stage);
  const calls = await callsOf(stage, "ADD");
  const before = await stage.state();
  for (let at = 1; at <= calls.length; at++) {
    const call = calls[at - 1];
    const pod = await stage.addPod("pod1");
    const answer = await stage.call({ command: "ADD", config, pod, program, env: { VETHWORK_FAULT: `fail:${at}:ENOMEM` } });
    expect({ call, code: answer.code, says: answer.out }).toEqual({ call, code: 1, says: expect.stringContaining("ENOMEM") });
    await stage.deletePod(pod);
    expect({ call, err: answer.err, state: await stage.state() }).toEqual({ call, err: "", state: before });
  }
}, 5 * MINUTES);

/** Forwarding stays on after a pod has come; on before, it is no difference. */
async function prepare({ node }: Stage): Promise<void> {
  await node.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
}

/** What a verb asks of the kernel, in order, on a node in the state that it is in now; the node is left as it was. */
async function callsOf(stage: Stage, command: "ADD"): Promise<string[]> {
  const pod = await stage.addPod("counted");
  const counted = await stage.call({ command, config, pod, program, env: { VETHWORK_FAULT: "count" } });
  expect(counted.code).toBe(0);
  await stage.call({ command: "DEL", config, pod });
  await stage.deletePod(pod);
  return counted.err.trim().split("\n");
}
