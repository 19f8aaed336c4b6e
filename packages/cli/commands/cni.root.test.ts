/** `vethwork cni` on a node: what cnitool does, by the same variables, files and ids; and what it says when it cannot. */
import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binFolder, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";
import type { Output } from "../../../tests/conformance/node/node.ts";
import { missing } from "../../../tests/conformance/node/needs.ts";

const program = join(binFolder, "../vethwork");
const network = { cniVersion: "1.1.0", name: "pods", plugins: [{ type: "vethwork", network: "10.244.0.0/16", subnet: "10.244.0.0/24", capabilities: { mac: true } }] };

interface Shell {
  cni(args: readonly string[], env?: Record<string, string>): Promise<Output>;
  folder: string;
}

function shellTest(title: string, act: (stage: Stage, shell: Shell) => Promise<void>): void {
  stageTest(title, async (stage) => {
    const folder = join(stage.node.dir, "net.d");
    mkdirSync(folder);
    writeFileSync(join(folder, "10-pods.conflist"), JSON.stringify(network));
    const common = { NETCONFPATH: folder, CNI_PATH: binFolder };
    await act(stage, { folder, cni: (args, env) => stage.node.exec([program, "cni", ...args], { env: { ...common, ...env } }) });
  });
}

shellTest("add prints the result, check finds it, list names it, del gives everything back", async (stage, { cni }) => {
  const { name, netns } = await stage.addPod("pod1");
  const before = await stage.state();
  const added = await cni(["add", "pods", netns]);
  expect({ code: added.code, err: added.err }).toEqual({ code: 0, err: "" });
  expect(JSON.parse(added.out)).toMatchObject({ cniVersion: "1.1.0", ips: [{ address: "10.244.0.2/32" }] });
  const containerId = `cnitool-${createHash("sha512").update(netns).digest("hex").slice(0, 20)}`;
  expect(await cni(["list"])).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`^pods +${containerId} +eth0 +${netns}$`, "m")) });
  expect(JSON.parse((await cni(["list", "--json"])).out)).toMatchObject([{ containerId, network: "pods", ifname: "eth0", netns }]);
  expect(await cni(["check", "pods", name])).toEqual({ code: 0, out: "", err: "" });
  await stage.node.run(["ip", "-n", name, "addr", "flush", "dev", "eth0"]);
  expect(await cni(["check", "pods", name])).toMatchObject({ code: 1, err: expect.stringContaining('"eth0" has lost its address 10.244.0.2') });
  expect(await cni(["del", "pods", name])).toEqual({ code: 0, out: "", err: "" });
  expect(await cni(["del", "pods", name])).toEqual({ code: 0, out: "", err: "" });
  expect((await cni(["list"])).out).toBe("no attachments\n");
  expect(await stage.state()).toEqual(before);
});

