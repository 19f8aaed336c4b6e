/** Names of kernel parameters: what they mean, and that none leads out of net/. */
import { expect, test } from "bun:test";
import { sysctlPath, sysctlValue } from "./sysctls.ts";

test("a name means what sysctl(8) means by it, and IFNAME the pod's interface", () => {
  for (const [key, path] of [
    ["net.core.somaxconn", "net/core/somaxconn"], ["net/core/somaxconn", "net/core/somaxconn"],
    ["net.ipv4.conf.IFNAME.arp_filter", "net/ipv4/conf/eth0.7/arp_filter"], ["net/ipv4/conf/IFNAME/arp_filter", "net/ipv4/conf/eth0.7/arp_filter"],
    ["net.ipv4.conf.eth0/7.arp_filter", "net/ipv4/conf/eth0.7/arp_filter"], ["net/ipv4/conf/eth0.7/arp_filter", "net/ipv4/conf/eth0.7/arp_filter"],
  ] as const) expect({ key, path: sysctlPath(key, "eth0.7") }).toEqual({ key, path });
  expect(sysctlPath("net.ipv4.conf.IFNAME.x", "$&")).toBe("net/ipv4/conf/$&/x");
});

test("no name leads out of net/", () => {
  const names = [
    "", ".", "net", "net.", "net/", "kernel.panic", "kernel/panic", "/net/core/somaxconn", ".net.core.somaxconn", "network.x", "IFNAME.core.x",
    "net/../kernel/panic", "net/./core", "net//core", "net..kernel.panic", "net.core.//.kernel.panic", "net.core./.x", "net/core/x\0y", "../sys/net/core",
  ];
  for (const key of names) expect(() => sysctlPath(key, "eth0"), key).toThrow("invalid net sysctl key");
});

test("a value is a text of one line", () => {
  expect(sysctlValue.parse("4096 87380\t1", "sysctl.x")).toBe("4096 87380\t1");
  for (const value of ["1\n2", "1\r", "1\0", 1, true, null]) expect(() => sysctlValue.parse(value, "sysctl.x")).toThrow(/^invalid option "sysctl\.x": .* \(a text of one line is wanted\)$/);
});
