/**
 * The plugin is killed at every call that it makes, and then DEL comes, without a result and without a namespace: nothing may be
 * left. And every call fails once: ADD then says so and has taken back by itself what it made.
 */
import { expect } from "bun:test";
import { cable, firewall, rulesOf, type Cabled } from "../testing/firewalls.ts";
import { faultyBinFolder, stageTest, type Stage } from "../testing/stage.ts";

const program = `${faultyBinFolder}/firewall`;
const MINUTES = 60_000;

for (const backend of ["nftables", "iptables"]) {
  const options = { backend, ingressPolicy: "isolated" };
  const faulty = (stage: Stage, command: string, pod: Cabled, fault: string) => {
    const config = { cniVersion: "1.0.0", name: "neta", type: "firewall", prevResult: pod.prevResult, ...options };
    return stage.call({ command, pod, config, program, env: { VETHWORK_FAULT: fault } });
  };
  /** The cable, which goes with the pod, is for the next round what it was. */
  const renew = (stage: Stage) => stage.node.run(["sh", "-c", "for link in /sys/class/net/veth*; do bridge link set dev ${link##*/} isolated off; done"]);
  const del = (stage: Stage, pod: Cabled) => firewall(stage, "DEL", { ...pod, netns: "" }, { ...options, prevResult: undefined });

  stageTest(`${backend}: killed at any call of ADD or DEL, then DEL: nothing is left, and another pod keeps its own`, async (stage) => {
    const [pod, other] = await prepare(stage);
    expect((await firewall(stage, "ADD", other, options)).code).toBe(0);
    const before = await rulesOf(stage);
    for (const command of ["ADD", "DEL"]) {
      if (command === "DEL") await firewall(stage, "ADD", pod, options);
      const calls = (await faulty(stage, command, pod, "count")).err.trim().split("\n");
      await del(stage, pod);
      expect(calls.length).toBeGreaterThan(7);
      for (let at = 1; at <= calls.length; at++) {
        await renew(stage);
        if (command === "DEL") await firewall(stage, "ADD", pod, options);
        const { code } = await faulty(stage, command, pod, `kill:${at}`);
        const after = await del(stage, pod);
        expect({ at, killed: code > 128 || code < 0, after, state: await rulesOf(stage) })
          .toEqual({ at, killed: true, after: { code: 0, out: "", err: "", result: {} }, state: before });
      }
    }
    await stage.node.run(["bridge", "link", "set", "dev", nearOf(other), "isolated", "on"]);
    expect(await firewall(stage, "CHECK", other, options)).toMatchObject({ code: 0, out: "" });
    await del(stage, other);
    expect((await rulesOf(stage)).nft.filter((line) => /CNI|brA|vethwork/.test(line))).toEqual([]);
    expect((await rulesOf(stage)).files).toEqual([]);
  }, 5 * MINUTES);

  stageTest(`${backend}: whichever call fails, ADD says so and has taken back what it made`, async (stage) => {
    const [pod, other] = await prepare(stage);
    expect((await firewall(stage, "ADD", other, options)).code).toBe(0);
    const before = await rulesOf(stage);
    const calls = (await faulty(stage, "ADD", pod, "count")).err.trim().split("\n");
    await del(stage, pod);
    await renew(stage);
    for (let at = 1; at <= calls.length; at++) {
      const call = calls[at - 1];
      const { code, err, out } = await faulty(stage, "ADD", pod, `fail:${at}:ENOMEM`);
      // A bus that lets nobody in is none: that is no failure.
      if (code === 0 && /bus/.test(call ?? "")) await del(stage, pod);
      else expect({ call, code, err, says: out }).toEqual({ call, code: 1, err: "", says: expect.stringContaining("ENOMEM") });
      expect({ call, state: await rulesOf(stage) }).toEqual({ call, state: before });
    }
  }, 5 * MINUTES);
}

/** Two pods on one bridge, and chains on the way that drop. */
async function prepare(stage: Stage): Promise<readonly [Cabled, Cabled]> {
  await stage.node.run(["sh", "-c", "for t in iptables ip6tables; do $t -P FORWARD DROP; done; nft 'table inet guard { chain through { type filter hook forward priority 0; policy drop; }; }'"]);
  return [await cable(stage, "a1"), await cable(stage, "a2")];
}

const nearOf = ({ prevResult }: Cabled): string => /veth\w+/.exec(JSON.stringify(prevResult))?.[0] ?? "";
