/**
 * What the plugin writes by netlink, read back by the tools that everybody trusts: `nft -j list ruleset` and `ip -j`.
 * The address plan: network 10.244.0.0/16 and fd00:10:244::/48, pod1 has .0.2 and ::2.
 */
import { expect } from "bun:test";
import { find, isObject, parseJson, type JsonObject } from "@vethwork/cni";
import { stageTest, type Stage } from "../testing/stage.ts";

const config = {
  cniVersion: "1.1.0", name: "mynet", type: "vethwork", mtu: 1400,
  network: ["10.244.0.0/16", "fd00:10:244::/48"], subnet: ["10.244.0.0/24", "fd00:10:244::/64"],
};

stageTest("the rules read as they are meant in nft's own words", async (stage) => {
  await stage.call({ command: "ADD", config, pod: await stage.addPod("pod1") });
  expect((await stage.state()).nft).toEqual([
    "table inet vethwork {",
    "set nodes4 {",
    "type ipv4_addr",
    "}",
    "set nodes6 {",
    "type ipv6_addr",
    "}",
    "chain masquerade-mynet {",
    "type nat hook postrouting priority srcnat; policy accept;",
    "ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 ip daddr != 224.0.0.0/4 ip daddr != @nodes4 counter masquerade fully-random comment \"mynet: out of 10.244.0.0/16\"",
    "ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 ip6 daddr != ff00::/8 ip6 daddr != @nodes6 counter masquerade fully-random comment \"mynet: out of fd00:10:244::/48\"",
    "}",
    "chain senders-mynet {",
    "type filter hook prerouting priority raw; policy accept;",
    "iifgroup 118 fib saddr . iif oif missing counter drop comment \"mynet: another's address\"",
    "}",
    "}",
  ]);
});

stageTest("the rules read back as JSON, expression by expression", async (stage) => {
  await stage.call({ command: "ADD", config, pod: await stage.addPod("pod1") });
  const listed = parseJson(await stage.node.run(["nft", "-j", "list", "ruleset"]));
  const all = isObject(listed) ? find(listed, "nftables") : [];
  const objects = Array.isArray(all) ? all.filter(isObject) : [];
  const ofKind = (kind: string): JsonObject[] => objects.map((one) => find(one, kind)).filter(isObject);
  expect(ofKind("table")).toEqual([{ family: "inet", name: "vethwork", handle: expect.any(Number) }]);
  const chain = { family: "inet", table: "vethwork", handle: expect.any(Number), policy: "accept" };
  expect(ofKind("chain")).toEqual([
    { ...chain, name: "masquerade-mynet", type: "nat", hook: "postrouting", prio: 100 }, { ...chain, name: "senders-mynet", type: "filter", hook: "prerouting", prio: -300 },
  ]);
  expect(ofKind("set").map((set) => [find(set, "name"), find(set, "type")])).toEqual([["nodes4", "ipv4_addr"], ["nodes6", "ipv6_addr"]]);
  const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });
  const prefix = (addr: string, len: number) => ({ prefix: { addr, len } });
  const matches = (op: string, left: object, right: unknown) => ({ match: { op, left, right } });
  expect(ofKind("rule").map((rule) => find(rule, "expr"))).toEqual([
    [
      matches("==", field("ip", "saddr"), prefix("10.244.0.0", 16)), matches("!=", field("ip", "daddr"), prefix("10.244.0.0", 16)),
      matches("!=", field("ip", "daddr"), prefix("224.0.0.0", 4)), matches("!=", field("ip", "daddr"), "@nodes4"),
      { counter: expect.any(Object) }, { masquerade: { flags: "fully-random" } },
    ],
    [
      matches("==", field("ip6", "saddr"), prefix("fd00:10:244::", 48)), matches("!=", field("ip6", "daddr"), prefix("fd00:10:244::", 48)),
      matches("!=", field("ip6", "daddr"), prefix("ff00::", 8)), matches("!=", field("ip6", "daddr"), "@nodes6"),
      { counter: expect.any(Object) }, { masquerade: { flags: "fully-random" } },
    ],
    [
      matches("==", { meta: { key: "iifgroup" } }, 118), matches("==", { fib: { result: "oif", flags: ["saddr", "iif"] } }, false),
      { counter: expect.any(Object) }, { drop: null },
    ],
  ]);
});

stageTest("the cable, the addresses, the routes and the neighbours read back by ip", async (stage) => {
  const { result } = await stage.call({ command: "ADD", config, pod: await stage.addPod("pod1") });
  const interfaces = find(result, "interfaces");
  const near = Array.isArray(interfaces) && isObject(interfaces[0]) ? String(find(interfaces[0], "name")) : "";
  const ip = (...argv: string[]) => rows(stage, "ip", "-d", "-j", ...argv);
  const inPod = (...argv: string[]) => rows(stage, "ip", "-n", "pod1", "-d", "-j", ...argv);
  expect(await ip("link", "show", near)).toMatchObject([{
    mtu: 1400, operstate: "UP", address: "02:76:65:74:68:01", ifalias: "vethwork mynet pod1/eth0", group: "118", linkinfo: { info_kind: "veth" }, inet6_addr_gen_mode: "none",
  }]);
  expect(await inPod("link", "show", "eth0")).toMatchObject([{ mtu: 1400, operstate: "UP", address: "0a:58:0a:f4:00:02", linkinfo: { info_kind: "veth" } }]);
  expect(await ip("-4", "route", "show", "dev", near)).toMatchObject([{ dst: "10.244.0.2", protocol: "118", scope: "link" }]);
  expect(await ip("-6", "route", "show", "dev", near, "protocol", "118")).toMatchObject([{ dst: "fd00:10:244::2" }]);
  expect(await ip("-4", "route", "show", "type", "unreachable")).toMatchObject([{ dst: "10.244.0.0/24", metric: 0x7fff_ffff }]);
  expect(await ip("-6", "route", "show", "type", "unreachable", "table", "main")).toMatchObject([{ dst: "fd00:10:244::/64", metric: 0x7fff_ffff }]);
  expect(await ip("addr", "show", near)).toMatchObject([{ addr_info: [{ family: "inet6", local: "fe80::1", prefixlen: 64, nodad: true }] }]);
  const [eth0 = {}] = await inPod("addr", "show", "eth0");
  const addresses = find(eth0, "addr_info");
  expect(Array.isArray(addresses) ? addresses.filter(isObject).filter((one) => find(one, "scope") === "global") : []).toMatchObject([
    { local: "10.244.0.2", prefixlen: 32 }, { local: "fd00:10:244::2", prefixlen: 128, nodad: true },
  ]);
  expect(await inPod("neigh")).toMatchObject([
    { dst: "169.254.1.1", lladdr: "02:76:65:74:68:01", state: ["PERMANENT"] }, { dst: "fe80::1", lladdr: "02:76:65:74:68:01", state: ["PERMANENT"] },
  ]);
  expect(await inPod("-4", "route")).toMatchObject([{ dst: "default", gateway: "169.254.1.1", dev: "eth0" }, { dst: "169.254.1.1", scope: "link" }]);
  expect(await inPod("-6", "route", "show", "default")).toMatchObject([{ dst: "default", gateway: "fe80::1", dev: "eth0" }]);
});

async function rows(stage: Stage, ...argv: string[]): Promise<JsonObject[]> {
  const json = parseJson(await stage.node.run(argv));
  return Array.isArray(json) ? json.filter(isObject) : [];
}
