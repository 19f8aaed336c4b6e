/** VLANs of a port on the real kernel: with VLAN filtering all of it, without it that the kernel's "no" is told. */
import { expect } from "bun:test";
import { isErrno } from "./errors.ts";
import { kernelTest } from "./testing/room.ts";

kernelTest("a port is put into VLANs and taken out again, or EOPNOTSUPP says that it cannot be", ({ links, vlans }) => {
  links.add({ kind: "bridge", name: "br0" });
  links.add({ kind: "veth", name: "port", peer: { name: "far" } });
  const port = links.get("port");
  links.set(port, { master: links.get("br0"), hairpin: true });
  expect(links.findPort(port)).toEqual({ hairpin: true, isolated: false });
  expect(links.findPort(links.get("far"))).toBeUndefined();
  const first = vlans.list(port);
  try {
    vlans.ensure(port, { id: 10, pvid: true, untagged: true });
    vlans.ensure(port, { id: 4094 });
  } catch (error) {
    expect(isErrno(error, "EOPNOTSUPP")).toBe(true);
    expect([first, vlans.members(10)]).toEqual([[], []]);
    return;
  }
  expect(vlans.list(port)).toEqual(expect.arrayContaining([{ id: 10, pvid: true, untagged: true }, { id: 4094 }]));
  expect([vlans.members(10), vlans.members(11)]).toEqual([[port.index], []]);
  for (const { id } of vlans.list(port)) vlans.delete(port, id);
  expect(vlans.list(port)).toEqual([]);
});
