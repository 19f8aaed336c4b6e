/** Results in all versions: the bytes that are printed, what each version can say, and the way between every two of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { allVersions, CniError, convertResult, formatResult, parseCidr, parseResult, printResult, type Result } from "./index.ts";
import { anyResult, plainResult } from "./testing/arbitrary.ts";

const sample: Result = {
  interfaces: [{ name: "eth0", mac: "0a:58:0a:01:02:03", sandbox: "/var/run/netns/c1" }],
  ips: [{ address: "10.1.2.3/24", gateway: "10.1.2.1", interface: 0 }],
  routes: [{ dst: "0.0.0.0/0" }],
};

const lines = (...rows: string[]): string => rows.join("\n");

test("a result of 0.4.0 is printed as Go's library prints it", () => {
  assert.equal(printResult(sample, "0.4.0"), lines(
    "{",
    '    "cniVersion": "0.4.0",',
    '    "interfaces": [',
    "        {",
    '            "name": "eth0",',
    '            "mac": "0a:58:0a:01:02:03",',
    '            "sandbox": "/var/run/netns/c1"',
    "        }",
    "    ],",
    '    "ips": [',
    "        {",
    '            "version": "4",',
    '            "interface": 0,',
    '            "address": "10.1.2.3/24",',
    '            "gateway": "10.1.2.1"',
    "        }",
    "    ],",
    '    "routes": [',
    "        {",
    '            "dst": "0.0.0.0/0"',
    "        }",
    "    ],",
    '    "dns": {}',
    "}"));
});

test("a result of 1.1.0 has its keys in byte order and leaves out what is empty", () => {
  const result: Result = { ...sample, interfaces: [{ name: "eth0", mac: "0a:58:0a:01:02:03", mtu: 0, sandbox: "/c1" }], routes: [], dns: {} };
  assert.equal(printResult(result, "1.1.0"), lines(
    "{",
    '    "cniVersion": "1.1.0",',
    '    "interfaces": [',
    "        {",
    '            "mac": "0a:58:0a:01:02:03",',
    '            "name": "eth0",',
    '            "sandbox": "/c1"',
    "        }",
    "    ],",
    '    "ips": [',
    "        {",
    '            "address": "10.1.2.3/24",',
    '            "gateway": "10.1.2.1",',
    '            "interface": 0',
    "        }",
    "    ]",
    "}"));
});

test("a result of 0.2.0 has one address a family, each with its own routes", () => {
  const result: Result = {
    ips: [{ address: "10.1.2.3/24" }, { address: "fd01::3/64", gateway: "fd01::1" }, { address: "10.9.9.9/24" }],
    routes: [{ dst: "::/0", gw: "fd01::1", mtu: 1400 }, { dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8" }],
    dns: { nameservers: ["10.0.0.53"] },
  };
  assert.deepEqual(formatResult(result, "0.2.0"), {
    cniVersion: "0.2.0",
    ip4: { ip: "10.1.2.3/24", gateway: undefined, routes: [{ dst: "0.0.0.0/0", gw: undefined }, { dst: "10.0.0.0/8", gw: undefined }] },
    ip6: { ip: "fd01::3/64", gateway: "fd01::1", routes: [{ dst: "::/0", gw: "fd01::1" }] },
    dns: { nameservers: ["10.0.0.53"], domain: undefined, search: undefined, options: undefined },
  });
});

test("a result of 0.2.0 becomes lists: first the IPv4 address, then the IPv6 one, the routes in that order", () => {
  const old = {
    ip6: { ip: "fd01::3/64", routes: [{ dst: "::/0" }] }, ip4: { ip: "10.1.2.3/24", gateway: "10.1.2.1", routes: [{ dst: "0.0.0.0/0" }] },
  };
  assert.deepEqual(JSON.parse(JSON.stringify(convertResult(old, "0.3.1"))), {
    cniVersion: "0.3.1",
    ips: [{ version: "4", address: "10.1.2.3/24", gateway: "10.1.2.1" }, { version: "6", address: "fd01::3/64" }],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }], dns: {},
  });
});

test("what 1.1.0 added to interfaces is lost on the way to 0.4.0, what it added to routes is not", () => {
  const result: Result = { interfaces: [{ name: "eth0", mtu: 1400, pciID: "0000:01:00.0", socketPath: "/s" }], routes: [{ dst: "::/0", mtu: 1400, table: 0 }] };
  assert.deepEqual(parseResult(formatResult(result, "0.4.0")), { interfaces: [{ name: "eth0" }], routes: [{ dst: "::/0", mtu: 1400, table: 0 }] });
  assert.deepEqual(parseResult(formatResult(result, "1.0.0")), result);
});

test("a result without addresses cannot be told in 0.2.0", () => {
  assert.throws(() => printResult({ interfaces: [{ name: "eth0" }] }, "0.2.0"), { code: 999, message: "cannot convert: no valid IP addresses" });
});

test("results without a version, of an unknown one, or of another form than expected", () => {
  assert.deepEqual(parseResult({ ip4: { ip: "10.1.2.3/24" } }), { ips: [{ address: "10.1.2.3/24" }] });
  assert.deepEqual(parseResult({ ips: [{ address: "10.1.2.3/24" }] }, "1.0.0"), { ips: [{ address: "10.1.2.3/24" }] });
  assert.deepEqual(parseResult({ cniVersion: "1.0.0", ips: [] }, "1.1.0"), {});
  assert.throws(() => parseResult({ cniVersion: "2.0.0" }), { code: 6, message: 'unsupported CNI result version "2.0.0"' });
  assert.throws(() => parseResult({ cniVersion: "0.2.0" }, "0.4.0"),
    { code: 6, message: 'result type supports [0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is "0.2.0"' });
  assert.throws(() => printResult({}, "9.9.9"), { code: 1, message: "no converter for CNI result version 1.1.0 to 9.9.9" });
});

test("a malformed result is refused with the place of the fault", () => {
  const say = (json: unknown): string => {
    try {
      parseResult(json, "1.0.0");
    } catch (error) {
      assert.ok(error instanceof CniError && error.code === 6);
      return error.message;
    }
    return "accepted";
  };
  assert.equal(say([]), "invalid result: a list (an object is wanted)");
  assert.equal(say({ ips: [{ address: "10.1.2.3" }] }),
    'invalid result field "ips[0].address": "10.1.2.3" (an address with a prefix length, like 10.1.0.0/16 is wanted)');
  assert.equal(say({ ips: [{}] }), 'missing result field "ips[0].address" (an address with a prefix length, like 10.1.0.0/16 is wanted)');
  assert.equal(say({ Interfaces: [{ name: 5 }] }), 'invalid result field "interfaces[0].name": 5 (a string is wanted)');
  assert.equal(say({ ips: null, routes: null, dns: null, other: 1 }), "accepted");
});

test("an address that is none is found before the result is printed", () => {
  for (const version of allVersions) {
    assert.throws(() => printResult({ ips: [{ address: "10.1.2.3" }] }, version), { code: 999 });
  }
});

// ── between every two versions ──

const pairs = fc.tuple(fc.constantFrom(...allVersions), fc.constantFrom(...allVersions));

test("there and back: what the older version can say comes back unchanged, for every pair of versions", () => {
  fc.assert(fc.property(pairs, plainResult, ([a, b], result) => {
    const first = formatResult(result, a);
    assert.deepEqual(formatResult(parseResult(convertResult(first, b)), a), first);
  }), { numRuns: 500 });
});

test("converting is the same in one step or in two, for every three versions", () => {
  fc.assert(fc.property(pairs, fc.constantFrom(...allVersions), plainResult, ([a, b], c, result) => {
    const start = formatResult(result, a);
    assert.deepEqual(convertResult(convertResult(start, b), c), convertResult(start, c));
  }), { numRuns: 500 });
});

test("any result survives printing and reading in the newest version", () => {
  fc.assert(fc.property(anyResult, (result) => {
    assert.deepEqual(parseResult(JSON.parse(printResult(result, "1.1.0"))), result);
  }), { numRuns: 500 });
});

test("whatever a result holds, its downward form holds nothing else", () => {
  fc.assert(fc.property(anyResult, fc.constantFrom("0.3.0", "0.4.0"), (result, version) => {
    const down = parseResult(formatResult(result, version));
    assert.deepEqual(down.ips, result.ips);
    assert.deepEqual(down.routes, result.routes);
    assert.deepEqual(down.interfaces?.map(({ name }) => name), result.interfaces?.map(({ name }) => name));
    for (const ip of down.ips ?? []) assert.ok(parseCidr(ip.address));
  }));
});

test("any JSON at all is a result or a CNI error", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.constantFrom(undefined, ...allVersions), (json, version) => {
    try {
      parseResult(json, version);
    } catch (error) {
      assert.ok(error instanceof CniError);
    }
  }), { numRuns: 500 });
});
