/** Which texts are addresses: the answers of Go's net package, which every other plugin gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMac, parseCidr, parseIp, parseMac } from "./address.ts";

const bytes = (text: string) => Array.from(parseIp(text)?.bytes ?? [], (byte) => byte.toString(16).padStart(2, "0")).join("");

test("IPv4 addresses have four numbers below 256 without leading zeros", () => {
  assert.deepEqual(parseIp("10.1.2.255"), { family: 4, bytes: Uint8Array.of(10, 1, 2, 255) });
  for (const text of ["", "10.1.2", "10.1.2.3.4", "010.1.2.3", "10.1.2.256", "10.1.2.", "0x1.1.1.1", " 10.1.2.3", "10.1.2.3\n", "10.1.2.-3"]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test("IPv6 addresses have eight groups, one run of which may be left out", () => {
  assert.equal(bytes("::"), "0".repeat(32));
  assert.equal(bytes("2001:DB8::1"), `20010db8${"0".repeat(23)}1`);
  assert.equal(bytes("1:2:3:4:5:6:7::"), "00010002000300040005000600070000");
  assert.equal(bytes("64:ff9b::10.0.0.1"), "0064ff9b00000000000000000a000001");
  const wrong = [":", ":::", "1::2::3", "1:2:3:4:5:6:7:8::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "12345::", "g::", "fe80::1%eth0",
    "::10.0.0.01", "10.0.0.1::", "1:2:3:4:5:6:7:10.0.0.1", ":1::2", "1::2:"];
  for (const text of wrong) assert.equal(parseIp(text), undefined, text);
});

test("an IPv4 address in IPv6 clothes is an IPv4 address", () => {
  assert.deepEqual(parseIp("::ffff:10.0.0.1"), { family: 4, bytes: Uint8Array.of(10, 0, 0, 1) });
  assert.deepEqual(parseCidr("::ffff:10.0.0.1/120"), { family: 4, bytes: Uint8Array.of(10, 0, 0, 1), prefix: 24 });
});

test("a subnet keeps its host part, and its prefix length fits its family", () => {
  assert.deepEqual(parseCidr("10.1.2.3/24"), { family: 4, bytes: Uint8Array.of(10, 1, 2, 3), prefix: 24 });
  assert.equal(parseCidr("fd01::3/128")?.prefix, 128);
  for (const text of ["10.1.2.3", "10.1.2.3/33", "fd01::/129", "10.1.2.3/", "10.1.2.3/-1", "10.1.2.3/8/8", "/8", "10.1.2.3/ 8"]) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

test("hardware addresses have 6, 8 or 20 bytes in one of three spellings, and are printed in one", () => {
  for (const text of ["0A:58:0a:01:00:05", "0a-58-0a-01-00-05", "0a58.0a01.0005"]) {
    assert.equal(formatMac(parseMac(text) ?? new Uint8Array()), "0a:58:0a:01:00:05");
  }
  assert.equal(parseMac("02:00:5e:10:00:00:00:01")?.length, 8);
  for (const text of ["", "0a:58:0a:01:00", "0a:58-0a:01:00:05", "0a:58:0a:01:00:0g", "0a580a010005", "0a:58:0a:01:00:05:"]) {
    assert.equal(parseMac(text), undefined, text);
  }
});
