/** vrf with packets, on a kernel that has it: what is bound to the vrf leaves by its interface. On others a plain word, and nothing left. */
import { expect, test } from "bun:test";
import { find } from "@vethwork/cni";
import { kernelLacks } from "../../../tests/conformance/node/kernel.ts";
import { skipped } from "../../../tests/conformance/node/needs.ts";
import { addRouters, ping, pod, prevResult, routingOf } from "../testing/routers.ts";
import { onStage, stageLacks, stageTest, type Stage } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const call = (stage: Stage, command: string, options: object = {}, { program, ...how }: { program?: string; ifname?: string; env?: Record<string, string> } = {}) =>
  stage.call({ command, pod, ifname: "net1", config: { cniVersion: "1.0.0", name: "worlds", type: "vrf", vrfname: "blue", prevResult, ...options }, ...how, ...(program !== undefined && { program }) });
const said = ({ result }: { result: Record<string, unknown> }): string => `${String(find(result, "msg"))} ${String(find(result, "details") ?? "")}`;

const lacks = stageLacks || kernelLacks("CONFIG_NET_VRF");
const vrfTest = (title: string, act: (stage: Stage) => Promise<void>, timeoutMs = 60_000): void =>
  test.skipIf(lacks !== "")(skipped(title, lacks), () => onStage(act), timeoutMs);

/** Links with their masters, and the IPv6 addresses, which are what may be lost. */
const linksOf = async (stage: Stage): Promise<string[]> => {
  const told = await Promise.all([["-o", "link"], ["-o", "-6", "addr", "show", "scope", "global"]].map((argv) => stage.node.run(["ip", "-n", "pod1", ...argv])));
  return told.join("").split("\n").map((line) => /^\d+: (\S+?)[@:\s](?:.* (master \S+))?(?:.* (inet6 \S+))?/.exec(line)?.slice(1).filter(Boolean).join(" ") ?? "").filter((line) => line !== "" && line !== "lo").toSorted();
};

vrfTest("what is bound to the vrf leaves by its interface, everything else as before; DEL takes interface and vrf out, twice", async (stage) => {
  await addRouters(stage);
  const before = await linksOf(stage);
  const { code, result } = await call(stage, "ADD");
  expect({ code, result }).toEqual({ code: 0, result: expect.objectContaining({ ips: prevResult["ips"] }) });
  expect(await linksOf(stage)).toEqual(["blue", "eth0", "eth0 inet6 fd01::5/64", "net1 inet6 fd09::7/64", "net1 master blue"]);
  const after = await routingOf(stage);
  for (const line of ["10.9.0.0/24 dev net1 table 1 proto kernel scope link src 10.9.0.7", "198.51.100.0/24 via 10.9.0.1 dev net1 table 1 mtu 1300", "2001:db8:7::/48 via fd09::1 dev net1 table 1 metric 1024 pref medium"]) expect(after).toContain(line);
  await stage.node.run(["sh", "-c", "ip -n pod1 route add default via 10.9.0.1 vrf blue; ip -n pod1 route add default via fd09::1 vrf blue"]);
  const pings = [ping(stage, "pod1", "blue", "203.0.113.9"), ping(stage, "pod1", "blue", "2001:db8:9::9"), ping(stage, "pod1", "10.1.0.5", "203.0.113.9"), ping(stage, "router1", "203.0.113.9", "10.9.0.7"), ping(stage, "pod1", "10.1.0.5", "10.9.0.1")];
  expect(await Promise.all(pings)).toEqual([true, true, true, true, false]);
  expect(await call(stage, "CHECK")).toMatchObject(quiet);
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect((await linksOf(stage)).filter((line) => !line.includes("inet6"))).toEqual(before.filter((line) => !line.includes("inet6")));
});

