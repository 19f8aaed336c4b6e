/** The stage itself: a node of namespaces has what a runtime looks for, and goes without a trace, however it ends. */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { networkState, remains } from "./leftovers.ts";
import { address, startNode } from "./node.ts";
import { until } from "./until.ts";
import { missing, skipped } from "./needs.ts";

const lacks = missing({ root: true, programs: ["unshare", "nsenter", "ip", "nft"] });

const kernelTest = (title: string, play: () => Promise<void>) =>
  test.skipIf(lacks !== "")(skipped(title, lacks), play, 60_000);

kernelTest("a node has its own network with a wire to the world, and takes everything along", async () => {
  const node = await startNode();
  try {
    const state = await networkState(node);
    expect(state.links).toEqual(["eth0", "lo"]);
    expect(state.netns).toEqual(["world"]);
    expect(state.nft).toEqual([]);
    expect(state.files).toEqual(["/run/netns/world"]);
    expect((await node.exec(["ping", "-c", "1", "-W", "2", address.world4])).code).toBe(0);
    expect(await node.run(["cat", "/proc/1/comm"])).toBe("bash\n");
    // Everything the node runs is in the node's own groups: from within, their paths are the root (or, on v2, a leaf).
    const groups = (await node.run(["cat", "/proc/self/cgroup"])).trim().split("\n");
    expect(groups.filter((line) => !/:\/(init)?$/.test(line))).toEqual([]);
    await node.run(["sh", "-c", "mkdir /var/lib/trace && echo 1 >/var/lib/trace/file && sleep 600 >/dev/null 2>&1 &"]);
    expect(remains(node).length).toBeGreaterThan(0);
  } finally {
    await node.stop();
  }
  expect(remains(node)).toEqual([]);
  await node.stop();
});

kernelTest("pid 1 of a node reaps the orphans that containers leave", async () => {
  const node = await startNode();
  try {
    await node.run(["sh", "-c", "(sleep 0.01 &) ; (true &) ; exit 0"]);
    const zombies = async () => (await node.run(["sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status || :"])).trim();
    await until(async () => (await zombies()) === "");
    expect(await zombies()).toBe("");
  } finally {
    await node.stop();
  }
});

kernelTest("a test that is killed takes its node along", async () => {
  const source = `import { startNode } from ${JSON.stringify(`${import.meta.dir}/node.ts`)};
    const node = await startNode(); console.log(node.dir); await Bun.sleep(600_000);`;
  const victim = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "inherit" });
  const { value } = await victim.stdout.getReader().read();
  const dir = new TextDecoder().decode(value).trim();
  const node = { dir, name: dir.slice(dir.lastIndexOf("/") + 1) };
  expect(node.name).toStartWith("vethwork-node.");
  expect(remains(node).length).toBeGreaterThan(0);
  victim.kill("SIGKILL");
  await victim.exited;
  await until(() => remains(node).length === 0);
  expect(remains(node)).toEqual([]);
});

kernelTest("the next node clears away what the kernel cannot when even keepers were killed", async () => {
  // In a pid namespace of its own, as a test runner's or a container's, whose end kills the keepers too.
  const source = `import { startNode } from ${JSON.stringify(`${import.meta.dir}/node.ts`)};
    console.log(\`\${(await startNode()).dir} \${(await startNode()).dir}\`); await Bun.sleep(600_000);`;
  const room = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child", process.execPath, "-e", source];
  const victim = Bun.spawn(room, { stdout: "pipe", stderr: "inherit" });
  const said = new TextDecoder().decode((await victim.stdout.getReader().read()).value);
  const lost = said.trim().split(" ").map((dir) => ({ dir, name: dir.slice(dir.lastIndexOf("/") + 1) }));
  expect(lost.map(({ name }) => name)).toEqual([expect.stringMatching(/^vethwork-node\./), expect.stringMatching(/^vethwork-node\./)]);
  victim.kill("SIGKILL");
  await until(() => lost.flatMap(remains).every((what) => !what.startsWith("process")));
  expect(lost.map((node) => remains(node).length > 1)).toEqual([true, true]);
  // A runner that clears its temporary folder does not know of the groups.
  for (const { dir } of lost.slice(1)) rmSync(dir, { recursive: true });
  const next = await startNode();
  await next.stop();
  expect(lost.flatMap(remains)).toEqual([]);
});
