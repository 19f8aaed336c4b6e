/** sbr with packets: a pod on two routers answers each by the interface that it asked. */
import { expect } from "bun:test";
import { find, type JsonObject } from "@vethwork/cni";
import { addRouters, ping, pod, prevResult, routingOf } from "../testing/routers.ts";
import { stageTest, type Stage } from "../testing/stage.ts";

const quiet = { code: 0, out: "", err: "" };
const call = (stage: Stage, command: string, options: object = {}, program?: string, env: Record<string, string> = {}) =>
  stage.call({ command, pod, ifname: "net1", config: { cniVersion: "1.0.0", name: "two", type: "sbr", prevResult, ...options }, env, ...(program !== undefined && { program }) });

async function answered(stage: Stage): Promise<JsonObject> {
  return {
    eth0: [await ping(stage, "pod1", "10.1.0.5", "203.0.113.9"), await ping(stage, "pod1", "fd01::5", "2001:db8:9::9")],
    net1: [await ping(stage, "pod1", "10.9.0.7", "203.0.113.9"), await ping(stage, "pod1", "fd09::7", "2001:db8:9::9")],
    asked: [await ping(stage, "router1", "203.0.113.9", "10.9.0.7"), await ping(stage, "router1", "2001:db8:9::9", "fd09::7")],
  };
}

stageTest("what comes from each address leaves by its own interface, IPv4 and IPv6; DEL takes the rules, twice, and with the interface gone", async (stage) => {
  await addRouters(stage);
  const before = await routingOf(stage);
  expect(await answered(stage)).toEqual({ eth0: [true, true], net1: [false, false], asked: [false, false] });
  const { code, result } = await call(stage, "ADD");
  expect({ code, result }).toEqual({ code: 0, result: expect.objectContaining({ ips: prevResult["ips"] }) });
  expect(await answered(stage)).toEqual({ eth0: [true, true], net1: [true, true], asked: [true, true] });
  const after = await routingOf(stage);
  for (const line of ["32765: from 10.9.0.7 lookup 100", "32765: from fd09::7 lookup 101", "default via 10.9.0.1 dev net1 table 100", "10.9.0.0/24 dev net1 table 100 proto kernel scope link src 10.9.0.7", "198.51.100.0/24 via 10.9.0.1 dev net1 table 100 mtu 1300"]) expect(after).toContain(line);
  expect(after.filter((line) => line.includes("net1") && !line.includes("table"))).toEqual([]);
  expect(await call(stage, "CHECK")).toMatchObject(quiet);
  for (let times = 0; times < 2; times++) expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect((await routingOf(stage)).filter((line) => line.includes("lookup"))).toEqual(before.filter((line) => line.includes("lookup")));

  await addRouters(stage);
  expect((await call(stage, "ADD")).code).toBe(0);
  await stage.node.run(["ip", "-n", "pod1", "link", "del", "net1"]);
  expect(await call(stage, "DEL")).toMatchObject(quiet);
  expect(await routingOf(stage)).toEqual(before.filter((line) => !line.includes("net1")));
  for (const CNI_NETNS of ["", "/run/netns/gone"]) expect(await call(stage, "DEL", {}, undefined, { CNI_NETNS })).toMatchObject(quiet);
});

stageTest("with a table of somebody else's there are rules alone; with gateways they are the tables'; with hints subnets stay reachable", async (stage) => {
  await addRouters(stage);
  const before = await routingOf(stage);
  expect((await call(stage, "ADD", { table: 70_000 })).code).toBe(0);
  expect(await call(stage, "CHECK", { table: 70_000 })).toMatchObject(quiet);
  expect((await routingOf(stage)).filter((line) => !before.includes(line))).toEqual(["32765: from 10.9.0.7 lookup 70000", "32765: from fd09::7 lookup 70000"]);
  expect(await call(stage, "DEL", { table: 77 })).toMatchObject(quiet);
  expect(await routingOf(stage)).toContain("32765: from fd09::7 lookup 70000");
  expect(await call(stage, "DEL", { table: 70_000 })).toMatchObject(quiet);
  expect(await routingOf(stage)).toEqual(before);

  await stage.node.run(["ip", "-n", "pod1", "route", "add", "default", "via", "10.9.0.1", "dev", "net1", "metric", "5"]);
  expect((await call(stage, "ADD", { gateways: ["10.9.0.3", "fd09::3"], addSourceHints: true })).code).toBe(0);
  const after = await routingOf(stage);
  for (const line of ["default via 10.9.0.3 dev net1 table 100", "default via fd09::3 dev net1 table 101 metric 1024 pref medium", "10.9.0.0/24 dev net1 scope link src 10.9.0.7"]) expect(after).toContain(line);
  expect(after.filter((line) => line.includes("net1") && !line.includes("table") && !line.includes("src"))).toEqual([]);
  expect((await stage.node.exec(["ip", "netns", "exec", "pod1", "ping", "-c1", "-W2", "10.9.0.1"])).code).toBe(0);
});

