/** Addresses, neighbours and routes on a real kernel, in both families, and what `ip -j` says of them. */
import { expect } from "bun:test";
import { cidrOf, parseCidr, parseIp, parseMac, type Family, type Link, type Netns } from "./index.ts";
import { errnoOf, ipJson, kernelTest } from "./testing/room.ts";

const own = { 4: parseCidr("10.0.0.1/24"), 6: parseCidr("fd00::1/64") } as const;
const other = { 4: parseIp("10.0.0.2"), 6: parseIp("fd00::2") } as const;
const afar = { 4: parseCidr("192.0.2.0/24"), 6: parseCidr("2001:db8::/32") } as const;
const ofFamily = (family: Family): string => `-${family}`;

function familyTest(title: string, act: (netns: Netns, link: Link, family: Family) => void): void {
  for (const family of [4, 6] as const) {
    kernelTest(`IPv${family}: ${title}`, (here, there) => {
      here.links.add({ kind: "veth", name: "v", peer: { name: "v", netnsFd: there.fd } });
      for (const netns of [here, there]) netns.links.set(netns.links.get("v"), { up: true, linkLocal: false });
      act(here, here.links.get("v"), family);
    });
  }
}

familyTest("an address is there once, usable at once, and gone when deleted", (netns, link, family) => {
  netns.addrs.add(link, { address: own[family], nodad: true });
  expect(errnoOf(() => netns.addrs.add(link, { address: own[family] }))).toBe("EEXIST");
  const [address] = netns.addrs.list({ link, family });
  expect({ ...address, address: String(address?.address) }).toEqual({ address: String(own[family]), link: link.index, scope: 0, tentative: false, duplicate: false });
  const [told] = ipJson(netns, ofFamily(family), "addr", "show", "dev", "v");
  expect(told.addr_info).toMatchObject([{ local: String(own[family].ip), prefixlen: own[family].prefix, scope: "global" }]);
  if (family === 4) expect(told.addr_info[0].broadcast).toBe("10.0.0.255");
  expect([netns.addrs.delete(link, own[family]), netns.addrs.delete(link, own[family])]).toEqual([true, false]);
  expect(netns.addrs.list({ link, family })).toEqual([]);
});

familyTest("an address of a narrower scope keeps it; of IPv6 the kernel knows it by the address", (netns, link, family) => {
  netns.addrs.add(link, { address: own[family], nodad: true, scope: 253 });
  const linkLocal = parseCidr("fe80::7/64");
  if (family === 6) netns.addrs.add(link, { address: linkLocal, nodad: true });
  expect(netns.addrs.list({ link, family }).map(({ scope }) => scope).sort()).toEqual(family === 4 ? [253] : [0, 253]);
});

familyTest("a permanent neighbour is what was said, is said anew, and is gone when deleted", (netns, link, family) => {
  const [first, second] = [parseMac("02:00:00:00:00:aa"), parseMac("02:00:00:00:00:bb")];
  for (const mac of [first, second]) netns.neighbours.ensure(link, { ip: other[family], mac });
  expect(ipJson(netns, ofFamily(family), "neigh", "show", "dev", "v")).toMatchObject([{ dst: String(other[family]), lladdr: "02:00:00:00:00:bb", state: ["PERMANENT"] }]);
  expect(netns.neighbours.list({ link, family }).map(({ ip, mac, permanent }) => [String(ip), String(mac), permanent])).toEqual([[String(other[family]), "02:00:00:00:00:bb", true]]);
  expect([netns.neighbours.delete(link, other[family]), netns.neighbours.delete(link, other[family])]).toEqual([true, false]);
});

familyTest("a route by a gateway is found by what it leads to, and only it is deleted", (netns, link, family) => {
  netns.addrs.add(link, { address: own[family], nodad: true });
  const route = { dst: afar[family], via: other[family], protocol: 118, metric: 7 };
  netns.routes.add(route);
  expect(errnoOf(() => netns.routes.add(route))).toBe("EEXIST");
  netns.routes.ensure(route);
  expect(ipJson(netns, ofFamily(family), "route", "show", String(afar[family]))).toMatchObject([{ dst: String(afar[family]), gateway: String(other[family]), dev: "v", protocol: "118", metric: 7 }]);
  const inside = parseIp(family === 4 ? "192.0.2.9" : "2001:db8::9");
  expect(String(netns.routes.find(inside)?.via)).toBe(String(other[family]));
  expect(String(netns.routes.findEntry(inside)?.dst)).toBe(String(afar[family]));
  expect(netns.routes.list({ protocol: 118, family }).map(({ dst }) => String(dst))).toEqual([String(afar[family])]);
  expect([netns.routes.delete(route), netns.routes.delete(route)]).toEqual([true, false]);
  expect(netns.routes.find(inside)).toBeUndefined();
});

familyTest("routes that lead nowhere are of the kind that was asked for", (netns, _link, family) => {
  for (const type of ["blackhole", "unreachable", "prohibit"] as const) {
    const route = { dst: afar[family], type, metric: 1000 };
    netns.routes.ensure(route);
    expect(netns.routes.list({ dst: afar[family] })).toMatchObject([{ type, metric: 1000 }]);
    expect(ipJson(netns, ofFamily(family), "route", "show", String(afar[family]))).toMatchObject([{ type }]);
    expect(netns.routes.delete(route)).toBe(true);
  }
});

familyTest("a gateway that is on no subnet of the link is taken with onlink, a host route by the link alone", (netns, link, family) => {
  netns.addrs.add(link, { address: cidrOf(own[family].ip), nodad: true });
  const gateway = parseIp(family === 4 ? "169.254.1.1" : "fe80::1");
  netns.routes.add({ dst: cidrOf(gateway), link: link.index });
  netns.routes.add({ dst: afar[family], via: gateway, link: link.index, onlink: true, mtu: 1300 });
  expect(netns.routes.list({ dst: afar[family] })).toMatchObject([{ onlink: true, mtu: 1300, link: link.index }]);
  expect(netns.routes.list({ dst: cidrOf(gateway) })).toMatchObject([{ link: link.index }]);
});

familyTest("a table of one's own is apart from the main one", (netns, link, family) => {
  netns.addrs.add(link, { address: own[family], nodad: true });
  netns.routes.add({ dst: afar[family], via: other[family], table: 1000 });
  expect(netns.routes.list({ dst: afar[family] })).toEqual([]);
  expect(netns.routes.list({ dst: afar[family], table: 1000 })).toMatchObject([{ table: 1000 }]);
  expect(netns.routes.list({ table: 4711 })).toEqual([]);
  expect(netns.routes.list({ dst: afar[family], table: "all" })).toMatchObject([{ table: 1000 }]);
  expect(netns.routes.list({ family, table: "all" }).map(({ table }) => table)).toContain(255);
});

familyTest("a gateway that cannot be reached is refused in the kernel's words", (netns, _link, family) => {
  expect(() => netns.routes.add({ dst: afar[family], via: parseIp(family === 4 ? "203.0.113.1" : "2001:db9::1") })).toThrow(family === 4 ? /^Cannot add route to .*: ENETUNREACH, .*\(kernel: "/ : /^Cannot add route to .*: EHOSTUNREACH, /);
});
