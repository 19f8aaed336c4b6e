/** The cluster that `npm run cluster` leaves to a person: its commands work, and it goes without a trace, however it ends. */
import { expect, test } from "bun:test";
import { basename, join } from "node:path";
import { remains } from "../../conformance/node/leftovers.ts";
import { skipped } from "../../conformance/node/needs.ts";
import { command } from "../../conformance/node/node.ts";
import { until } from "../../conformance/node/until.ts";
import { lacks } from "./programs.ts";

const play = (title: string, act: () => Promise<void>) => test.skipIf(lacks !== "")(skipped(title, lacks), act, 120_000);

play("a person has kubectl and a command for each machine, and Ctrl-C ends everything", async () => {
  const { child, machines, tools } = await begin();
  const nodes = await command([join(tools, "kubectl"), "get", "nodes", "--no-headers"]);
  expect(nodes.out).toMatch(/^node-1 +Ready .*\nnode-2 +Ready .*\n$/);
  expect((await command([join(tools, "node-2"), "hostname"])).out).toBe("node-2\n");
  expect((await command([join(tools, "node-1"), "ctr", "images", "list", "--quiet"])).out).toContain("busybox");
  expect((await command([join(tools, "control"), "pgrep", "etcd"])).code).toBe(0);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(machines.flatMap(remains)).toEqual([]);
});

play("a cluster whose process is killed goes all the same", async () => {
  const { child, machines } = await begin();
  expect(machines.map((machine) => remains(machine).length > 0)).toEqual([true, true, true]);
  child.kill("SIGKILL");
  await child.exited;
  await until(() => machines.flatMap(remains).length === 0);
  expect(machines.flatMap(remains)).toEqual([]);
});

/** Starts a cluster as a person does, without a terminal, and reads what it says. */
async function begin() {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "play.ts")], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (said.includes("Ctrl-C")) break;
  }
  const machines = [...said.matchAll(/^ {2}\S+ +(\/.*\/vethwork-node\.\w+)$/gm)].map(([, dir = ""]) => ({ dir, name: basename(dir) }));
  return { child, machines, tools: /PATH=(.*):\$PATH/.exec(said)?.[1] ?? "" };
}
