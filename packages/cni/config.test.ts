/** Options: what their readers take, what their errors say, and what is made of the table besides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CniError, boolean, cidr, cidrs, config, integer, ip, list, mac, object, oneOf, parseConfig, raw, record, required, rowsOf, schemaOf,
  string, stringList, type Parser,
} from "./index.ts";

const network = { name: "net", cniVersion: "1.1.0", type: "probe" };

function messageFor(parser: Parser<unknown>, value: unknown): string {
  try {
    parseConfig(config({ x: [parser, undefined, ""] }), { ...network, x: value });
  } catch (error) {
    assert.ok(error instanceof CniError && error.code === 7);
    return error.message;
  }
  return "accepted";
}

test("an error names the option, what it holds, and what is wanted", () => {
  assert.equal(messageFor(integer({ min: 0, max: 9 }), 10), 'invalid option "x": 10 (an integer from 0 to 9 is wanted)');
  assert.equal(messageFor(integer({ min: 1 }), 1.5), 'invalid option "x": 1.5 (an integer from 1 is wanted)');
  assert.equal(messageFor(integer, "5"), 'invalid option "x": "5" (an integer is wanted)');
  assert.equal(messageFor(boolean, "true"), 'invalid option "x": "true" (true or false is wanted)');
  assert.equal(messageFor(string, ["a"]), 'invalid option "x": ["a"] (a string is wanted)');
  assert.equal(messageFor(stringList, ["a", 1]), 'invalid option "x[1]": 1 (a string is wanted)');
  assert.equal(messageFor(oneOf("l2", "l3"), "L2"), 'invalid option "x": "L2" (one of "l2", "l3" is wanted)');
  assert.equal(messageFor(cidrs, ["10.0.0.0/8", "x"]), 'invalid option "x[1]": "x" (an address with a prefix length, like 10.1.0.0/16 is wanted)');
  assert.equal(messageFor(ip, "010.0.0.1"), 'invalid option "x": "010.0.0.1" (an IP address is wanted)');
  assert.equal(messageFor(list(object({ port: [integer, required, ""] })), [{}]), 'missing option "x[0].port" (an integer is wanted)');
  assert.equal(messageFor(record(integer), { a: 1, B: "2" }), 'invalid option "x.B": "2" (an integer is wanted)');
  assert.match(messageFor(integer, "long ".repeat(100)), /^.{1,140}$/);
});

test("values come through as they are, hardware addresses in one spelling", () => {
  const table = config({ a: [cidrs, [], ""], b: [mac, "", ""], c: [raw, undefined, ""], d: [record(string), {}, ""], e: [ip, undefined, ""] });
  const { a, b, c, d, e } = parseConfig(table, { ...network, a: "10.1.2.3/16", b: "0A-58-0A-01-00-05", c: [null], d: { Key: "v" }, e: "FD01::1" });
  assert.deepEqual({ a, b, c, d, e }, { a: ["10.1.2.3/16"], b: "0a:58:0a:01:00:05", c: [null], d: { Key: "v" }, e: "FD01::1" });
});

test("keys match in any case, the last one wins, and null is as good as absent", () => {
  const table = config({ bridge: [string, "cni0", ""] });
  assert.equal(parseConfig(table, { ...network, BRIDGE: "a", bridge: "b", Bridge: "c", bridgE: null }).bridge, "c");
  assert.equal(parseConfig(table, { ...network, bridge: null }).bridge, "cni0");
  assert.equal(parseConfig(table, { ...network, ["\u212Aridge"]: "x", bridges: "y" }).bridge, "cni0");
});

test("an empty address is no address", () => {
  const table = config({ gateway: [ip, undefined, ""], subnet: [cidr, "10.0.0.0/8", ""] });
  const { gateway, subnet } = parseConfig(table, { ...network, gateway: "", subnet: "" });
  assert.deepEqual([gateway, subnet], [undefined, "10.0.0.0/8"]);
});

test("a default that is a list is the caller's own to change", () => {
  const table = config({ allowed: [stringList, ["a"], ""] });
  parseConfig(table, network).allowed.push("b");
  assert.deepEqual(parseConfig(table, network).allowed, ["a"]);
});

test("the keys that every plugin has are read, too; sections that say nothing are absent", () => {
  const table = config({});
  const full = parseConfig(table, { ...network, IPAM: { type: "host-local", x: 1 }, dns: { nameservers: ["10.0.0.1"], domain: "" } });
  assert.deepEqual([full.ipam, full.dns, full.runtimeConfig, full.args], [{ type: "host-local", x: 1 }, { nameservers: ["10.0.0.1"] }, {}, {}]);
  const empty = parseConfig(table, { ...network, ipam: {}, dns: {} });
  assert.ok(!("ipam" in empty) && !("dns" in empty));
  assert.throws(() => parseConfig(table, { ...network, ipam: "host-local" }), /"ipam": "host-local" \(an object with a type is wanted\)/);
});

test("a table may read a well-known key in its own way", () => {
  const table = config({ runtimeConfig: [object({ mac: [mac, undefined, ""], n: [integer, 3, ""] }), {}, "From the runtime"] });
  assert.equal(parseConfig(table, network).runtimeConfig.n, 3);
  assert.equal(parseConfig(table, { ...network, runtimeConfig: { MAC: "0a:58:0a:01:00:05" } }).runtimeConfig.mac, "0a:58:0a:01:00:05");
});

test("told to go on, the reader gives defaults for what is wrong, inside objects as well", () => {
  const table = config({
    mtu: [integer, 7, ""],
    ipam: [object({ subnet: [cidr, required, ""], size: [integer, 24, ""] }), required, ""],
    own: [{ describe: "it", schema: {}, parse: () => 1 }, required, ""],
  });
  const said: string[] = [];
  const onInvalid = (error: CniError): void => void said.push(error.message);
  const read = parseConfig(table, { ...network, own: 1, mtu: "x", ipam: { subnet: 5, size: 26 } }, { onInvalid });
  assert.deepEqual([read.mtu, read.ipam], [7, { subnet: "", size: 26 }]);
  assert.equal(said.length, 2);
  assert.deepEqual(parseConfig(table, { ...network, own: 1 }, { onInvalid }).ipam, { subnet: "", size: 24 });
  assert.throws(() => parseConfig(table, network, { onInvalid }), /missing option "own"/); // nothing to fall back to
});

test("the table's rows and its schema say what the readers do", () => {
  const table = config({ mtu: [integer({ min: 0, max: 9 }), 0, "The MTU"], subnet: [cidr, required, "The subnet"], x: [string, undefined, "X"] });
  assert.deepEqual(rowsOf(table), [
    { name: "mtu", wanted: "an integer from 0 to 9", fallback: "0", about: "The MTU" },
    { name: "subnet", wanted: "an address with a prefix length, like 10.1.0.0/16", fallback: "required", about: "The subnet" },
    { name: "x", wanted: "a string", fallback: "none", about: "X" },
  ]);
  assert.deepEqual(schemaOf(table), {
    type: "object", required: ["subnet"],
    properties: {
      mtu: { type: "integer", minimum: 0, maximum: 9, default: 0, description: "The MTU" },
      subnet: { type: "string", description: "The subnet" },
      x: { type: "string", description: "X" },
    },
  });
});

test("defaults that do not fit their reader do not compile", () => {
  // @ts-expect-error: a text where the reader gives numbers
  assert.ok(config({ mtu: [integer, "0", "The MTU"] }));
  // @ts-expect-error: a word that is not one of the two
  assert.ok(config({ mode: [oneOf("l2", "l3"), "l4", "The mode"] }));
});
