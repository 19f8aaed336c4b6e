import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { entryName, headOf, isAddress, ownerIn, ownerText, parseEntry } from "./entry.ts";

const containerId = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,300}$/);
const ifname = fc.stringMatching(/^[a-z0-9.@-]{1,15}$/).filter((name) => name !== "." && name !== "..");
const addresses = fc.array(fc.oneof(fc.ipV4(), fc.ipV6().filter((text) => !text.includes("."))), { maxLength: 4 });

test("what is written about an attachment reads back, in its entry and in its address's file", () => {
  fc.assert(fc.property(containerId, ifname, addresses, (id, name, ips) => {
    const attached = { containerId: id, ifname: name };
    const low = ips.map((ip) => ip.toLowerCase());
    expect(parseEntry(headOf(attached, "8c1b") + low.map((ip) => `${ip}\n`).join(""))).toEqual({ ...attached, boot: "8c1b", addresses: low });
    expect(ownerIn(ownerText(attached))).toEqual(attached);
    expect(new TextEncoder().encode(entryName(attached)).length).toBeLessThan(256);
  }));
});

test("the reference's files are read: of today, with and without line ends, and of before it knew interfaces", () => {
  expect(ownerText({ containerId: "abc", ifname: "eth0" })).toBe("abc\r\neth0");
  expect(ownerIn(" abc\r\neth0\n")).toEqual({ containerId: "abc", ifname: "eth0" });
  expect(ownerIn("abc")).toEqual({ containerId: "abc", ifname: "" });
});

test("junk is nobody's, and its name leads to no other folder", () => {
  for (const text of ["", "\n", "../../etc\r\neth0", "a/b", "abc\r\neth/0", "a\r\nb\r\nc"]) expect(ownerIn(text)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => {
    const owner = ownerIn(text);
    if (owner) expect(entryName(owner)).not.toContain("/");
    parseEntry(text);
  }));
});

test("lock, last_reserved_ip and folders are no addresses", () => {
  expect(["10.1.2.3", "fd00::5", "::"].every(isAddress)).toBe(true);
  expect(["lock", "last_reserved_ip.0", "by-attachment", "", "10", "10.1.2.3.new"].filter(isAddress)).toEqual([]);
});