vrfTest("two interfaces share a vrf, which goes with the last; tables are as asked, or the lowest that is free", async (stage) => {
  await addRouters(stage);
  await stage.node.run(["ip", "-n", "pod1", "link", "add", "red", "type", "vrf", "table", "1"]);
  expect((await call(stage, "ADD")).code).toBe(0);
  expect(await stage.node.run(["ip", "-n", "pod1", "-d", "link", "show", "blue"])).toMatch(/<[^>]*\bUP\b[\s\S]*vrf table 2/);
  expect(said(await call(stage, "ADD", { table: 7 }, { ifname: "eth0" }))).toContain("VRF blue already exist with different routing table 2 (7 is wanted)");
  expect((await call(stage, "ADD", { table: 2 }, { ifname: "eth0" })).code).toBe(0);
  expect(await routingOf(stage)).toContain("default via 10.1.0.1 dev eth0 table 2");
  expect(said(await call(stage, "ADD", { vrfname: "red" }))).toContain("interface net1 has already a master set: blue");
  expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect(await linksOf(stage)).toContain("eth0 master blue");
  await stage.node.run(["ip", "-n", "pod1", "link", "del", "eth0"]);
  expect(await call(stage, "DEL", {}, { ifname: "eth0" })).toMatchObject(quiet);
  expect((await linksOf(stage)).filter((line) => !line.includes("inet6"))).toEqual(["net1", "red"]);
});

vrfTest("CHECK finds what somebody took away", async (stage) => {
  await addRouters(stage);
  expect((await call(stage, "ADD", { table: 7 })).code).toBe(0);
  for (const [command, says] of [
    ["ip -n pod1 addr del 10.9.0.7/24 dev net1", /"net1" has lost its address 10\.9\.0\.7\/24/], ["ip -n pod1 link set blue down", /"blue" is down/], ["ip -n pod1 link set net1 nomaster", /"net1" is not in "blue"/], ["ip -n pod1 link del blue", /no vrf "blue"/],
  ] as const) {
    await stage.node.run(["sh", "-c", command]);
    expect({ command, msg: said(await call(stage, "CHECK", { table: 7 })) }).toEqual({ command, msg: expect.stringMatching(says) });
  }
});


stageTest("vrf: what is wrong is named before anything is made, and DEL has no complaints", async (stage) => {
  await addRouters(stage);
  const before = [...await linksOf(stage), ...await routingOf(stage)];
  for (const [options, says] of [
    [{ vrfname: undefined }, /missing option "vrfname"/], [{ vrfname: "" }, /expected to have a valid vrf name/], [{ vrfname: "eth0" }, /"eth0" is no vrf but a veth/], [{ table: -1 }, /table/], [{ prevResult: undefined }, /Required prevResult missing/],
  ] as const) {
    const refused = await call(stage, "ADD", options);
    expect({ options, code: refused.code, msg: said(refused) }).toEqual({ options, code: 1, msg: expect.stringMatching(says) });
    expect({ options, now: [...await linksOf(stage), ...await routingOf(stage)] }).toEqual({ options, now: before });
    expect((await call(stage, "DEL", options)).code).toBe(0);
  }
  for (const CNI_NETNS of ["", "/run/netns/gone", pod.netns]) expect(await call(stage, "DEL", {}, { env: { CNI_NETNS } })).toMatchObject(quiet);
  expect(await stage.node.run(["ip", "-n", "pod1", "link", "show", "eth0"])).toContain("UP");
});

if (lacks === "CONFIG_NET_VRF") {
  stageTest("vrf: a kernel without it is said to be one, by STATUS, too, and nothing is left", async (stage) => {
    await addRouters(stage);
    const before = [...await linksOf(stage), ...await routingOf(stage)];
    const refused = await call(stage, "ADD");
    expect({ code: refused.code, msg: said(refused) }).toEqual({ code: 1, msg: expect.stringMatching(/Cannot add vrf "blue".*EOPNOTSUPP/) });
    expect([...await linksOf(stage), ...await routingOf(stage)]).toEqual(before);
    expect((await call(stage, "STATUS", { cniVersion: "1.1.0" })).result).toMatchObject({ code: 50, msg: "this kernel has no vrf (CONFIG_NET_VRF is wanted)" });
    expect(said(await call(stage, "CHECK"))).toContain('the pod has no vrf "blue"');
  });
}
