/** `vethwork lab` as a person uses it: the words, what they print, their exit codes, Ctrl-C, and a reader that goes away. */
import { expect } from "bun:test";
import { findMachines } from "@vethwork/lab/machine.ts";
import { kernelTest, labName, program } from "@vethwork/lab/testing/labtest.ts";

const lab = async (...args: string[]) => {
  const child = Bun.spawn([program, "lab", ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
};

kernelTest("up, status, check, exec and down, and each a second time", async () => {
  const name = labName("cli");
  try {
    expect(await lab("up", "--name", name, "--nodes", "1", "--pods", "2")).toMatchObject({ code: 0, out: expect.stringMatching(/node-1 +192\.168\.50\.11[^]*pod-2 +10\.244\.1\.3 on node-1.*ADD +[\d.]+ ms/) });
    expect(await lab("up", "--name", name)).toMatchObject({ code: 1, err: expect.stringContaining("is up already") });
    expect(await lab("status", "--name", name)).toMatchObject({ code: 0, out: expect.stringContaining("pod-1    10.244.1.2") });
    expect(JSON.parse((await lab("status", "--name", name, "--json")).out)).toMatchObject({ up: true, nodes: [{ name: "node-1", pods: [{ name: "pod-1", addresses: ["10.244.1.2"] }, { name: "pod-2" }] }] });
    expect(await lab("check", "--name", name)).toMatchObject({ code: 0, err: "", out: expect.stringContaining("✔ every pod reaches every pod, without NAT") });
    expect(await lab("exec", "--name", name, "pod-1", "--", "sh", "-c", "ip -br addr show dev eth0; exit 7")).toMatchObject({ code: 7, out: expect.stringContaining("10.244.1.2/32") });
    expect(await lab("exec", "--name", name, "pod-9", "true")).toMatchObject({ code: 1, err: expect.stringContaining('There is no "pod-9" in the lab (world, node-1, pod-1, pod-2)') });

    await lab("exec", "--name", name, "node-1", "--", "sysctl", "-qw", "net.ipv4.ip_forward=0");
    const broken = await lab("check", "--name", name, "--timeout", "30", "--json");
    expect(broken.code).toBe(1);
    expect(JSON.parse(broken.out)).toMatchObject({ ok: false, rules: expect.arrayContaining([expect.objectContaining({ holds: false })]) });
    expect(broken.err).toContain("node-1: it does not forward IPv4");

    expect(await lab("down", "--name", name)).toMatchObject({ code: 0, out: expect.stringContaining("2 machines") });
    expect(await lab("down", "--name", name)).toMatchObject({ code: 0, out: `lab "${name}" was not up\n` });
    expect(await lab("status", "--name", name)).toMatchObject({ code: 1, out: expect.stringContaining("is down") });
    expect(await lab("check", "--name", name)).toMatchObject({ code: 1, err: expect.stringContaining("vethwork lab up") });
  } finally {
    await lab("down", "--name", name);
  }
});

kernelTest("the demonstration shows every kind of pair and the rules, as text and as JSON, and leaves nothing", async () => {
  const { code, out, err } = await lab("demo", "--families", "4,6");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const part of ["pod → pod, across nodes", "pod-1  → pod-3  10.244.2.2", "pod-1  → world  2001:db8::1", "The Kubernetes network model", "Taken down again"]) expect(out).toContain(part);
  expect(out).not.toContain("✘");
  const { out: json, err: progress } = await lab("demo", "--json");
  expect(JSON.parse(json)).toMatchObject({ ok: true, rows: expect.arrayContaining([expect.objectContaining({ from: "pod-1", to: "world", expected: "192.168.50.11" })]) });
  expect(progress).toContain("pod-1");
  expect(findMachines()).toEqual([]);
});

kernelTest("Ctrl-C takes away what was made; after a kill the next demonstration does", async () => {
  for (const [signal, moment] of [["SIGINT", "node-1"], ["SIGTERM", "pod-2"], ["SIGKILL", "pod-1"]] as const) {
    const child = Bun.spawn([program, "lab", "demo", "--pods", "100"], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    await sees(child.stdout, moment);
    child.kill(signal);
    await child.exited;
    if (signal === "SIGKILL") {
      expect(findMachines().length).toBeGreaterThan(0);
      await lab("demo", "--nodes", "1", "--pods", "1");
    } else {
      expect({ code: child.exitCode, err: await child.stderr.text() }).toMatchObject({ code: 130, err: expect.stringContaining("nothing of the lab is left") });
    }
    expect(findMachines()).toEqual([]);
  }
});

kernelTest("when nobody reads any more, the demonstration ends in order", async () => {
  const child = Bun.spawn(["sh", "-c", `'${program}' lab demo | head -n 1`], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  expect(await child.stdout.text()).toStartWith("A cluster of 2 nodes and 4 pods");
  expect(await child.stderr.text()).toBe("");
  await child.exited;
  expect(findMachines()).toEqual([]);
});

kernelTest("what is not understood is named, with exit code 2", async () => {
  for (const [args, says] of [
    [[], "a word is missing"], [["fly"], 'there is no "fly"'], [["up", "--nodes", "x"], '--nodes "x"'], [["up", "--families", "5"], '--families "5"'],
    [["down", "--nodes", "3"], 'takes no --nodes'], [["up", "now"], '"now"'], [["up", "--name", "../x"], '--name "../x"'], [["exec"], "whose command?"],
  ] as const) {
    expect(await lab(...args)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(says) });
  }
  expect(await lab("up", "--nodes", "500")).toMatchObject({ code: 1, err: expect.stringContaining("--nodes 500 (a whole number from 1 to 200 is wanted)") });
  expect(findMachines()).toEqual([]);
});

async function sees(stream: ReadableStream<Uint8Array>, wanted: string): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(wanted)) return;
  }
  expect(text).toContain(wanted);
}
