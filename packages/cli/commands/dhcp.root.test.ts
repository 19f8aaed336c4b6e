/** `dhcp daemon` as a program on a node: who may listen where, how it ends, what it takes over, and from whom. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { until } from "../../../tests/conformance/node/until.ts";
import { bind, closeFile, listen, socket } from "@vethwork/linux/libc.ts";
import { AF, SOCK } from "@vethwork/linux/uapi/socket.ts";
import { binFolder, stageLacks, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";

const program = `${binFolder}/dhcp`;
const vethwork = `${binFolder}/../vethwork`;
const status = { cniVersion: "1.1.0", name: "mynet", type: "dhcp", ipam: { type: "dhcp" } };

/** Starts it in the node and gives its process number there. */
async function start(stage: Stage, ...args: string[]): Promise<string> {
  return (await stage.node.run(["sh", "-c", `${[program, ...args].join(" ")} >>/run/log 2>&1 </dev/null & echo $!`])).trim();
}
const logged = (stage: Stage): Promise<string> => stage.node.run(["cat", "/run/log"]);
const isThere = async (stage: Stage, path: string): Promise<boolean> => (await stage.node.exec(["test", "-e", path])).code === 0;
const answers = async (stage: Stage, path = "/run/cni/dhcp.sock"): Promise<boolean> =>
  (await stage.call({ command: "STATUS", config: { ...status, ipam: { ...status.ipam, daemonSocketPath: path } } })).code === 0;
const ends = (stage: Stage, pid: string): Promise<boolean> =>
  until(async () => !/^State:\s[^Z]/m.test((await stage.node.exec(["cat", `/proc/${pid}/status`])).out));

stageTest("it is started as the reference is, writes its number, and takes socket and number away when it is ended", async (stage) => {
  const before = await stage.state();
  for (const [signal, more] of [["INT", []], ["TERM", ["-socketpath", "/run/x/y.sock"]]] as const) {
    const path = more[1] ?? "/run/cni/dhcp.sock";
    const pid = await start(stage, "daemon", "-pidfile", "/run/dhcp.pid", "-timeout", "10s", "-resendmax=1m2s", "--resendtimeout", "3m28s", "-broadcast=false", ...more);
    expect(await until(() => answers(stage, path))).toBe(true);
    expect(await until(() => isThere(stage, "/run/dhcp.pid"))).toBe(true);
    expect(await stage.node.run(["cat", "/run/dhcp.pid"])).toBe(pid);
    expect(await stage.node.run(["stat", "-c", "%a", "/run/dhcp.pid", path.slice(0, path.lastIndexOf("/")), path])).toBe("644\n700\n600\n");
    await stage.node.run(["kill", `-${signal}`, pid]);
    expect(await ends(stage, pid)).toBe(true);
    expect(await answers(stage, path)).toBe(false);
  }
  await stage.node.run(["rm", "/run/log"]);
  expect((await stage.state()).files).toEqual(before.files);
});

stageTest("a dead daemon's socket is taken over, a living one's is not, nor that of a daemon of others", async (stage) => {
  const first = await start(stage, "daemon");
  expect(await until(() => answers(stage))).toBe(true);
  expect(await stage.node.exec([program, "daemon"])).toMatchObject({ code: 1, err: expect.stringMatching(new RegExp(`Cannot lock "/run/cni/dhcp/lock": process ${first} \\(dhcp\\) holds it`)) });
  expect(await answers(stage)).toBe(true);
  await stage.node.run(["kill", "-KILL", first]);
  expect(await ends(stage, first)).toBe(true);
  expect([await isThere(stage, "/run/cni/dhcp.sock"), await answers(stage)]).toEqual([true, false]);
  const second = await start(stage, "daemon");
  expect(await until(() => answers(stage))).toBe(true);
  await stage.node.run(["kill", second]);
  expect(await ends(stage, second)).toBe(true);

  const source = `require("node:net").createServer(() => {}).listen("/run/cni/dhcp.sock", () => console.log("ready"))`;
  const other = (await stage.node.run(["sh", "-c", `${process.execPath} -e '${source}' >/run/other 2>&1 </dev/null & echo $!`])).trim();
  expect(await until(() => isThere(stage, "/run/cni/dhcp.sock"))).toBe(true);
  expect(await stage.node.exec([program, "daemon"])).toMatchObject({ code: 1, err: expect.stringContaining('Cannot listen on "/run/cni/dhcp.sock": EADDRINUSE, a living daemon listens there') });
  await stage.node.run(["kill", other]);
});

