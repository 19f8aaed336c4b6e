/** The examples do what their READMEs say: a plugin in a chain, and a program that runs the chain. */
import { expect } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binFolder, stageTest, type Stage } from "@vethwork/plugins/testing/stage.ts";

const plugin = join(import.meta.dir, "plugin-minimal/plugin.ts");

stageTest("attach runs a chain with the minimal plugin in it, and takes it off again", async (stage) => {
  const before = await stage.state();
  const { name, netns } = await stage.addPod("pod1");
  const attach = attaching(stage, [{ type: "vethwork", network: "10.9.0.0/16", subnet: "10.9.0.0/24" }, { type: "mtu", mtu: 1300 }]);
  expect(await attach("mine", netns)).toEqual({ code: 0, out: "10.9.0.2/32\n", err: "" });
  expect(await stage.node.run(["ip", "-n", name, "-o", "link", "show", "eth0"])).toContain("mtu 1300");
  expect(await attach("--detach", "mine", netns)).toEqual({ code: 0, out: "", err: "" });
  await stage.deletePod({ name, netns });
  expect(await stage.state()).toEqual(before);
});

stageTest("a wrong option, a missing network and missing words are told", async (stage) => {
  const { netns } = await stage.addPod("pod1");
  const attach = attaching(stage, [{ type: "vethwork", network: "10.9.0.0/16", subnet: "10.9.0.0/24" }, { type: "mtu", mtu: 1 }]);
  expect(await attach("mine", netns)).toMatchObject({ code: 1, err: expect.stringContaining('plugin type="mtu" failed (add): ') });
  expect(await attach("nobody", netns)).toMatchObject({ code: 1, err: expect.stringContaining('no net configuration with name "nobody"') });
  expect(await attach("mine")).toMatchObject({ code: 2, err: "usage: attach.ts [--detach] NETWORK NETNS\n" });
});

stageTest("the minimal plugin is one: it is complete in under 40 lines, checks what it set, and names its versions", async (stage) => {
  expect(readFileSync(plugin, "utf8").trimEnd().split("\n").length).toBeLessThan(40);
  const { name, netns } = await stage.addPod("pod1");
  await stage.node.run(["ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "x"]);
  const call = (command: string, more: object = {}) => stage.node.exec([process.execPath, plugin], {
    env: { CNI_COMMAND: command, CNI_CONTAINERID: "c", CNI_NETNS: netns, CNI_IFNAME: "eth0", CNI_PATH: binFolder },
    stdin: JSON.stringify({ cniVersion: "1.1.0", name: "mine", type: "mtu", mtu: 1300, ...more }),
  });
  const prevResult = { cniVersion: "1.1.0", interfaces: [{ name: "eth0", sandbox: netns }] };
  expect(JSON.parse((await call("ADD", { prevResult })).out)).toEqual({ cniVersion: "1.1.0", interfaces: [{ name: "eth0", sandbox: netns, mtu: 1300 }] });
  expect((await call("CHECK", { prevResult })).code).toBe(0);
  await stage.node.run(["ip", "-n", name, "link", "set", "eth0", "mtu", "1400"]);
  expect(JSON.parse((await call("CHECK", { prevResult })).out)).toMatchObject({ code: 100, msg: '"eth0" has MTU 1400 (1300 is wanted)' });
  expect(JSON.parse((await call("ADD")).out)).toMatchObject({ code: 7, msg: expect.stringContaining("prevResult") });
  expect(JSON.parse((await call("VERSION")).out)).toMatchObject({ supportedVersions: expect.arrayContaining(["1.1.0"]) });
  expect((await call("DEL", { prevResult })).code).toBe(0);
});

/** A folder of plugins and one of networks in the node, and the program that uses both. */
function attaching({ node }: Stage, plugins: readonly object[]) {
  for (const folder of ["bin", "net.d"]) mkdirSync(join(node.dir, folder));
  symlinkSync(join(binFolder, "vethwork"), join(node.dir, "bin/vethwork"));
  writeFileSync(join(node.dir, "bin/mtu"), `#!/bin/sh\nexec '${process.execPath}' '${plugin}'\n`);
  chmodSync(join(node.dir, "bin/mtu"), 0o755);
  writeFileSync(join(node.dir, "net.d/10-mine.conflist"), JSON.stringify({ cniVersion: "1.1.0", name: "mine", plugins }));
  const env = { NETCONFPATH: join(node.dir, "net.d"), CNI_PATH: join(node.dir, "bin"), CACHE_DIR: join(node.dir, "cache") };
  return (...words: string[]) => node.exec([process.execPath, join(import.meta.dir, "attach/attach.ts"), ...words], { env });
}
