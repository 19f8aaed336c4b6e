/** Bridges of this kernel may know no VLANs; the messages that ask for them are the same everywhere. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { portVlans } from "./uapi/if_bridge.ts";
import { createLinks } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { expectGolden } from "./testing/golden.ts";
import { createVlans, vlanMessage } from "./vlans.ts";
import { encode } from "./wire/codec.ts";
import { explain } from "./wire/explain.ts";

const bytesOf = (id: number, more: object = {}): Uint8Array => encode(portVlans, vlanMessage({ index: 7 }, { id, ...more })).slice();

test("VLANs of a port are asked for as the golden file says", () => {
  const port = (socket: () => NetlinkSocket) => createLinks(socket).get(5);
  expectGolden("vlans", {
    "an access port": (socket) => createVlans(socket).ensure(port(socket), { id: 10, pvid: true, untagged: true }),
    "a VLAN with its tag": (socket) => createVlans(socket).ensure(port(socket), { id: 4094 }),
    "taken out of a VLAN": (socket) => createVlans(socket).delete(port(socket), 1),
    "which VLANs a port is in": (socket) => createVlans(socket).list(port(socket)),
    "which ports are in a VLAN": (socket) => createVlans(socket).members(10),
  });
});

test("an access port's VLAN, byte by byte as `bridge vlan add dev X vid 10 pvid untagged` sends it", () => {
  // ifinfomsg: AF_BRIDGE (7), index 7; then IFLA_AF_SPEC (26, nested) with IFLA_BRIDGE_VLAN_INFO (2): flags 6, vid 10
  expect(Buffer.from(bytesOf(10, { pvid: true, untagged: true })).toString("hex")).toBe("070000000700000000000000000000000c001a800800020006000a00");
  expect(explain(portVlans, bytesOf(10, { pvid: true, untagged: true })).join("\n")).toContain("IFLA_AF_SPEC (26)");
});

test("a tagged VLAN has no flags", () => {
  expect(Buffer.from(bytesOf(4094)).toString("hex").slice(-8)).toBe("0000fe0f");
});

test("a port's answer with several VLANs reads back, and random bytes give a value or a RangeError", () => {
  const one = fc.record({ flags: fc.integer({ min: 0, max: 31 }), vid: fc.integer({ min: 1, max: 4094 }) });
  fc.assert(fc.property(fc.array(one, { maxLength: 20 }), (list) => {
    const bytes = encode(portVlans, { ifi_family: 7, ifi_index: 3, attrs: { IFNAME: "veth1", AF_SPEC: list } }).slice();
    expect(portVlans.decode(bytes).attrs.AF_SPEC).toEqual(list);
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    try {
      portVlans.decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }));
});
