/** Masquerade by iptables, where a configuration asks for it; as ptp has it, bridge has it. */
import { expect, test } from "bun:test";
import { find, isObject, type JsonObject } from "@vethwork/cni";
import { missing, skipped } from "../../../tests/conformance/node/needs.ts";
import { address } from "../../../tests/conformance/node/node.ts";
import { dualIpam, reaches } from "../testing/interface-suite.ts";
import { onStage, stageLacks, type Stage } from "../testing/stage.ts";

const config = { cniVersion: "1.1.0", name: "mynet", type: "ptp", ipMasq: true, ipMasqBackend: "iptables", ipam: dualIpam };
const lacks = stageLacks || missing({ programs: ["iptables", "ip6tables"] });
const CHAIN = /CNI-[0-9a-f]{24}/;
const quiet = { code: 0, out: "", err: "" };

function iptablesTest(title: string, act: (stage: Stage) => Promise<void>): void {
  test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(act), 60_000);
}
const nat = async (stage: Stage, tool = "iptables"): Promise<string[]> =>
  (await stage.node.run([tool, "-t", "nat", "-S"])).split("\n").filter((line) => CHAIN.test(line));

iptablesTest("the rules are those of the reference, one chain for each container, and packets find their way", async (stage) => {
  const pod = await stage.addPod("pod1");
  expect(await stage.call({ command: "ADD", config, pod })).toMatchObject({ code: 0, err: "" });
  const chain = CHAIN.exec((await nat(stage)).join("\n"))?.[0] ?? "";
  const comment = String.raw`-m comment --comment "name: \"mynet\" id: \"pod1\""`;
  expect(await nat(stage)).toEqual([
    `-N ${chain}`,
    `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
    `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
    `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
  ]);
  expect(await nat(stage, "ip6tables")).toHaveLength(4);
  expect(await stage.node.run(["nft", "list", "tables"])).not.toContain("cni_plugins_masquerade");
  for (const ip of [address.world4, address.world6]) expect({ ip, reached: await reaches(stage, "pod1", ip) }).toEqual({ ip, reached: true });
});

iptablesTest("DEL takes them away: with the result, without, without a namespace, and by a configuration that asks no more", async (stage) => {
  const rows: readonly [string, (result: JsonObject) => object, boolean][] = [
    ["with the result", (prevResult) => ({ ...config, prevResult }), false],
    ["without it", () => config, false],
    ["without a namespace", () => config, true],
    ["asked for no more", () => ({ ...config, ipMasq: false, ipMasqBackend: undefined }), true],
  ];
  for (const [what, after, vanishes] of rows) {
    const pod = await stage.addPod("pod1");
    const { result } = await stage.call({ command: "ADD", config, pod });
    expect(await nat(stage)).toHaveLength(4);
    if (vanishes) await stage.deletePod(pod);
    for (let times = 0; times < 2; times++) expect({ what, ...(await stage.call({ command: "DEL", config: after(result), pod })) }).toMatchObject({ what, ...quiet });
    expect({ what, four: await nat(stage), six: await nat(stage, "ip6tables") }).toEqual({ what, four: [], six: [] });
    if (!vanishes) await stage.deletePod(pod);
  }
});

iptablesTest("two interfaces of a container share a chain, and DEL of one leaves the other its way", async (stage) => {
  const pod = await stage.addPod("pod1");
  const second = { ...config, ipam: { type: "host-local", subnet: "10.3.0.0/24", dataDir: "/run/second" } };
  await stage.call({ command: "ADD", config, pod });
  const { code, result } = await stage.call({ command: "ADD", config: second, pod, ifname: "net1" });
  expect({ code, msg: find(result, "msg") }).toEqual({ code: 0, msg: undefined });
  expect(await nat(stage)).toHaveLength(6);
  expect(await stage.call({ command: "DEL", config: { ...second, prevResult: result }, pod, ifname: "net1" })).toMatchObject(quiet);
  expect((await nat(stage)).filter((line) => line.includes("POSTROUTING"))).toEqual([expect.stringContaining("-s 10.1.2.2/32")]);
  expect(await reaches(stage, "pod1", address.world4)).toBe(true);
});

iptablesTest("CHECK misses a rule; GC takes those of containers that are no more, and leaves another network's", async (stage) => {
  const [keep, gone] = [await stage.addPod("keep"), await stage.addPod("gone")];
  const other = { ...config, name: "other", ipam: { type: "host-local", subnet: "10.3.0.0/24" } };
  const { result: prevResult } = await stage.call({ command: "ADD", config, pod: keep });
  await stage.call({ command: "ADD", config, pod: gone });
  await stage.call({ command: "ADD", config: other, pod: gone, ifname: "net1" });
  await stage.deletePod(gone);
  const gc = await stage.call({ command: "GC", config: { ...config, "cni.dev/valid-attachments": [{ containerID: "keep", ifname: "eth0" }] } });
  expect(gc).toMatchObject(quiet);
  const sources = (await nat(stage)).flatMap((line) => / -s (\S+)/.exec(line)?.[1] ?? []);
  expect(sources).toEqual(["10.1.2.2/32", "10.3.0.2/32"]);
  const check = () => stage.call({ command: "CHECK", config: { ...config, prevResult }, pod: keep });
  expect(await check()).toMatchObject(quiet);
  await stage.node.run(["sh", "-c", "iptables -t nat -D POSTROUTING 1"]);
  const checked = await check();
  expect(isObject(checked.result) && find(checked.result, "msg")).toMatch(/masquerades 10\.1\.2\.2 is missing/);
});

iptablesTest("thirty at once, and every one has its rules", async (stage) => {
  const pods = await Promise.all(Array.from({ length: 30 }, (_, at) => stage.addPod(`pod${at}`)));
  const added = await Promise.all(pods.map((pod) => stage.call({ command: "ADD", config, pod })));
  expect(added.map(({ code, out }) => (code === 0 ? "" : out)).join("")).toBe("");
  expect((await nat(stage)).filter((line) => line.includes("POSTROUTING"))).toHaveLength(30);
  await Promise.all(pods.map((pod) => stage.call({ command: "DEL", config, pod })));
  expect(await nat(stage)).toEqual([]);
});
