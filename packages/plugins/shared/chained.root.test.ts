/** A chain as runtimes have it: each plugin works on what the one before made, all of them check, and nothing is left after all. */
import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { find, isObject, parseJson } from "@vethwork/cni";
import { referenceFolders } from "../testing/reference.ts";
import { binFolder, stageTest, type Stage } from "../testing/stage.ts";

const chain = {
  cniVersion: "1.0.0", name: "chain", plugins: [
    { type: "bridge", bridge: "chain0", isGateway: true, isDefaultGateway: true, ipam: { type: "host-local", subnet: "10.4.0.0/24", routes: [{ dst: "198.51.100.0/24" }] } },
    { type: "tuning", mac: "02:00:00:00:04:01", mtu: 1400, sysctl: { "net.core.somaxconn": "500" } },
    { type: "sbr" },
  ],
};

/** `vethwork cni`, with the plugins of a folder. */
async function cni(stage: Stage, path: string, ...args: string[]) {
  const folder = join(stage.node.dir, "net.d");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "10-chain.conflist"), JSON.stringify(chain));
  return await stage.node.exec([join(binFolder, "../vethwork"), "cni", ...args], { env: { NETCONFPATH: folder, CNI_PATH: path } });
}

/** The node without what stays by intention: the bridge and its gateway's address, and forwarding. */
const remaining = async (stage: Stage) => {
  const { links, rules, nft, files } = await stage.state();
  return { links, rules, nft, files: files.filter((path) => !path.includes("/by-attachment/")) };
};

stageTest("bridge, tuning, sbr: packets by the new MAC address and table, CHECK passes through all, DEL leaves nothing", async (stage) => {
  const { name, netns } = await stage.addPod("pod1");
  for (const command of ["add", "del"]) await cni(stage, binFolder, command, "chain", name);
  const before = await remaining(stage);
  for (const folder of [binFolder, ...referenceFolders]) {
    const added = await cni(stage, folder, "add", "chain", name);
    expect({ folder, code: added.code, err: added.err }).toMatchObject({ folder, code: 0 });
    const result = parseJson(added.out);
    const interfaces = isObject(result) ? find(result, "interfaces") : [];
    expect(interfaces).toContainEqual(expect.objectContaining({ name: "eth0", mac: "02:00:00:00:04:01", sandbox: netns }));
    expect((await stage.node.exec(["ip", "netns", "exec", name, "ping", "-c1", "-W5", "-I", String(isObject(result) ? JSON.stringify(result).match(/10\.4\.0\.\d+(?=\/24)/)?.[0] : ""), "192.0.2.1"])).code).toBe(0);
    expect({ folder, ...(await cni(stage, binFolder, "check", "chain", name)) }).toEqual({ folder, code: 0, out: "", err: "" });
    // Ours takes away what either made.
    for (let times = 0; times < 2; times++) expect({ folder, ...(await cni(stage, binFolder, "del", "chain", name)) }).toEqual({ folder, code: 0, out: "", err: "" });
    expect({ folder, ...(await remaining(stage)) }).toEqual({ folder, ...before });
  }
});
