import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { dnsIn, parseResolvConf } from "./resolv-conf.ts";

test("name servers, the last domain, and every search and option are read; comments and other words are not", () => {
  const text = "# one\n; two\nnameserver 192.0.2.53\n nameserver fd00::53 ignored\ndomain a.example\ndomain b.example\nsearch x y\nsearch z\noptions ndots:5 edns0\nsortlist 10.0.0.0\nnameserver\n";
  expect(parseResolvConf(text)).toEqual({ nameservers: ["192.0.2.53", "fd00::53"], domain: "b.example", search: ["x", "y", "z"], options: ["ndots:5", "edns0"] });
});

test("a file that says nothing gives nothing, and no text makes it throw", () => {
  expect(parseResolvConf("\n# only\n")).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => void parseResolvConf(text)));
});

test("a file that is not there is named", () => {
  expect(() => dnsIn("/nowhere/resolv.conf")).toThrow('there is no file "/nowhere/resolv.conf"');
});
