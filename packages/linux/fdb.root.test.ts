/** VXLAN devices and where they find whom on a real kernel, and what `ip -d link` and `bridge fdb` say of it. */
import { expect } from "bun:test";
import { fdbIn, parseCidr, parseIp, parseMac, type Family, type Link, type Netns } from "./index.ts";
import { errnoOf, ipJson, kernelTest, outputIn } from "./testing/room.ts";

const own = { 4: parseIp("192.0.2.11"), 6: parseIp("2001:db8::11") } as const;
const other = { 4: parseIp("192.0.2.12"), 6: parseIp("2001:db8::12") } as const;
const moved = { 4: parseIp("192.0.2.99"), 6: parseIp("2001:db8::99") } as const;
const [macOne, macTwo] = [parseMac("02:00:00:00:00:01"), parseMac("02:00:00:00:00:02")];

function addVxlan(netns: Netns, family: Family): Link {
  netns.links.add({ kind: "vxlan", name: "vx", vni: 4711, port: 8473, local: own[family], learning: false, checksum: family === 6, mac: macOne, mtu: 1430 });
  return netns.links.get("vx");
}

for (const family of [4, 6] as const) {
  kernelTest(`IPv${family}: a vxlan is what was asked for, and takes another address of its own`, (here) => {
    const link = addVxlan(here, family);
    const local = family === 4 ? "local" : "local6";
    const data = () => ipJson(here, "link", "show", "vx")[0].linkinfo;
    expect(data()).toMatchObject({ info_kind: "vxlan", info_data: { id: 4711, port: 8473, [local]: String(own[family]), learning: false } });
    expect(link).toMatchObject({ kind: "vxlan", mtu: 1430, vxlan: { vni: 4711, port: 8473, learning: false, checksum: family === 6 } });
    expect([String(link.mac), String(link.vxlan?.local)]).toEqual([String(macOne), String(own[family])]);
    here.links.setLocal(link, moved[family]);
    expect(String(here.links.get("vx").vxlan?.local)).toBe(String(moved[family]));
    expect(data()).toMatchObject({ info_data: { id: 4711, port: 8473, [local]: String(moved[family]), learning: false } });
    expect(errnoOf(() => here.links.setLocal(link, moved[family === 4 ? 6 : 4]))).toBe("EOPNOTSUPP");
  });

  kernelTest(`IPv${family}: where a MAC address is can be said, changed and taken back, many at once`, (here) => {
    const link = addVxlan(here, family);
    const told = () => outputIn(here, "bridge", "fdb", "show", "dev", "vx").trim().split("\n").filter(Boolean).sort();
    expect(fdbIn(here).ensureAll(link, [{ mac: macOne, host: own[family] }, { mac: macTwo, host: other[family] }])).toEqual([]);
    expect(told()).toEqual([`${macOne} dst ${own[family]} self permanent`, `${macTwo} dst ${other[family]} self permanent`]);
    expect(fdbIn(here).ensureAll(link, [{ mac: macTwo, host: moved[family] }])).toEqual([]);
    expect(fdbIn(here).list(link).map(({ mac, host }) => `${mac} ${host}`).sort()).toEqual([`${macOne} ${own[family]}`, `${macTwo} ${moved[family]}`]);
    expect(fdbIn(here).deleteAll(link, [macOne])).toEqual([]);
    expect(told()).toEqual([`${macTwo} dst ${moved[family]} self permanent`]);
  });
}

kernelTest("of many changes one that fails says which it was, and keeps no other from being done", (here) => {
  const link = addVxlan(here, 4);
  const entries = Array.from({ length: 250 }, (_, at) => ({ mac: parseMac(`02:00:00:00:01:${at.toString(16).padStart(2, "0")}`), host: at === 120 || at === 249 ? other[6] : other[4] }));
  const failures = fdbIn(here).ensureAll(link, entries);
  expect(failures.map(({ index }) => index)).toEqual([120, 249]);
  expect(failures[0]?.error.message).toStartWith('Cannot tell "vx" that 02:00:00:00:01:78 is at 2001:db8::12: E');
  expect(fdbIn(here).list(link)).toHaveLength(248);
  expect(fdbIn(here).deleteAll(link, entries.map(({ mac }) => mac)).map(({ index, error }) => [index, error.errno])).toEqual([[120, "ENOENT"], [249, "ENOENT"]]);
  expect(fdbIn(here).list(link)).toEqual([]);
  expect(fdbIn(here).ensureAll(link, [])).toEqual([]);
});

kernelTest("what is on another device, or was learned there, is not told", (here) => {
  const link = addVxlan(here, 4);
  here.links.add({ kind: "vxlan", name: "vy", vni: 4712, port: 8473, local: own[4], learning: false, checksum: false });
  here.links.add({ kind: "bridge", name: "br0" });
  fdbIn(here).ensureAll(here.links.get("vy"), [{ mac: macTwo, host: other[4] }]);
  expect(fdbIn(here).list(link)).toEqual([]);
  expect(here.neighbours.list({ link })).toEqual([]);
});

kernelTest("neighbours and routes are made and deleted many at once, too", (here) => {
  const link = addVxlan(here, 4);
  here.links.set(link, { up: true, linkLocal: false });
  here.addrs.add(link, { address: parseCidr("10.0.1.0/32") });
  const at = Array.from({ length: 150 }, (_, number) => number);
  const ips = at.map((number) => parseIp(`10.1.${number}.0`));
  const routes = ips.map((ip) => ({ dst: parseCidr(`${ip}/24`), via: ip, link: link.index, onlink: true, protocol: 119 }));
  expect(here.neighbours.ensureAll(link, ips.map((ip) => ({ ip, mac: macTwo })))).toEqual([]);
  expect(here.routes.ensureAll(routes)).toEqual([]);
  expect([here.neighbours.list({ link }).length, here.routes.list({ protocol: 119 }).length]).toEqual([150, 150]);
  expect(here.routes.deleteAll(routes.slice(1))).toEqual([]);
  expect(here.neighbours.deleteAll(link, ips.slice(1))).toEqual([]);
  expect([here.neighbours.list({ link }).map(({ ip }) => String(ip)), here.routes.list({ protocol: 119 }).map(({ dst }) => String(dst))]).toEqual([["10.1.0.0"], ["10.1.0.0/24"]]);
  expect(here.routes.deleteAll(routes.slice(0, 2)).map(({ index, error }) => [index, error.errno])).toEqual([[1, "ESRCH"]]);
});
