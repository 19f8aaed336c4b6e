import { expect } from "bun:test";
import { kernelLacks } from "../../tests/conformance/node/kernel.ts";
import { errnoOf, kernelTest } from "./testing/room.ts";
import type { Netns } from "./netns.ts";

const noVlans = kernelLacks("CONFIG_BRIDGE_VLAN_FILTERING");
const portOf = ({ links }: Netns) => {
  links.add({ kind: "bridge", name: "br0" });
  links.add({ kind: "veth", name: "port", peer: { name: "far" } });
  links.set(links.get("port"), { master: links.get("br0"), hairpin: true });
  return links.get("port");
};

kernelTest("a port of a bridge is told from what is none", (here) => {
  const port = portOf(here);
  expect(here.links.findPort(port)).toEqual({ hairpin: true, isolated: false });
  expect(here.links.findPort(here.links.get("far"))).toBeUndefined();
});

kernelTest("a port is put into VLANs and taken out again", (here) => {
  const port = portOf(here);
  const { vlans } = here;
  expect(vlans.list(port)).toEqual([{ id: 1, pvid: true, untagged: true }]);
  vlans.ensure(port, { id: 10, pvid: true, untagged: true });
  vlans.ensure(port, { id: 4094 });
  expect(vlans.list(port)).toEqual(expect.arrayContaining([{ id: 10, pvid: true, untagged: true }, { id: 4094 }]));
  expect([vlans.members(10), vlans.members(11)]).toEqual([[port.index], []]);
  for (const { id } of vlans.list(port)) vlans.delete(port, id);
  expect(vlans.list(port)).toEqual([]);
}, { option: noVlans });

kernelTest("a kernel whose bridges know no VLANs says EOPNOTSUPP, and that nobody is in one", (here) => {
  const port = portOf(here);
  expect(errnoOf(() => here.vlans.ensure(port, { id: 10 }))).toBe("EOPNOTSUPP");
  expect([here.vlans.list(port), here.vlans.members(10)]).toEqual([[], []]);
}, { option: noVlans === "" ? "a kernel without CONFIG_BRIDGE_VLAN_FILTERING" : "" });
