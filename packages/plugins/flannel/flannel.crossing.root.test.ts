/**
 * flannel and the original: one beside the other, and one after the other. The reference suite had flannel until 0.9, which
 * Debian's bullseye still carries; it spoke version 0.4.0 and one family. Its delegates here are the newest there are.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { newerPackage } from "../../../tests/conformance/debian.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { crossingSuite } from "../testing/crossing-suite.ts";
import { referenceFolders, referenceLacks } from "../testing/reference.ts";
import { binFolder, onStage, stageLacks, type Stage } from "../testing/stage.ts";

const original = join(newerPackage("containernetworking-plugins")?.path ?? "", "usr/lib/cni/flannel");
const lacks = stageLacks || referenceLacks || (existsSync(original) ? "" : "flannel of Debian bullseye: tests/conformance/fetch.sh");

/** The original with the newest delegates: a folder of links. */
const folder = mkdtempSync(join(tmpdir(), "vethwork-flannel-"));
afterAll(() => rmSync(folder, { recursive: true }));
symlinkSync(original, join(folder, "flannel"));
for (const type of ["bridge", "ptp", "host-local"]) symlinkSync(join(referenceFolders[0] ?? "", type), join(folder, type));

const env = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
const prepare = (text = env) => async ({ node }: Stage): Promise<void> => void (await node.run(["sh", "-c", "mkdir /run/flannel && cat > /run/flannel/subnet.env"], { stdin: text }));

const configs: Record<string, JsonObject> = {
  "as flannel's own manifest has it": { delegate: { hairpinMode: true, isDefaultGateway: true } },
  "another bridge and MTU": { delegate: { bridge: "br9", mtu: 1300, isGateway: false } },
  "ptp and routes": { delegate: { type: "ptp" }, ipam: { routes: [{ dst: "198.51.100.0/24" }] } },
};
crossingSuite({ type: "flannel", configs, references: [folder], cniVersion: "0.4.0", prepare: prepare() }, lacks);

test.skipIf(lacks !== "")(skipped("what is kept is the original's, byte for byte but for the mark and its single subnet", lacks), async () => {
  for (const options of [...Object.values(configs), { runtimeConfig: { mac: "02:00:00:00:00:07" }, delegate: { isDefaultGateway: true, "x<y": "&" } }]) {
    const kept: string[] = [];
    for (const program of [original, join(binFolder, "flannel")]) {
      await onStage(async (stage) => {
        await prepare(env.replace("true", "false"))(stage);
        const pod = await stage.addPod("pod1");
        const config = { cniVersion: "0.4.0", name: "cbr0", type: "flannel", ...options };
        expect((await stage.call({ command: "ADD", config, pod, program })).code).toBe(0);
        kept.push(await stage.node.run(["cat", "/var/lib/cni/flannel/pod1"]));
        expect(await stage.node.run(["stat", "-c", "%a", "/var/lib/cni/flannel", "/var/lib/cni/flannel/pod1"])).toBe("700\n600\n");
      });
    }
    const [theirs = "", ours = ""] = kept;
    expect(ours.replace(',"vethwork/ifname":"eth0"', "")).toBe(theirs.replace(/,"subnet":"([^"]*)"/, "").replace('"ipam":{', '"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],'));
    const { ipam } = objectIn(theirs);
    expect(ipam).toMatchObject({ subnet: "10.244.1.0/24" });
  }
});

test.skipIf(lacks !== "")(skipped("what ours refuses the original refuses, but for what makes it crash", lacks), async () => {
  await onStage(async (stage) => {
    const pod = await stage.addPod("pod1");
    const missing = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n";
    for (const [text, options, theirs] of [
      [missing, {}, 1], [env.replace("1450", "many"), {}, 1], [env.replace("10.244.1.1/24", "10.244.1.1"), {}, 1], ["FLANNEL_MTU\n", {}, 2],
      [env, { delegate: { name: "x" } }, 1], [env, { delegate: { ipam: {} } }, 1], [env, { delegate: { type: 7 } }, 1], [env, { delegate: 7 }, 1], [env, { ipam: { routes: 7 } }, 1],
    ] as const) {
      await stage.node.run(["sh", "-c", "mkdir -p /run/flannel && cat > /run/flannel/subnet.env"], { stdin: text });
      const config = { cniVersion: "0.4.0", name: "cbr0", type: "flannel", ...options };
      const codes = await Promise.all([original, join(binFolder, "flannel")].map(async (program) => (await stage.call({ command: "ADD", config, pod, program })).code));
      expect({ text, options, codes }).toEqual({ text, options, codes: [theirs, 1] });
    }
    expect((await stage.state()).files.filter((path) => path.startsWith("/var/lib/cni"))).toEqual([]);
  });
});

function objectIn(text: string): JsonObject {
  const json = parseJson(text);
  return isObject(json) ? json : {};
}
