/**
 * Our plugin under Go's libcni: every verb as the runtimes written in Go ask for it, at the newest version of the
 * specification, and the cache that libcni keeps about it.
 */
import { beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { at, list, text } from "../containerd/read.ts";
import { networkState, remains } from "../node/leftovers.ts";
import { skipped } from "../node/needs.ts";
import { startNode, type Node } from "../node/node.ts";
import { listOf, subject } from "../subject.ts";
import { buildGoCni, goCni, goCniLacks, type GoCniAnswer, type GoCniRequest } from "./go-cni.ts";

const lacks = goCniLacks() || subject.lacks;

beforeAll(() => {
  if (lacks === "") buildGoCni();
}, 120_000);

type Ask = (command: GoCniRequest["command"], more?: Partial<GoCniRequest>) => Promise<GoCniAnswer>;
const play = (title: string, act: (node: Node, ask: Ask) => Promise<void>) =>
  test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(act), 60_000);

const fine = { result: null };

play("Go's libcni adds, checks and deletes, and its cache follows", async (node, ask) => {
  const before = await networkState(node);
  await node.run(["ip", "netns", "add", "pod1"]);
  const pod1 = { containerId: "c1", netns: "/run/netns/pod1", ifName: "eth0" };
  expect(await ask("status")).toEqual(fine);
  expect(await ask("validate")).toEqual({ result: expect.any(Object) });

  const { result } = await ask("add", pod1);
  const ip = text(list(result, "ips")[0], "address").replace(/\/.*/, "");
  expect(ip).toMatch(/^10\.244\.0\.\d+$/);
  const inside = await node.run(["ip", "-n", "pod1", "-o", "addr", "show", "dev", "eth0"]);
  expect(inside).toContain(` ${ip}/`);
  expect((await node.exec(["ping", "-c", "1", "-W", "5", ip])).code).toBe(0);

  const cached: unknown = JSON.parse(readFileSync(join(node.dir, "cache/results/mynet-c1-eth0"), "utf8"));
  expect(cached).toMatchObject({ kind: "cniCacheV1", containerId: "c1", ifName: "eth0", networkName: "mynet" });
  expect(at(cached, "result")).toEqual(result);
  expect(list((await ask("attachments", { containerId: "c1" })).result)).toHaveLength(1);

  expect(await ask("check", pod1)).toEqual(fine);
  await node.run(["ip", "-n", "pod1", "addr", "flush", "dev", "eth0"]);
  expect((await ask("check", pod1)).error?.msg).toBeString();

  expect(await ask("del", pod1)).toEqual(fine);
  expect(readdirSync(join(node.dir, "cache/results"))).toEqual([]);
  expect(await ask("del", pod1)).toEqual(fine);
  await node.run(["ip", "netns", "del", "pod1"]);
  expect(await networkState(node)).toEqual(before);
});

play("GC through Go's libcni takes what is not in the list and leaves what is", async (node, ask) => {
  const pods = ["keep", "gone"].map((name) => ({ containerId: name, netns: `/run/netns/${name}`, ifName: "eth0" }));
  for (const { containerId } of pods) await node.run(["ip", "netns", "add", containerId]);
  const [keep = {}, gone = {}] = pods;
  const { result } = await ask("add", keep);
  const state = await networkState(node);
  await ask("add", gone);
  // Whose cache is lost too, as after a crash: then only the plugin itself can know.
  if (subject.collects) rmSync(join(node.dir, "cache/results/mynet-gone-eth0"));

  expect(await ask("gc", { validAttachments: [{ containerID: "keep", ifname: "eth0" }] })).toEqual(fine);
  expect(await networkState(node)).toEqual(state);
  expect(await ask("check", keep)).toEqual(fine);
  const ip = text(list(result, "ips")[0], "address").replace(/\/.*/, "");
  expect((await node.exec(["ping", "-c", "1", "-W", "5", ip])).code).toBe(0);
  expect(await ask("gc", { validAttachments: [] })).toEqual(fine);
  expect(readdirSync(join(node.dir, "cache/results"))).toEqual([]);
});

/** Plays on a node of its own with the plugin under test in a list, and looks afterwards whether anything is left. */
async function onStage(act: (node: Node, ask: Ask) => Promise<void>): Promise<void> {
  const node = await startNode();
  try {
    const bin = join(node.dir, "cni-bin");
    mkdirSync(bin);
    for (const [name, program] of Object.entries(subject.plugins)) symlinkSync(program, join(bin, name));
    const conf = join(node.dir, "mynet.conflist");
    writeFileSync(conf, JSON.stringify(listOf("1.1.0", "10.244.0.0/24")));
    const common = { conf, path: [bin], cacheDir: join(node.dir, "cache") };
    await act(node, (command, more) => goCni(node, { command, ...common, ...more }));
  } finally {
    await node.stop();
  }
  expect(remains(node)).toEqual([]);
}
