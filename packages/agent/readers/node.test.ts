/** Nodes as an API server and people write them, and what is no node at all. */
import { expect, test } from "bun:test";
import { anything, assert, constantFrom, dictionary, object, oneof, property, record, array, string } from "fast-check";
import { isObject } from "@vethwork/cni";
import { addressesAsText } from "@vethwork/linux";
import { nodeObject } from "../testing/nodes.ts";
import { KEY_ANNOTATION, UNAVAILABLE, readNode } from "./node.ts";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, addressesAsText));
const key = Buffer.alloc(32, 7).toString("base64");

test("of a node its name, its internal addresses, its pods' prefixes, its zone and what it published are kept", () => {
  const words = { name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podCIDRs: ["10.244.1.0/24", "fd00:0:0:1::/64"], annotations: { [KEY_ANNOTATION]: key } };
  expect(plain(readNode(nodeObject(words)))).toEqual({
    name: "node-1", addresses: ["192.0.2.1", "2001:db8::1"], podSubnets: ["10.244.1.0/24", "fd00:0:0:1::/64"], zone: "a", published: { wireguardKey: key },
  });
});

test("what is not there yet is nothing, and null is not there", () => {
  const bare = { name: "new", addresses: [], podSubnets: [], zone: "", published: {} };
  expect(plain(readNode({ metadata: { name: "new" } }))).toEqual(bare);
  expect(plain(readNode({ metadata: { name: "new", labels: null, annotations: null }, spec: null, status: { addresses: null } }))).toEqual(bare);
});

test("podCIDR alone counts, as of old; host bits are none of the prefix", () => {
  expect(plain(readNode({ metadata: { name: "old" }, spec: { podCIDR: "10.244.1.7/24" } }))).toMatchObject({ podSubnets: ["10.244.1.0/24"] });
});

test("a node whose network somebody misses says so, whether he knows it or not", () => {
  const withStatus = (status: string) => readNode(nodeObject({ name: "n", conditions: [{ type: "Ready", status: "True" }, { type: UNAVAILABLE, status }] })).unavailable;
  expect(["True", "Unknown", "False"].map(withStatus)).toEqual([true, true, undefined]);
});

test("a key that is none counts as not published", () => {
  for (const wrong of ["", "x", `${key}x`, key.slice(4), ` ${key}`]) expect(readNode(nodeObject({ name: "n", annotations: { [KEY_ANNOTATION]: wrong } })).published).toEqual({});
});

test("what is wrong is named by its place", () => {
  const says = (object: object) => () => readNode({ metadata: { name: "n" }, ...object });
  expect(says({ spec: { podCIDRs: ["10.244.1.0/24", "10.244"] } })).toThrow('spec.podCIDRs[1]: Cannot read "10.244" (a prefix is wanted');
  expect(says({ spec: { podCIDRs: ["10.244.1.0/24", "10.244.2.0/24"] } })).toThrow("one prefix of IPv4 is wanted");
  expect(says({ spec: { podCIDRs: {} } })).toThrow("spec.podCIDRs is an object (a list is wanted)");
  expect(says({ spec: "x" })).toThrow('spec is "x" (an object is wanted)');
  expect(says({ status: { addresses: [{ type: "InternalIP", address: "node" }] } })).toThrow('status.addresses[0].address: Cannot read "node"');
  expect(says({ status: { addresses: [{ type: "InternalIP", address: 7 }] } })).toThrow("status.addresses[0].address is a number (text is wanted)");
});

const junk = oneof(anything(), constantFrom("10.244.1.0/24", "InternalIP", "192.0.2.1", UNAVAILABLE));
const nearly = record({
  metadata: oneof(junk, record({ name: oneof(junk, string()), labels: oneof(junk, object()), annotations: oneof(junk, dictionary(constantFrom(KEY_ANNOTATION, "x"), junk)) })),
  spec: oneof(junk, record({ podCIDR: junk, podCIDRs: oneof(junk, array(junk)) })),
  status: oneof(junk, record({ addresses: oneof(junk, array(oneof(junk, record({ type: junk, address: junk })))), conditions: oneof(junk, array(oneof(junk, record({ type: junk, status: junk })))) })),
}, { requiredKeys: [] });

test("junk gives facts or a RangeError, and nothing else", () => {
  assert(property(nearly, (value) => {
    try {
      const { name, addresses, podSubnets } = readNode(isObject(value) ? value : {});
      expect([typeof name, addresses.every(({ family }) => family === 4 || family === 6), podSubnets.length <= 2]).toEqual(["string", true, true]);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }), { numRuns: 2000 });
});