shellTest("the variables of cnitool reach the plugins, and a trace shows them", async (stage, { cni }) => {
  const { name } = await stage.addPod("pod1");
  const env = { CNI_IFNAME: "net7", CNI_ARGS: "IgnoreUnknown=1;A=b", CAP_ARGS: '{"mac":"02:00:00:00:00:07"}' };
  const { code, err } = await cni(["add", "pods", name, "--trace", "--container-id", "mine"], env);
  expect(code).toBe(0);
  expect(err).toMatch(/^ADD vethwork: exit code 0 after [\d.]+ ms\n +stdin +\{.*"runtimeConfig":\{"mac":"02:00:00:00:00:07"\}.*\n +stdout /);
  expect(await stage.node.run(["ip", "-n", name, "link", "show", "net7"])).toContain("net7");
  expect(JSON.parse((await cni(["list", "--json"])).out)).toMatchObject([{ containerId: "mine", ifname: "net7", cniArgs: [["IgnoreUnknown", "1"], ["A", "b"]] }]);
});

shellTest("gc keeps what it is told to keep, status and validate say whether add would work", async (stage, { cni }) => {
  for (const name of ["a", "b"]) {
    await stage.addPod(name);
    expect((await cni(["add", "pods", name, "--container-id", name])).code).toBe(0);
  }
  expect(await cni(["gc", "pods", "--keep", "a/eth0"])).toEqual({ code: 0, out: "", err: "" });
  expect(JSON.parse((await cni(["list", "--json"])).out)).toMatchObject([{ containerId: "a" }]);
  expect(await cni(["status", "pods"])).toEqual({ code: 0, out: "", err: "" });
  expect(JSON.parse((await cni(["validate", "pods"])).out)).toEqual({ network: "pods", cniVersion: "1.1.0", capabilities: ["mac"] });
});

const lacksReference = missing({ files: { "/usr/lib/cni/bridge": "containernetworking-plugins" } });
stageTest(`foreign plugins are run as programs, ours in this process, in one chain${lacksReference && ` (needs ${lacksReference})`}`, async (stage) => {
  if (lacksReference) return;
  const folder = join(stage.node.dir, "net.d");
  mkdirSync(folder);
  const chain = [{ type: "ptp", ipam: { type: "host-local", subnet: "10.9.0.0/24" } }, { type: "tuning", sysctl: { "net.ipv4.conf.eth0.arp_filter": "1" } }];
  writeFileSync(join(folder, "10-mixed.conflist"), JSON.stringify({ cniVersion: "1.0.0", name: "mixed", plugins: chain }));
  const { name } = await stage.addPod("pod1");
  const env = { NETCONFPATH: folder, CNI_PATH: `${binFolder}:/usr/lib/cni` };
  const { code, err } = await stage.node.exec([program, "cni", "add", "mixed", name, "--trace"], { env });
  expect({ code, calls: err.match(/^\w+ \S+: exit code \d/gm) }).toEqual({ code: 0, calls: ["ADD ptp: exit code 0", "ADD tuning: exit code 0"] });
  for (const verb of ["check", "del"]) expect((await stage.node.exec([program, "cni", verb, "mixed", name], { env })).code).toBe(0);
});

stageTest("a plugin is told the same and answers the same, in this process or as one of its own", async (stage) => {
  const { dir } = stage.node;
  const [folder, copies] = [join(dir, "net.d"), join(dir, "copies")];
  for (const one of [folder, copies]) mkdirSync(one);
  copyFileSync(program, join(copies, "vethwork")); // another file, whatever is in it
  for (const type of ["bridge", "static", "portmap", "bandwidth", "firewall", "tuning"]) symlinkSync("vethwork", join(copies, type));
  const bridge = { type: "bridge", isGateway: true, ipMasq: true, ipam: { type: "static", addresses: [{ address: "10.9.0.2/24", gateway: "10.9.0.1" }] } };
  const rest = [{ type: "portmap", capabilities: { portMappings: true } }, { type: "bandwidth", ingressRate: 1_000_000, ingressBurst: 1_000_000 }, { type: "firewall" }, { type: "tuning", mtu: 1400 }];
  writeFileSync(join(folder, "10-chain.conflist"), JSON.stringify({ cniVersion: "1.0.0", name: "chain", plugins: [bridge, ...rest] }));
  writeFileSync(join(folder, "20-wrong.conflist"), JSON.stringify({ cniVersion: "1.0.0", name: "wrong", plugins: [bridge, { type: "tuning", sysctl: { "net.no.such": "1" } }] }));
  const { name } = await stage.addPod("pod1");
  const traces = async (path: string): Promise<string[]> => {
    const told: string[] = [];
    for (const [verb, network] of [["add", "chain"], ["check", "chain"], ["del", "chain"], ["del", "chain"], ["add", "wrong"], ["del", "wrong"]] as const) {
      const env = { NETCONFPATH: folder, CNI_PATH: path, CAP_ARGS: '{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}' };
      const { code, err } = await stage.node.exec([program, "cni", verb, network, name, "--trace"], { env });
      told.push(`${verb} ${network}: ${code}\n${err.replaceAll(/after [\d.]+ ms|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, "…")}`);
    }
    return told;
  };
  const inside = await traces(binFolder);
  expect(inside.map((text) => text.split("\n", 1)[0])).toEqual(["add chain: 0", "check chain: 0", "del chain: 0", "del chain: 0", "add wrong: 1", "del wrong: 0"]);
  expect(await traces(copies)).toEqual(inside);
});

shellTest("what is wrong is named, with where it came from", async (stage, { cni, folder }) => {
  const { name } = await stage.addPod("pod1");
  for (const [args, env, says] of [
    [["add", "pods"], {}, "takes a network and a namespace"], [["fly"], {}, 'there is no "fly"'], [["list", "--fly"], {}, "--fly"],
    [["add", "pods", name], { CNI_ARGS: "x" }, 'CNI_ARGS has "x"'], [["add", "pods", name], { CAP_ARGS: "[]" }, "CAP_ARGS is []"], [["gc", "pods", "--keep", "a"], {}, '--keep "a"'],
    [["add", "pods", name, "--timeout", "soon"], {}, '--timeout "soon"'], [["add", "pods", name, "--keep", "a/b"], {}, "takes no --keep"],
  ] as const) expect(await cni(args, env)).toMatchObject({ code: 2, out: "", err: expect.stringContaining(says) });
  for (const [args, env, says] of [
    [["add", "nobody", name], {}, `no net configuration with name "nobody" in ${folder}`], [["add", "pods", "nowhere"], {}, 'there is no namespace "/run/netns/nowhere"'],
    [["add", "pods", name], { CNI_PATH: "/nowhere" }, 'failed to find plugin "vethwork" in path [/nowhere]'], [["add", "pods", name], { CNI_IFNAME: "sixteen-letters-" }, "interface name is too long"],
    [["status", "pods"], { NETCONFPATH: "/nowhere" }, "no net configurations found in /nowhere"],
  ] as const) expect(await cni(args, env)).toMatchObject({ code: 1, out: "", err: expect.stringContaining(says) });
  const refused = await cni(["add", "pods", "nowhere", "--json"]);
  expect({ code: refused.code, ...JSON.parse(refused.out) }).toMatchObject({ code: 4, msg: expect.stringContaining("nowhere") });
});
