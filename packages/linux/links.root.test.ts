/** Links on a real kernel, and what `ip -j -d link` says of them. */
import { expect } from "bun:test";
import { Netns, parseMac } from "./index.ts";
import { errnoOf, ipJson, kernelTest, outputIn } from "./testing/room.ts";

const pair = (here: Netns, there: Netns): void =>
  here.links.add({ kind: "veth", name: "near", mtu: 1400, mac: parseMac("02:00:00:00:00:01"), peer: { name: "far", mtu: 1400, mac: parseMac("02:00:00:00:00:02"), netnsFd: there.fd } });

kernelTest("a veth pair is born with an end in each namespace, with the MTU and MAC that were asked for", (here, there) => {
  pair(here, there);
  expect(ipJson(here, "link", "show", "near")).toMatchObject([{ ifname: "near", mtu: 1400, address: "02:00:00:00:00:01", linkinfo: { info_kind: "veth" } }]);
  expect(ipJson(there, "link", "show", "far")).toMatchObject([{ ifname: "far", mtu: 1400, address: "02:00:00:00:00:02" }]);
  const [near, far] = [here.links.get("near"), there.links.get("far")];
  expect(near).toMatchObject({ name: "near", kind: "veth", mtu: 1400, up: false, carrier: false, loopback: false, master: 0, linkIndex: far.index });
  expect([String(near.mac), String(far.mac)]).toEqual(["02:00:00:00:00:01", "02:00:00:00:00:02"]);
  here.links.set(near, { up: true });
  there.links.set(far, { up: true });
  expect(here.links.get("near")).toMatchObject({ up: true, carrier: true });
});

kernelTest("a name that is taken, on either end, is EEXIST, and the other end is not left behind", (here, there) => {
  pair(here, there);
  const again = (name: string, peer: string) => errnoOf(() => here.links.add({ kind: "veth", name, peer: { name: peer, netnsFd: there.fd } }));
  expect(again("near", "other")).toBe("EEXIST");
  expect(again("other", "far")).toBe("EEXIST");
  expect([here, there].map((netns) => netns.links.list().map(({ name }) => name).sort())).toEqual([["lo", "near"], ["far", "lo"]]);
});

kernelTest("links are found by name and by index, and what is not there is undefined or ENODEV", (here, there) => {
  pair(here, there);
  const near = here.links.get("near");
  expect(JSON.stringify(here.links.get(near.index))).toBe(JSON.stringify(near));
  expect(here.links.find("nobody")).toBeUndefined();
  expect(here.links.find(4711)).toBeUndefined();
  expect(errnoOf(() => here.links.get("nobody"))).toBe("ENODEV");
  expect(here.links.get("lo").loopback).toBe(true);
});

kernelTest("deleting one end takes both; deleting twice is no error", (here, there) => {
  pair(here, there);
  expect(there.links.delete("far")).toBe(true);
  expect(here.links.find("near")).toBeUndefined();
  expect([here.links.delete("near"), there.links.delete("far")]).toEqual([false, false]);
});

kernelTest("a veth's other end is found from where it is, and not taken for another's with the same pair of indices", (here, there) => {
  pair(here, there);
  const [near, far] = [here.links.get("near"), there.links.get("far")];
  expect(here.links.findPeer(there, far)?.index).toBe(near.index);
  expect(there.links.findPeer(here, near)?.index).toBe(far.index);
  expect(here.links.findPeer(there, there.links.get("lo"))).toBeUndefined();
  using elsewhere = Netns.create();
  const cable = (at: Netns, peer: Netns) => outputIn(at, "ip", "link", "add", "name", "a", "index", "60", "type", "veth", "peer", "name", "b", "index", "50", "netns", `/proc/${process.pid}/fd/${peer.fd}`);
  cable(elsewhere, there);
  expect(here.links.findPeer(there, there.links.get("b"))).toBeUndefined();
  using other = Netns.create();
  cable(here, other);
  expect(here.links.findPeer(there, there.links.get("b"))).toBeUndefined();
  expect(here.links.findPeer(other, other.links.get("b"))?.name).toBe("a");
});

kernelTest("changes are made together, and those of a bridge's port", (here, there) => {
  pair(here, there);
  here.links.add({ kind: "bridge", name: "br0" });
  const bridge = here.links.get("br0");
  here.links.set(here.links.get("near"), { name: "port", alias: "pod a/eth0", mtu: 1300, master: bridge, hairpin: true, isolated: true, up: true });
  expect(ipJson(here, "link", "show", "port")).toMatchObject([
    { ifname: "port", ifalias: "pod a/eth0", mtu: 1300, master: "br0", linkinfo: { info_slave_kind: "bridge", info_slave_data: { hairpin: true, isolated: true } } },
  ]);
  const port = here.links.get("port");
  expect(port).toMatchObject({ alias: "pod a/eth0", master: bridge.index, up: true });
  here.links.set(port, { master: null });
  expect(here.links.get("port").master).toBe(0);
});

kernelTest("a link that is to make no IPv6 address of its own makes none", (here, there) => {
  pair(here, there);
  for (const [netns, name, linkLocal] of [[here, "near", false], [there, "far", true]] as const) netns.links.set(netns.links.get(name), { linkLocal, up: true });
  const addresses = (netns: Netns, name: string) => netns.addrs.list({ link: netns.links.get(name), family: 6 }).length;
  expect([addresses(here, "near"), addresses(there, "far")]).toEqual([0, 1]);
});

kernelTest("a name that is too long, or an MTU that no veth takes, is the kernel's own error, in its words", (here) => {
  expect(() => here.links.add({ kind: "bridge", name: "sixteen-letters-" })).toThrow(/^Cannot add bridge "sixteen-letters-": ERANGE, .*attribute IFLA_IFNAME/);
  expect(() => here.links.add({ kind: "veth", name: "a", mtu: 10, peer: { name: "b" } })).toThrow(/^Cannot add veth "a": EINVAL, /);
});

kernelTest("three hundred links are listed, each once", (here) => {
  for (let at = 0; at < 300; at++) here.links.add({ kind: "bridge", name: `b${at}` });
  const names = here.links.list().map(({ name }) => name);
  expect([names.length, new Set(names).size]).toEqual([301, 301]);
});
