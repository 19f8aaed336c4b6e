/**
 * Least trust: what comes from pods and configurations stays a value. It leads to no shell, to no other folder, to no other rule; and a
 * pod whose MAC address is checked speaks with its own and no other. (What a person puts around the binary: packages/cli/main.root.test.ts.)
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { stageTest, type Answer, type Pod, type Stage } from "../../packages/plugins/testing/stage.ts";
import { modes } from "./modes.ts";
import { rows } from "./rows.ts";

const quiet = { code: 0, out: "", err: "" };
const said = ({ result }: Answer): string => `${String(find(result, "msg") ?? "")} ${String(find(result, "details") ?? "")}`;
const shell = (stage: Stage, script: string): Promise<string> => stage.node.run(["sh", "-c", script]);

/** The row's plugin, as a runtime would ask for it. */
function requestOf(name: string): JsonObject & { type: string } {
  const row = rows.find((one) => one.name === name);
  const [plugin] = row?.plugins ?? [];
  return { cniVersion: "1.0.0", name: "mynet", type: "", ...plugin, ...(row?.prevResult && { prevResult: row.prevResult }), ...(row?.capabilities && { runtimeConfig: row.capabilities }) };
}

const NASTY = [
  "$(touch /run/owned)", "`touch /run/owned`", "; touch /run/owned #", "' || touch /run/owned || '", "../../../run/owned", "/run/owned", "a/../../../../run/owned", '"; add chain inet filter owned; #', "x\ny", "x\u0000y", "..", ".", "-", "--help", "%s%n", "owned\u202e",
];

stageTest("nasty values in every option of every plugin, in names and in arguments make no file, no chain and no process of theirs", async (stage) => {
  const pod = await stage.addPod("pod1");
  for (const name of ["bridge", "ptp", "vethwork", "macvlan", "tap", "host-local", "tuning", "portmap", "portmap by iptables", "firewall", "firewall by iptables", "bandwidth", "sample", "flannel", "host-device"]) {
    const good = requestOf(name);
    const texts = Object.keys(good).filter((key) => key !== "type" && key !== "cniVersion" && key !== "prevResult" && key !== "runtimeConfig");
    for (const key of texts) {
      const nasty = NASTY[(texts.indexOf(key) + name.length) % NASTY.length] ?? "";
      const config = { ...good, [key]: Array.isArray(good[key]) ? [nasty] : isObject(good[key]) ? { ...good[key], type: nasty, dataDir: nasty } : nasty };
      for (const command of ["ADD", "DEL"]) expect({ name, key, nasty, ended: [0, 1].includes((await stage.call({ command, config, pod })).code) }).toEqual({ name, key, nasty, ended: true });
    }
  }
  for (const nasty of NASTY.filter((one) => !one.includes("\0"))) {
    for (const env of [{ CNI_CONTAINERID: nasty }, { CNI_IFNAME: nasty }, { CNI_ARGS: `IP=${nasty};K8S_POD_NAME=${nasty};MAC=${nasty}` }, { CNI_PATH: nasty }]) {
      const { code } = await stage.call({ command: "ADD", config: requestOf("bridge"), pod, env: { CNI_NETNS: pod.netns, ...env } });
      expect([0, 1]).toContain(code);
      if (code === 0) await stage.call({ command: "DEL", config: requestOf("bridge"), pod });
    }
  }
  expect(await shell(stage, "find / -xdev -newer /run/node/enter -name '*owned*' -not -path '/proc/*' 2>/dev/null; find /run /var/lib -name '*owned*'; nft list ruleset | grep owned || true")).toBe("");
}, 120_000);

stageTest("an id that looks like another's rule is that pod's own comment, and takes nothing of the other away", async (stage) => {
  const [pod, other] = [await stage.addPod("pod1"), await stage.addPod("pod1.x")];
  const config = { ...requestOf("bridge"), cniVersion: "1.1.0" };
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod });
  const { result: others } = await stage.call({ command: "ADD", config, pod: other });
  expect(await stage.call({ command: "DEL", config, pod })).toMatchObject(quiet);
  expect(await stage.call({ command: "CHECK", config: { ...config, prevResult: others }, pod: other })).toMatchObject(quiet);
  expect((await stage.call({ command: "CHECK", config: { ...config, prevResult }, pod })).code).toBe(1);
});

/** Frames as a pod would forge them: from a packet socket of its own, as every program with CAP_NET_RAW may. */
async function forge(stage: Stage, pod: Pod, { mac, ip }: { mac: string; ip: string }): Promise<void> {
  const near = join(import.meta.dir, "forge.ts");
  await stage.node.run(["ip", "netns", "exec", pod.name, process.execPath, near, "eth0", mac, ip]);
}

