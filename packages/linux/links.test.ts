/** What is sent for each kind of link: kinds that this kernel lacks are seen here, and nowhere else but in the virtual machine. */
import { expect, test } from "bun:test";
import { createLinks, type Links, type NewLink } from "./links.ts";
import { parseMac } from "./mac.ts";
import { expectGolden } from "./testing/golden.ts";
import { IFLA_INFO } from "./uapi/if_link.ts";
import { decode, encode } from "./wire/codec.ts";

const mac = parseMac("02:00:00:00:00:01");
const on = { parent: 3, netnsFd: 7 } as const;

const links: Readonly<Record<string, NewLink>> = {
  "vlan 100 on a parent, born in another namespace": { kind: "vlan", name: "v", ...on, id: 100, mtu: 1400 },
  "vlan 0 on a parent": { kind: "vlan", name: "v", parent: 3, id: 0 },
  "vlan 4094 on a parent": { kind: "vlan", name: "v", parent: 3, id: 4094 },
  "ipvlan l2": { kind: "ipvlan", name: "i", ...on, mode: "l2" },
  "ipvlan l3, with an MTU": { kind: "ipvlan", name: "i", ...on, mode: "l3", mtu: 1400 },
  "ipvlan l3s, in this namespace": { kind: "ipvlan", name: "i", parent: 3, mode: "l3s" },
  "macvlan vepa with a queue, an MTU and a MAC address": { kind: "macvlan", name: "m", ...on, mode: "vepa", broadcastQueue: 500, mtu: 1400, mac },
  "macvlan bridge": { kind: "macvlan", name: "m", ...on, mode: "bridge" },
  "macvlan private": { kind: "macvlan", name: "m", ...on, mode: "private" },
  "macvlan passthru": { kind: "macvlan", name: "m", ...on, mode: "passthru" },
  "dummy": { kind: "dummy", name: "d" },
  "dummy, born in another namespace": { kind: "dummy", name: "d", netnsFd: 7, mac },
  "ifb without a queue, up": { kind: "ifb", name: "i", txQueueLength: 0, up: true },
  "vrf, up": { kind: "vrf", name: "blue", table: 1001, up: true },
  "bridge that filters by VLAN, up": { kind: "bridge", name: "cni0", vlanFiltering: true, up: true },
  "bridge that is told not to": { kind: "bridge", name: "cni0", vlanFiltering: false },
  "bridge": { kind: "bridge", name: "cni0", mtu: 1400 },
  "veth with its peer in another namespace": { kind: "veth", name: "near", mtu: 1400, peer: { name: "eth0", mtu: 1400, mac, netnsFd: 7 } },
};

const changes: Readonly<Record<string, (links: Links) => void>> = {
  "a vrf becomes a link's master": (all) => all.set(all.get(5), { master: all.get(9) }),
  "a link is taken out of its vrf": (all) => all.set(all.get(5), { master: null }),
  "a port of a bridge: hairpin, isolated, up": (all) => all.set(all.get(5), { master: all.get(9), hairpin: true, isolated: true, up: true }),
  "a device moves, takes a name and keeps its old one in its alias": (all) => all.set(all.get(5), { netnsFd: 7, name: "eth0", alias: "ens4" }),
};

test("links are asked for as the golden file says", () => {
  const works = [...Object.entries(links).map(([title, link]) => [title, (all: Links) => all.add(link)] as const), ...Object.entries(changes)];
  expectGolden("links", Object.fromEntries(works.map(([title, work]) => [title, (socket) => work(createLinks(socket))])));
});

test("what a kernel tells of each kind reads back", () => {
  for (const info of [
    { kind: "vlan", data: { ID: 100 } }, { kind: "ipvlan", data: { MODE: 2 } }, { kind: "macvlan", data: { MODE: 4 } }, { kind: "vrf", data: { TABLE: 1001 } }, { kind: "bridge", data: { VLAN_FILTERING: 1 } },
  ] as const) expect(decode(IFLA_INFO, encode(IFLA_INFO, info).slice())).toMatchObject(info);
});