stageTest("a prefix stands before the socket and before the paths of namespaces", async (stage) => {
  await stage.node.run(["sh", "-c", "mkdir -p /run/host && mount --bind / /run/host && mount --rbind /run /run/host/run"]);
  await start(stage, "daemon", "-hostprefix", "/run/host");
  expect(await until(() => isThere(stage, "/run/cni/dhcp.sock"))).toBe(true);
  const pod = await stage.addPod("pod1");
  const missing = await stage.call({ command: "ADD", config: status, pod: { ...pod, netns: "/run/netns/nobody" } });
  expect(missing.result).toMatchObject({ code: 3, msg: 'the namespace "/run/host/run/netns/nobody" is gone' });
  expect(await stage.node.exec([vethwork, "dhcp", "leases", "--hostprefix", "/run/host"])).toMatchObject({ code: 0, out: "no leases\n" });
});

stageTest("what is not understood is told with exit code 2, before anything is opened", async (stage) => {
  for (const [args, says] of [
    [["dhcp"], "a word is missing"], [["dhcp", "fly"], 'there is no "fly"'], [["dhcp", "daemon", "-timeout", "10"], '--timeout "10"'], [["dhcp", "daemon", "-pidfile", "x"], "an absolute path is wanted"],
    [["dhcp", "daemon", "-fly"], "--fly"], [["dhcp", "daemon", "--resendmax", "0"], "a time above zero is wanted"], [["dhcp", "daemon", "fly"], '"fly" is not understood'], [["dhcp", "leases", "--pidfile", "/x"], "--pidfile"],
  ] as const) {
    expect(await stage.node.exec([vethwork, ...args])).toMatchObject({ code: 2, out: "", err: expect.stringContaining(says) });
  }
  expect(await isThere(stage, "/run/cni")).toBe(false);
  expect((await stage.node.exec([program, "daemon", "-h"])).out).toStartWith("Usage: vethwork dhcp daemon");
  expect((await stage.node.exec([program])).err).toContain("CNI dhcp plugin");
});

test.skipIf(stageLacks !== "")(skipped("a socket that systemd opened is taken over, and left to systemd; of two it takes none", stageLacks), async () => {
  const folder = mkdtempSync(join(tmpdir(), "dhcp-"));
  const path = join(folder, "dhcp.sock");
  const fd = socket(AF.UNIX, SOCK.STREAM, 0);
  bind(fd, Uint8Array.of(AF.UNIX, 0, ...new TextEncoder().encode(`${path}\0`)));
  listen(fd, 16);
  const activated = (count: number) => Bun.spawn(["sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=${count} exec ${program} daemon --socketpath ${path}`], { stdio: ["ignore", "ignore", "pipe", fd] });
  const refused = activated(2);
  expect([await refused.exited, await new Response(refused.stderr).text()]).toEqual([2, expect.stringContaining("Too many (2) FDs passed through socket activation")]);
  const daemon = activated(1);
  const asked = Bun.spawnSync([program], { stdin: Buffer.from(JSON.stringify({ ...status, ipam: { type: "dhcp", daemonSocketPath: path } })), env: { CNI_COMMAND: "STATUS", CNI_PATH: binFolder } });
  expect([asked.exitCode, asked.stdout.toString()]).toEqual([0, ""]); // the kernel keeps the question until it listens
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toBe(0);
  expect(await Bun.file(path).exists() || Bun.spawnSync(["test", "-S", path]).exitCode === 0).toBe(true);
  closeFile(fd);
  rmSync(folder, { recursive: true });
});

stageTest("leases are listed for people and for programs", async (stage) => {
  const held = {
    wish: { network: "mynet", containerId: "pod1", ifname: "eth0", netns: "/run/netns/pod1", tell: {}, ask: [] }, mac: "02:00:00:00:00:05", boot: "x",
    lease: { address: "10.5.0.5/24", server: "10.5.0.1", serverMac: "02:00:00:00:00:01", since: 0, seconds: 4294967295, renewAfter: 1, rebindAfter: 2 },
  };
  await stage.node.run(["sh", "-c", "mkdir -p /run/cni/dhcp; cat >/run/cni/dhcp/mynet:pod1:eth0.json; echo '{}' >/run/cni/dhcp/odd.json"], { stdin: JSON.stringify(held) });
  const told = await stage.node.exec([vethwork, "dhcp", "leases"]);
  expect(told).toMatchObject({ code: 0, err: expect.stringMatching(/^\/run\/cni\/dhcp\/odd\.json does not read: .*"wish".*\n$/) });
  expect(told.out).toBe("NETWORK  CONTAINER  INTERFACE  ADDRESS      SERVER    STATE  LEFT\nmynet    pod1       eth0       10.5.0.5/24  10.5.0.1  bound  for ever\n");
  expect(JSON.parse((await stage.node.exec([vethwork, "dhcp", "leases", "--json"])).out)).toEqual([
    { network: "mynet", container: "pod1", interface: "eth0", address: "10.5.0.5/24", server: "10.5.0.1", state: "bound", secondsLeft: null },
  ]);
  expect(await logged(stage).catch((error: unknown) => String(error))).toContain("No such file"); // no daemon was started for it
});