stageTest("a pod cannot speak with another's MAC address where that is checked, and can where it is not", async (stage) => {
  const seen = async (): Promise<number> => Number(/packets (\d+)/.exec(await stage.node.run(["nft", "list", "counter", "bridge", "seen", "forged"]))?.[1]);
  for (const macspoofchk of [true, false]) {
    const [pod, victim] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
    const config = { ...requestOf("bridge"), macspoofchk };
    for (const one of [pod, victim]) expect((await stage.call({ command: "ADD", config, pod: one })).code).toBe(0);
    const macIn = async (name: string): Promise<string> => (await stage.node.run(["ip", "netns", "exec", name, "cat", "/sys/class/net/eth0/address"])).trim();
    const [own, theirs] = [await macIn("pod1"), await macIn("pod2")];
    await shell(stage, `nft 'table bridge seen { counter forged { }; chain in { type filter hook prerouting priority 0; ether type ip udp dport 7777 counter name forged; }; }'`);
    await forge(stage, pod, { mac: own, ip: "10.1.2.200" });
    const honest = await seen();
    for (const mac of [theirs, "02:de:ad:be:ef:00"]) await forge(stage, pod, { mac, ip: "10.1.2.200" });
    expect({ macspoofchk, honest, forged: (await seen()) - honest }).toEqual({ macspoofchk, honest: 1, forged: macspoofchk ? 0 : 2 });
    for (const one of [pod, victim]) {
      expect(await stage.call({ command: "DEL", config, pod: one })).toMatchObject(quiet);
      await stage.deletePod(one);
    }
    await shell(stage, "nft delete table bridge seen");
  }
});

stageTest("a pod of vethwork's network that takes another's address gets none of its answers", async (stage) => {
  const [pod, victim] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  const config = requestOf("vethwork");
  for (const one of [pod, victim]) expect((await stage.call({ command: "ADD", config, pod: one })).code).toBe(0);
  await stage.node.run(["ip", "netns", "exec", "pod1", "ip", "addr", "add", "10.244.0.3/32", "dev", "lo"]);
  const ping = await stage.node.exec(["ip", "netns", "exec", "pod1", "ping", "-c1", "-W1", "-I", "10.244.0.3", "10.244.0.1"]);
  expect(ping.code).not.toBe(0);
  expect((await stage.node.exec(["ping", "-c1", "-W2", "10.244.0.3"])).code).toBe(0); // it is still the victim's
});

stageTest("every file and folder that a plugin writes has the mode and the owner that are stated", async (stage) => {
  const [pod, other] = [await stage.addPod("pod1"), await stage.addPod("pod2")];
  await shell(stage, `mkdir -p /run/flannel; printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=10.244.1.1/24\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=false\\n' > /run/flannel/subnet.env`);
  const cable = rows.find(({ name }) => name === "firewall")?.setup ?? "";
  for (const name of ["vethwork", "bridge", "flannel"]) {
    expect({ name, code: (await stage.call({ command: "ADD", config: requestOf(name), pod: other, ifname: `${name.slice(0, 4)}0` })).code }).toEqual({ name, code: 0 });
  }
  await shell(stage, cable);
  for (const name of ["tuning", "firewall by iptables", "sample"]) {
    const added = await stage.call({ command: "ADD", config: { ...requestOf(name), prevResult: requestOf("firewall")["prevResult"] }, pod });
    expect({ name, code: added.code, says: said(added) }).toMatchObject({ name, code: 0 });
  }
  const listed = await shell(stage, "umask; find /run/vethwork /run/cni /var/lib/cni -newer /run/node/enter \\( -type f -o -type d \\) -printf '%m %u:%g %y %p\\n'");
  const found = listed.trim().split("\n").slice(1);
  expect(found.length).toBeGreaterThan(10);
  const strange = found.filter((line) => {
    const [mode, owner, ...what] = line.split(" ");
    const stated = modes.find(({ pattern }) => pattern.test(what.join(" ")));
    return !stated || stated.mode !== mode || owner !== "root:root";
  });
  expect(strange).toEqual([]);
  expect(modes.filter(({ pattern }) => !found.some((line) => pattern.test(line.split(" ").slice(2).join(" ")))).map(({ path }) => path)).toEqual([]);
});

test("the lock file pins every package with its digest, and names no place to fetch it from", () => {
  const lock: unknown = JSON.parse(readFileSync(join(import.meta.dir, "../../package-lock.json"), "utf8"));
  const packages = isObject(lock) ? find(lock, "packages") : undefined;
  const fetched = Object.entries(isObject(packages) ? packages : {}).filter(([path, one]) => path.includes("node_modules/") && isObject(one) && one["link"] !== true);
  expect(fetched.length).toBeGreaterThan(20);
  expect(fetched.filter(([, one]) => !isObject(one) || !String(one["integrity"]).startsWith("sha512-") || one["resolved"] !== undefined).map(([path]) => path)).toEqual([]);
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dir, "../../package.json"), "utf8"));
  const wanted = isObject(manifest) ? manifest["devDependencies"] : undefined;
  expect(Object.entries(isObject(wanted) ? wanted : {}).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([]);
});
