/**
 * A node's network plugin is killed in the middle, and the kernel refuses what it has always done. For every plugin, at every call
 * that it makes: nothing is left after a failed ADD, and nothing after a death and DEL (./play.ts).
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { types } from "../../packages/plugins/registry.ts";
import { faultyBinFolder, onStage, stageLacks, type Stage } from "../../packages/plugins/testing/stage.ts";
import { kernelLacks, type KernelOption } from "../conformance/node/kernel.ts";
import { missing, skipped } from "../conformance/node/needs.ts";
import { page, statedCalls } from "./page.ts";
import type { Played } from "./play.ts";
import { pod, rows } from "./rows.ts";
import { playAll } from "./run.ts";

/** Kinds of links that a kernel may have been built without. */
const OPTIONS: Readonly<Record<string, KernelOption>> = { ipvlan: "CONFIG_IPVLAN", vlan: "CONFIG_VLAN_8021Q", dummy: "CONFIG_DUMMY", vrf: "CONFIG_NET_VRF" };

test("every plugin of the registry has a row", () => {
  const played = new Set(rows.flatMap(({ plugins }) => plugins.map(({ type }) => type)));
  expect(types.filter((type) => !played.has(type))).toEqual([]);
});

const lacks = stageLacks || missing({ root: true, programs: ["dnsmasq"] });
const lacksFor = (name: string): string => lacks || (OPTIONS[name] ? kernelLacks(OPTIONS[name]) : "");
const playing = lacks === "" ? playAll("short", rows.filter(({ name }) => lacksFor(name) === "")) : new Map<string, Promise<Played>>();
const results = new Map<string, Played>();
for (const [name, promise] of playing) promise.then((played) => results.set(name, played), () => undefined);

for (const { name } of rows) {
  test.skipIf(lacksFor(name) !== "")(skipped(`${name}: killed at any call, or with any call failed, nothing is left`, lacksFor(name)), async () => {
    const played = await playing.get(name);
    if (!played) return;
    expect({ name, wrong: played.wrong, lacks: played.lacks }).toEqual({ name, wrong: [], lacks: "" });
    expect(played.calls.ADD).toBeGreaterThan(3);
    // The page's figures are those of some machine; on another one a call more or less is no news, a tenth is.
    const stated = statedCalls(readFileSync(page, "utf8"), name);
    for (const verb of ["ADD", "DEL"] as const) if (stated) expect({ name, verb, isAsStated: Math.abs(stated[verb] - played.calls[verb]) <= Math.max(3, played.calls[verb] / 10) }).toEqual({ name, verb, isAsStated: true });
    expect(played.outcomes.undone).toBeGreaterThan(0);
    expect(played.outcomes.cleared).toBeGreaterThan(1);
  }, 590_000);
}

// ── that no call is made that is not announced ──

const straceLacks = stageLacks || missing({ root: true, programs: ["strace"] });
/** What the plugin does to the world; the runtime under it asks for memory, threads and time all along. */
const WORLDLY = "open,openat,close,read,write,statx,unlinkat,utimensat,mkdir,mkdirat,rename,renameat,renameat2,socket,setsockopt,getsockopt,bind,connect,sendto,sendmsg,recvfrom,recvmsg,setns,unshare,mount,umount2,flock,fstatfs,getdents64,ioctl,execve,vfork";
/** How glibc asks the kernel for a function of its. */
const SYSCALLS: Readonly<Record<string, string>> = { open: "openat", send: "sendto", recv: "recvfrom" };

test.skipIf(straceLacks !== "")(skipped("every system call that a plugin makes is announced, in its order", straceLacks), () => onStage(async (stage) => {
  await stage.addPod(pod.name);
  for (const name of ["bridge", "vethwork", "ptp", "host-local"]) {
    const plugin = rows.find((row) => row.name === name)?.plugins[0];
    if (!plugin) continue;
    // The runtime under it has threads, and a mind of its own, now and then; what the plugin does unannounced, it does each time.
    let differs = "at first";
    for (let tries = 0; tries < 3 && differs !== ""; tries++) {
      differs = "";
      for (const command of ["ADD", "DEL"]) {
        const { announced, made } = await traced(stage, { ...plugin, command });
        const begin = made.findIndex((_, at) => announced.slice(0, 4).every((call, more) => made[at + more] === call));
        const end = begin + announced.length;
        if (begin < 0 || announced.join() !== made.slice(begin, end).join()) differs += `${command}: announced ${announced.join(" ")}; made ${made.slice(Math.max(begin, 0)).join(" ")}\n`;
      }
    }
    expect({ name, differs }).toEqual({ name, differs: "" });
  }
}), 60_000);

/** The system calls that a plugin has announced, and those that strace has seen. */
async function traced(stage: Stage, { command, ...plugin }: { command: string; type: string }): Promise<{ announced: string[]; made: string[] }> {
  const trace = join(stage.node.dir, "trace");
  rmSync(trace, { force: true });
  const env = { CNI_COMMAND: command, CNI_CONTAINERID: pod.name, CNI_NETNS: pod.netns, CNI_IFNAME: "eth0", CNI_PATH: faultyBinFolder, VETHWORK_FAULT: "count" };
  const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "mynet", ...plugin });
  const { code, err } = await stage.node.exec(["strace", "-qq", "-o", trace, "-e", `trace=${WORLDLY}`, join(faultyBinFolder, plugin.type)], { env, stdin });
  expect({ type: plugin.type, command, code, traced: existsSync(trace) }).toEqual({ type: plugin.type, command, code: 0, traced: true });
  const made = withoutRuntimes(readFileSync(trace, "utf8").trim().split("\n")).map((line) => /^\w+/.exec(line)?.[0] ?? line);
  return { announced: err.trim().split("\n").map((line) => syscallOf(line.replace(/^\d+ /, ""))), made };
}

/** What glibc asks the kernel for a call that was announced: a function of its by name, or a request by netlink. */
function syscallOf(call: string): string {
  const [word = ""] = call.split(" ");
  return SYSCALLS[word] ?? (WORLDLY.split(",").includes(word) ? word : "sendto");
}

/** The trace without what the runtime looks up for itself, now and then: how much memory there is. */
function withoutRuntimes(lines: readonly string[]): string[] {
  let own = "";
  return lines.filter((line) => {
    const opened = /^open(?:at)?\(.*"(?:\/proc\/self\/(?:statm|maps|cgroup)|\/proc\/meminfo|\/sys\/)[^"]*".* = (\d+)$/.exec(line)?.[1];
    if (opened !== undefined) own = opened;
    const isOwn = opened !== undefined || (own !== "" && (line.startsWith(`read(${own},`) || line.startsWith(`close(${own})`)));
    if (line.startsWith(`close(${own})`)) own = "";
    return !isOwn;
  });
}