stageTest("the plugin before finds its routes where sbr put them: its CHECK passes", async (stage) => {
  const cable = await stage.addPod("cabled");
  const ipam = { type: "host-local", subnet: "10.5.0.0/24", routes: [{ dst: "0.0.0.0/0" }, { dst: "198.51.100.0/24" }] };
  const ptp = (command: string, more: object = {}) => stage.call({ command, pod: cable, config: { cniVersion: "1.0.0", name: "two", type: "ptp", ipam, ...more } });
  const { result: made } = await ptp("ADD");
  expect((await stage.call({ command: "ADD", pod: cable, config: { cniVersion: "1.0.0", name: "two", type: "sbr", prevResult: made } })).code).toBe(0);
  expect((await stage.node.exec(["ip", "netns", "exec", "cabled", "ping", "-c1", "-W2", "-I", "10.5.0.2", "192.0.2.1"])).code).toBe(0);
  expect(await ptp("CHECK", { prevResult: made })).toMatchObject(quiet);
  await stage.node.run(["ip", "-n", "cabled", "route", "del", "198.51.100.0/24", "table", "100"]);
  expect(find((await ptp("CHECK", { prevResult: made })).result, "msg")).toContain("lost its route to 198.51.100.0/24");
});

stageTest("routes that are no address' own are everyone's, and those of a family without addresses stay", async (stage) => {
  await addRouters(stage);
  await stage.node.run(["ip", "-n", "pod1", "route", "add", "198.18.0.0/15", "via", "169.254.1.1", "dev", "net1", "onlink"]);
  const four = { ...prevResult, ips: [{ address: "10.9.0.7/24", interface: 1 }] };
  expect((await call(stage, "ADD", { prevResult: four })).code).toBe(0);
  const after = await routingOf(stage);
  for (const line of ["198.18.0.0/15 via 169.254.1.1 dev net1 table 100 onlink", "fd09::/64 dev net1 proto kernel metric 256 pref medium", "2001:db8:7::/48 via fd09::1 dev net1 metric 1024 pref medium"]) expect(after).toContain(line);
  expect(after.filter((line) => line.includes("table 101") || line.startsWith("default") && line.includes("net1"))).toEqual([]);
});

stageTest("interfaces that are added at once do not take each other's tables", async (stage) => {
  await addRouters(stage);
  const both = ["net1", "eth0"].map((ifname) => stage.call({ command: "ADD", pod, ifname, config: { cniVersion: "1.0.0", name: "two", type: "sbr", prevResult } }));
  expect((await Promise.all(both)).map(({ code, out }) => (code === 0 ? "" : out))).toEqual(["", ""]);
  const tables = (await routingOf(stage)).flatMap((line) => /from \S+ lookup (1\d\d)/.exec(line)?.[1] ?? []);
  expect(tables.toSorted()).toEqual(["100", "101", "102"]);
});

stageTest("CHECK finds what somebody took away, STATUS a kernel that can, and what is wrong is named before anything is made", async (stage) => {
  await addRouters(stage);
  const before = await routingOf(stage);
  for (const [options, says] of [
    [{ prevResult: undefined }, /Required prevResult missing/], [{ prevResult: { ...prevResult, ips: [] } }, /No IP addresses supplied on interface: net1/], [{ gateways: ["10.9.0.1", "10.9.0.2"] }, /multiple IPv4 addresses: 10\.9\.0\.1 and 10\.9\.0\.2/],
    [{ gateways: ["near"] }, /gateways\[0\].*"near"/], [{ table: -1 }, /table/], [{ gateways: ["192.0.2.77"] }, /Cannot set route to 0\.0\.0\.0\/0: ENETUNREACH/],
  ] as const) {
    const refused = await call(stage, "ADD", options);
    expect({ options, code: refused.code, msg: `${String(find(refused.result, "msg"))} ${String(find(refused.result, "details") ?? "")}` }).toEqual({ options, code: 1, msg: expect.stringMatching(says) });
    expect({ options, seen: await routingOf(stage) }).toEqual({ options, seen: before });
  }
  expect(await call(stage, "STATUS", { cniVersion: "1.1.0" })).toMatchObject(quiet);
  expect((await call(stage, "ADD")).code).toBe(0);
  for (const [command, says] of [
    ["ip -n pod1 route del default table 100", /table 100 has lost its default route via 10\.9\.0\.1/], ["ip -n pod1 -6 rule del from fd09::7", /no rule leads what comes from fd09::7 to a table of its own/],
    ["ip -n pod1 link set net1 down name other", /no interface "net1"/],
  ] as const) {
    await stage.node.run(["sh", "-c", command]);
    expect({ command, msg: find((await call(stage, "CHECK")).result, "msg") }).toEqual({ command, msg: expect.stringMatching(says) });
  }
});

