/** A lab's life: it comes up whole or not at all, is found without any book, and goes without a trace. */
import { expect } from "bun:test";
import { LabFailure } from "./failure.ts";
import { findLab, getLab, listPods, startLab, stopLab, type Event } from "./lab.ts";
import { findMachines, outputOf, runIn, stopMachines } from "./machine.ts";
import { runtimeOf } from "./runtime.ts";
import { kernelTest, labName, labTest, program } from "./testing/labtest.ts";

const size = { nodes: 2, pods: 3, families: [4, 6] } as const;

labTest("nodes and pods have the addresses of the plan, and another process finds them", size, async ({ name }) => {
  const lab = getLab(name);
  expect(lab.size).toEqual({ nodes: 2, pods: 3, families: [4, 6], links: "l2" });
  const pods = (await Promise.all(lab.nodes.map(listPods))).flat();
  expect(pods.map((pod) => [pod.name, pod.node, ...pod.addresses.map(String)])).toEqual([
    ["pod-1", "node-1", "10.244.1.2", "fd00:10:244:1::2"],
    ["pod-2", "node-1", "10.244.1.3", "fd00:10:244:1::3"],
    ["pod-3", "node-2", "10.244.2.2", "fd00:10:244:2::2"],
  ]);
  await expect(startLab({ name, size, program })).rejects.toThrow(`Cannot start lab "${name}": it is up already`);
  expect(findLab(name)?.nodes).toHaveLength(2); // the refused one has taken nothing away
});

labTest("a node is a machine of its own: host name, processes, /run, and what it writes to /etc", size, async ({ nodes: [node] }) => {
  if (!node) throw new LabFailure("there is no node");
  const says = async (...argv: string[]): Promise<string> => (await outputOf(node.machine, argv)).trim();
  expect(await says("hostname")).toBe("node-1");
  expect(await says("cat", "/proc/1/comm")).toBe("sh");
  expect(await says("ls", "/run/netns")).toBe("pod-1\npod-2");
  await says("sh", "-c", "echo here > /etc/vethwork-lab-test");
  expect(await Bun.file("/etc/vethwork-lab-test").exists()).toBe(false);
  expect(await says("readlink", "/opt/cni/bin/vethwork")).toBe(program);
});

labTest("CHECK finds a pod as it was added; deleted pods give everything back", size, async ({ nodes: [node] }) => {
  if (!node) throw new LabFailure("there is no node");
  const runtime = runtimeOf(node.machine);
  for (const pod of node.pods) await runtime.checkPod(pod);
  for (const pod of node.pods) await runtime.deletePod(pod);
  expect(await runtime.list()).toEqual([]);
  const left = await outputOf(node.machine, ["sh", "-c", "ls /run/netns /sys/class/net; nft list chains"]);
  expect(left.split("\n").filter((line) => /^veth|pod-/.test(line))).toEqual([]);
});

kernelTest("what cannot be made whole leaves nothing, and says why", async () => {
  const name = labName("half");
  const start = startLab({ name, size, program: "/bin/false" });
  await expect(start).rejects.toThrow(/The agent of node-1 has ended/);
  expect(findMachines(name)).toEqual([]);
});

kernelTest("stopped in the middle it leaves nothing", async () => {
  const name = labName("stop");
  for (const at of ["world", "node", "pod"]) {
    const stop = new AbortController();
    const onEvent = ({ what }: Event): void => (what === at ? stop.abort() : undefined);
    await expect(startLab({ name, size, program, signal: stop.signal, onEvent })).rejects.toThrow();
    expect(findMachines(name)).toEqual([]);
  }
});

labTest("a lab that lost a machine is called that, and what is left of it goes", size, async ({ name, nodes, world }) => {
  await stopMachines(nodes.slice(1).map(({ machine }) => machine));
  expect(() => getLab(name)).toThrow(`Lab "${name}" is not whole: node-2 is missing`);
  await stopMachines([world]);
  expect(() => getLab(name)).toThrow("its world is missing");
  expect(await stopLab(name)).toBe(1);
  expect(findLab(name)).toBeUndefined();
  expect(() => getLab(name)).toThrow(`There is no lab "${name}"`);
});

labTest("a process that only looks like a machine is none", { ...size, pods: 1 }, async ({ name, world }) => {
  const child = Bun.spawn(["sh", "-c", "read line", "vethwork-lab", name, "node-9"], { stdin: "pipe" });
  try {
    expect(findMachines(name).map((machine) => machine.name).sort()).toEqual(["node-1", "node-2", "world"]);
    expect((await runIn(world, ["true"])).code).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
