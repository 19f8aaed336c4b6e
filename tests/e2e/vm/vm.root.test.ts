/** The virtual machine itself: it runs what it is told to, on its own kernel, and is gone afterwards whatever happens. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipped } from "../../conformance/node/needs.ts";
import { until } from "../../conformance/node/until.ts";
import { runInVm, vmLacks } from "./vm.ts";

const vmTest = (title: string, act: () => Promise<void>): void => test.skipIf(vmLacks !== "")(skipped(title, vmLacks), act, 200_000);

/** Command lines of processes that name a folder. */
const processesOf = (folder: string): string[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name))
  .map((pid) => (existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") : "")).filter((line) => line.includes(folder) && /qemu|virtiofsd|vm\.sh/.test(line));

vmTest("a command's outputs and exit code come back; modules come by themselves; what it writes stays in there", async () => {
  const mark = join(import.meta.dir, "written-in-the-vm");
  const heard: string[] = [];
  const script = `uname -r; echo $HELLO; ip link add x type wireguard && ip link add y type vxlan id 7 dstport 4789 && ip link add z type netkit; ip -br link | wc -l; echo here >${mark} && cat ${mark}; echo aside >&2; exit 7`;
  const { code, out, err } = await runInVm(["bash", "-c", script], { env: { HELLO: "it's me" }, onOutput: (text) => heard.push(text) });
  const [kernel = "", hello, links, written] = out.trim().split("\n");
  expect({ code, err: err.replace(/^Error.*netkit.*\n|^Error: Unknown device type\.\n/m, ""), hello, written }).toEqual({ code: 7, err: "aside\n", hello: "it's me", written: "here" });
  expect(kernel).toMatch(/^\d+\.\d+.*(?:cloud-)?amd64$/);
  expect(kernel).not.toBe(readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
  expect(Number(links)).toBeGreaterThanOrEqual(3);
  expect(existsSync(mark)).toBe(false);
  expect(heard.join("")).toBe(out);
});

vmTest("one that takes too long is switched off and said to be, and nothing of it is left", async () => {
  const before = readdirSync(tmpdir());
  await expect(runInVm(["sleep", "600"], { timeoutMs: 6_000 })).rejects.toThrow(/Cannot run "sleep 600" in a virtual machine: it was switched off after 6 s/);
  expect(readdirSync(tmpdir())).toEqual(before);
  expect(await until(() => processesOf("vethwork-vm-").length === 0)).toBe(true);
});

vmTest("who is killed with kill -9 takes it along", async () => {
  const folder = mkdtempSync(join(tmpdir(), "killed-"));
  try {
    const child = Bun.spawn([process.execPath, "-e", `import { runInVm } from ${JSON.stringify(join(import.meta.dir, "vm.ts"))}; await runInVm(["sleep", "600"]);`], { env: { ...process.env, TMPDIR: folder }, stdout: "ignore", stderr: "ignore" });
    expect(await until(() => processesOf(folder).some((line) => line.includes("qemu")))).toBe(true);
    child.kill("SIGKILL");
    expect(await until(() => processesOf(folder).length === 0)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
