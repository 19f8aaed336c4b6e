/**
 * Values that nobody means well with, in every place where one goes into a plugin: the plugin refuses, or does what it was asked for
 * and no more. What a plugin touches is seen by strace, from outside: each file that is made, written or deleted, and each program
 * that is run.
 */
import { expect } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { types } from "./registry.ts";
import { binFolder, stageTest, type Stage } from "./testing/stage.ts";

/** Everything that changes a file or runs a program. A trace is of what succeeded. */
const CALLS = "open,openat,openat2,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,rmdir,symlink,symlinkat,link,linkat,mknod,mknodat,chmod,fchmodat,chown,lchown,fchownat,truncate,mount,execve,execveat";

/** Where plugins have their state, and the kernel parameters of a network; nothing of it leads back up. */
const ALLOWED: readonly RegExp[] = [
  /^\/run\/(vethwork|cni)(\/|$)/, /^\/var\/lib\/cni(\/|$)/, /^\/proc\/sys\/net\/ipv[46]\//, /^\/dev\/(null|net\/tun)$/, /^\/proc\/(self|thread-self|\d+)\//,
  /^[\w.-]+\.pile$/, // of the runtime that has the test's program, which is not built
];
const PROGRAMS: readonly RegExp[] = [/^\/usr\/s?bin\/ip6?tables(-restore|-save)?$/, new RegExp(`^${binFolder}/(${types.join("|")})$`), /\/bun(\.exe)?$/];

/** Some wait for the kernel to let go of a cable: several processes wait at once. */
const groups: readonly (readonly string[])[] = [["vethwork"], ["ptp"], ["bridge", "tap", "firewall"], types.filter((type) => !["vethwork", "ptp", "bridge", "tap", "firewall"].includes(type))];

stageTest("whatever a value is, a plugin answers in the specification's words, writes in its own folders only, and runs nothing that it brings", async (stage) => {
  await stage.node.run(["ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare2"]);
  const traces = await Promise.all(groups.map((group, at) => traced(stage, `${at}`, group)));
  const touched = traces.flatMap(touchedIn);
  expect(touched.filter(({ program, path }) => !(program ? PROGRAMS : ALLOWED).some((one) => one.test(path)) || path.split("/").includes(".."))).toEqual([]);
  expect(touched.some(({ path }) => path.startsWith("/run/vethwork/mynet/"))).toBe(true); // the trace sees what there is to see
  expect(await stage.node.run(["ip", "-o", "link", "show", "group", "118"])).toBe("");
  // Text that breaks out of its quotes would no longer read.
  await stage.node.run(["sh", "-c", "nft list ruleset > /run/rules && nft -c -f /run/rules"]);
}, 240_000);

async function traced({ node, addPod }: Stage, name: string, group: readonly string[]): Promise<string> {
  const pod = await addPod(`pod${name}`);
  const folder = join(node.dir, "deep/in/a/folder", name);
  mkdirSync(folder, { recursive: true });
  const trace = join(node.dir, `trace${name}`);
  const strace = ["strace", "-f", "-qq", "-z", "-s", "12000", "-o", trace, "--seccomp-bpf", "-e", `trace=${CALLS}`];
  const program = [process.execPath, join(import.meta.dir, "testing/hostile.ts"), pod.netns, binFolder, ...group];
  const { code, out } = await node.exec(["sh", "-c", 'cd "$0" && exec "$@"', folder, ...strace, ...program], { timeoutMs: 200_000 });
  const lines = out.trim().split("\n");
  expect({ group, code, wrong: lines.slice(0, -1) }).toEqual({ group, code: 0, wrong: [] });
  expect(Number(/^\{"count":(\d+)\}$/.exec(lines.at(-1) ?? "")?.[1])).toBeGreaterThan(300);
  return readFileSync(trace, "utf8");
}

interface Touched {
  program: boolean;
  path: string;
}

/** What a trace's lines are about; files that were only opened to read are left out. */
function touchedIn(trace: string): Touched[] {
  return trace.split("\n").flatMap((line) => {
    const [, call = "", rest = ""] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
    if (call === "" || (call.startsWith("open") && !/O_(WRONLY|RDWR|CREAT|TRUNC)/.test(rest))) return [];
    const paths = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, path = ""]) => path);
    return paths.slice(0, call.startsWith("rename") || call.startsWith("link") || call.startsWith("symlink") ? 2 : 1).map((path) => ({ program: call.startsWith("execve"), path }));
  });
}
