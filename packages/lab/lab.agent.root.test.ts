/** The agents of a lab while packets flow: killed, started again, replaced, none of them loses one. */
import { expect } from "bun:test";
import { until } from "../../tests/conformance/node/until.ts";
import { findStatus, killAgent, startAgent, untilReady, writeCluster } from "./agent.ts";
import { LabFailure } from "./failure.ts";
import { listPods, type LabNode } from "./lab.ts";
import { fileIn, outputOf, podNetns } from "./machine.ts";
import { labTest } from "./testing/labtest.ts";
import { talkDuring, told } from "./testing/talk.ts";

const size = { nodes: 2, pods: 2, families: [4] } as const;

/** How often the agents are ended. */
const ROUNDS = 3;

for (const links of ["l2", "l3"] as const) {
  labTest(`${links}: agents that are killed, stopped and started again lose no packet and break no stream`, { ...size, links }, async ({ nodes }) => {
    const [one, two] = nodes;
    if (!one || !two) throw new LabFailure("there are no two nodes");
    const [to] = await listPods(two);
    const ends = { from: fileIn(one.machine, podNetns(one.pods[0] ?? "")), to: fileIn(two.machine, podNetns(two.pods[0] ?? "")), ip: to?.addresses[0] ?? expect.unreachable() };
    const talk = await talkDuring(ends, async () => {
      for (let round = 0; round < ROUNDS; round++) await endAndStart(one, two);
    });
    console.log(`# ${links}: agents ended ${ROUNDS} times; ${told(talk)}`);
    expect(talk).toEqual({ ...talk, received: talk.sent, arrived: talk.bytes });
    expect(Math.min(talk.sent, talk.bytes)).toBeGreaterThan(0);
  });
}

/** Kills the one agent, stops the other, and starts both, which find nothing to do. */
async function endAndStart(one: LabNode, two: LabNode): Promise<void> {
  await killAgent(one.machine);
  await outputOf(two.machine, ["kill", "-TERM", String(findStatus(two.machine)?.pid)]);
  expect(await until(() => findStatus(two.machine) === undefined)).toBe(true);
  for (const node of [one, two]) await startAgent(node.machine, node);
  for (const { machine } of [one, two]) expect((await untilReady(machine)).lastChange).toBeUndefined();
}

labTest("a node that joins is reached by pods that have been there all along, and one that leaves takes its routes with it", { nodes: 3, pods: 3, families: [4], links: "l3" }, async ({ nodes }) => {
  const [one, two, three] = nodes;
  if (!one || !two || !three) throw new LabFailure("there are no three nodes");
  const routes = () => outputOf(one.machine, ["ip", "route", "show", "proto", "119"]);
  writeCluster(one.machine, [one, two]);
  expect(await until(async () => !(await routes()).includes("10.244.3.0/24"))).toBe(true);
  writeCluster(one.machine, nodes);
  expect(await until(async () => (await routes()).includes("10.244.3.0/24"))).toBe(true);
  const [pod] = await listPods(three);
  await outputOf(one.machine, ["ping", "-c", "1", "-W", "2", String(pod?.addresses[0])], { netns: podNetns(one.pods[0] ?? "") });
});

labTest("pods are added without an agent", size, async ({ nodes: [node] }) => {
  if (!node) throw new LabFailure("there is no node");
  await killAgent(node.machine);
  expect(await Bun.file(fileIn(node.machine, "/etc/cni/net.d/10-lab.conflist")).exists()).toBe(true);
  await outputOf(node.machine, ["ip", "netns", "add", "late"]);
  expect(await outputOf(node.machine, ["vethwork", "cni", "add", "lab", "late"])).toContain("10.244.1.3/32");
  expect(await outputOf(node.machine, ["vethwork", "cni", "status", "lab"])).toBe("");
});
