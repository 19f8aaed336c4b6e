/**
 * The claim of a CNI plugin, where it counts: containerd and runc, told of nothing but a configuration file and a folder
 * with the plugin, make pods that reach each other, and removing the pods leaves the node as it was.
 *
 * The same plays run over Debian's containerd (CNI 0.3.1 here, as the smallest configuration has it) and over the newest
 * one that can be had (CNI 1.1.0, so STATUS is asked).
 */
import { describe, expect, test } from "bun:test";
import { networkState, remains } from "../node/leftovers.ts";
import { skipped } from "../node/needs.ts";
import { address } from "../node/node.ts";
import { subject } from "../subject.ts";
import { startContainerd, type Containerd } from "./containerd.ts";
import { CriError } from "./cri.ts";
import { runPod, type Pod } from "./pod.ts";
import { list, at, text } from "./read.ts";
import { installed, newest, type Release } from "./release.ts";
import { from, pings, seenBy, serve } from "./web.ts";

describe.each([installed(), newest()])("$name with $cniVersion", (release) => {
  const lacks = release.lacks || subject.lacks;
  const play = (title: string, act: (containerd: Containerd) => Promise<void>, subnet = "10.244.0.0/24") =>
    test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(release, subnet, act), 120_000);

  play("pods reach each other, the node and the world by their own addresses, and leave nothing", async (containerd) => {
    const { node } = containerd;
    const before = await networkState(node);
    const a = await runPod(containerd, "a");
    const b = await runPod(containerd, "b");
    expect(a.ips).toEqual([expect.stringMatching(/^10\.244\.0\.\d+$/)]);
    expect(b.ips).toEqual([expect.stringMatching(/^10\.244\.0\.\d+$/)]);
    const [ipA, ipB] = [first(a), first(b)];
    expect(ipA).not.toBe(ipB);

    expect(await pings(a.exec, ipB)).toBeTrue();
    expect(await pings(b.exec, ipA)).toBeTrue();
    expect(await seenBy(a.exec, ipB)).toBe(ipA);
    expect(await seenBy(b.exec, ipA)).toBe(ipB);

    await serve(node);
    expect(await seenBy(a.exec, address.node4)).toBe(ipA);
    expect(await node.run(["ip", "-4", "-o", "addr"])).toContain(` ${await seenBy(from(node), ipB)}/`);

    await serve(node, "world");
    if (subject.masquerades) expect(await seenBy(a.exec, address.world4)).toBe(address.node4);

    await a.remove();
    await b.remove();
    expect(await networkState(node)).toEqual(before);
  });

  play("pods outlive a containerd that is killed, and the next one removes them without a trace", async (containerd) => {
    const before = await networkState(containerd.node);
    const a = await runPod(containerd, "a");
    const b = await runPod(containerd, "b");
    await containerd.kill();
    expect(await pings(from(containerd.node), first(a))).toBeTrue();
    await containerd.start();
    expect(await seenBy(a.exec, first(b))).toBe(first(a));
    await a.remove();
    await b.remove();
    expect(await networkState(containerd.node)).toEqual(before);
  });

  play("a pod whose namespace was destroyed by hand leaves nothing when it is removed", async (containerd) => {
    const { node } = containerd;
    const before = await networkState(node);
    const a = await runPod(containerd, "a");
    const b = await runPod(containerd, "b");
    const members = (await node.run(["ip", "netns", "pids", a.netns.replace(/.*\//, "")])).trim().split("\n");
    expect(members.length).toBeGreaterThanOrEqual(2);
    await node.run(["ip", "netns", "del", a.netns.replace(/.*\//, "")]);
    await node.run(["kill", "-9", ...members]);
    await a.remove();
    expect(await pings(from(node), first(b))).toBeTrue();
    await b.remove();
    expect(await networkState(node)).toEqual(before);
  });

  play("a subnet without a free address is a readable error, and the pod that got none leaves nothing", async (containerd) => {
    const before = await networkState(containerd.node);
    const { pods, states, refusal } = await runUntilRefused(containerd);
    expect(pods.length).toBeWithin(1, 3);
    expect(refusal.message).toMatch(subject.exhausted);
    expect(refusal.message).toContain(`plugin type="${subject.type}"`);
    expect(await networkState(containerd.node)).toEqual(states.at(-1) ?? before);
    for (const pod of pods) await pod.remove();
    expect(await networkState(containerd.node)).toEqual(before);
    // The addresses that came back are given again.
    const again = await runPod(containerd, "again");
    await again.remove();
    expect(await networkState(containerd.node)).toEqual(before);
  }, "10.244.0.0/30");

  play("the runtime reports the network as ready", async ({ cri }) => {
    const conditions = list(await cri.call("Status"), "status", "conditions");
    const network = conditions.find((condition) => text(condition, "type") === "NetworkReady");
    expect(text(network, "message")).toBe("");
    expect(at(network, "status")).toBeTrue();
  });
});

/** Plays with a containerd of its own, and looks afterwards whether the machine is as it was. */
async function onStage(release: Release, subnet: string, act: (containerd: Containerd) => Promise<void>): Promise<void> {
  const conf = { "10-mynet.conf": subject.conf(release.cniVersion, subnet) };
  const containerd = await startContainerd({ release, plugins: subject.plugins, conf });
  try {
    await act(containerd);
  } finally {
    await containerd.stop();
  }
  expect(remains(containerd.node)).toEqual([]);
}

/** Runs pods in a /30, at most three, until one is refused; with the network's state after each. */
async function runUntilRefused(containerd: Containerd) {
  const pods: Pod[] = [];
  const states = [];
  for (let i = 0; i < 4; i += 1) {
    try {
      pods.push(await runPod(containerd, `pod${i}`));
      states.push(await networkState(containerd.node));
    } catch (refusal) {
      if (refusal instanceof CriError) return { pods, states, refusal };
      throw refusal;
    }
  }
  throw new RangeError("Cannot use up a /30: four pods got addresses of it");
}

function first(pod: Pod): string {
  return pod.ips[0] ?? "";
}
