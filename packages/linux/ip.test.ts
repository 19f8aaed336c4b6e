import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import { cidrOf, contains, ipFrom, lastOf, networkOf, numberOf, overlaps, parseCidr, parseIp, plus, sameIp } from "./ip.ts";
import { macOf, parseMac } from "./mac.ts";

describe("addresses", () => {
  test("IPv6 is written in its short form", () => {
    const rows = ["::", "::1", "1::", "fd00:10:244::5", "2001:db8::1:0:0:1", "2001:db8:0:1:1:1:1:1", "::ffff:10.1.0.5"];
    for (const text of rows) expect(String(parseIp(text))).toBe(text);
    expect(String(parseIp("2001:DB8:0:0:0:0:0:A"))).toBe("2001:db8::a");
    expect(String(parseIp("64:ff9b::192.0.2.1"))).toBe("64:ff9b::c000:201");
  });

  test("what is no address is refused with the text in the message", () => {
    for (const text of ["", "10.1.0", "10.1.0.256", "010.1.0.1", "10.1.0.5 ", "1::2::3", ":::", "fe80::1%eth0", "12345::", "1:2:3:4:5:6:7:8:9", "1.2.3.4::"]) {
      expect(() => parseIp(text)).toThrow(`"${text}"`);
    }
    for (const text of ["10.1.0.0", "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/08", "fd00::/129", "/24", "10.1.0.0/24/1"]) {
      expect(() => parseCidr(text)).toThrow(`"${text}"`);
    }
  });

  test("any bytes are written as text that reads back to the same bytes", () => {
    const bytes = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }));
    fc.assert(fc.property(bytes, (raw) => sameIp(parseIp(String(ipFrom(raw))), ipFrom(raw))));
  });

  test("any text is an address to us exactly where it is one to node:net", () => {
    const text = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{0,20}$/));
    fc.assert(
      fc.property(text, (some) => {
        const known = isIPv4(some) || (isIPv6(some) && !some.includes("%"));
        return known === accepts(() => parseIp(some));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("prefixes", () => {
  test("a prefix knows its first and its last address", () => {
    const subnet = parseCidr("10.1.2.3/22");
    expect(String(subnet)).toBe("10.1.2.3/22");
    expect(String(networkOf(subnet))).toBe("10.1.0.0/22");
    expect(String(lastOf(subnet))).toBe("10.1.3.255");
    expect(String(lastOf(parseCidr("fd00::/127")))).toBe("fd00::1");
  });

  test("a prefix contains addresses and longer prefixes of its family", () => {
    const network = parseCidr("10.244.0.0/16");
    expect(contains(network, parseCidr("10.244.7.0/24"))).toBe(true);
    expect(contains(network, parseCidr("10.0.0.0/8"))).toBe(false);
    expect(contains(network, parseIp("10.245.0.1"))).toBe(false);
    expect(contains(parseCidr("::/0"), parseIp("10.244.0.1"))).toBe(false);
    expect(overlaps(parseCidr("10.0.0.0/8"), network)).toBe(true);
    expect(overlaps(parseCidr("10.244.0.0/17"), parseCidr("10.244.128.0/17"))).toBe(false);
  });

  test("counting on from an address and back arrives where it began", () => {
    fc.assert(fc.property(fc.ipV6(), fc.bigInt(0n, 1n << 64n), (text, distance) => {
      const ip = parseIp(text);
      if (numberOf(ip) + distance >= 1n << 128n) return true;
      return sameIp(plus(plus(ip, distance), -distance), ip);
    }));
    expect(() => plus(parseIp("255.255.255.255"), 1n)).toThrow("no such address");
  });

  test("an address alone is a prefix of full length", () => {
    expect(String(cidrOf(parseIp("10.1.0.5")))).toBe("10.1.0.5/32");
    expect(String(cidrOf(parseIp("fd00::5")))).toBe("fd00::5/128");
  });
});

test("a MAC address made of an IP address can be read in it", () => {
  expect(String(macOf(parseIp("10.244.1.7")))).toBe("0a:58:0a:f4:01:07");
  expect(String(parseMac("0A:58:0a:f4:01:07"))).toBe("0a:58:0a:f4:01:07");
  expect(() => parseMac("0a:58:0a:f4:01")).toThrow('"0a:58:0a:f4:01"');
});

function accepts(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return false;
  }
}
