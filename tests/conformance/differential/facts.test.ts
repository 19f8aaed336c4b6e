import { expect, test } from "bun:test";
import { linkOf, stepsOf } from "./facts.ts";
import { piecesOf } from "./play.ts";

const link = (more: object): object => ({ ifindex: 5, ifname: "eth0", flags: ["UP", "NO-CARRIER"], mtu: 1500, operstate: "DOWN", address: "9a:00:00:00:00:01", addr_info: [], ...more });
const told = (...pieces: string[]): string => pieces.map((piece) => `@@ ${piece}\n`).join("");
const linesOf = (out: string, given = ""): string[] => stepsOf(piecesOf(out), given)[0]?.lines ?? [];

test("steps have names, the second of a kind is said to be that, and what was not looked at is said, too", () => {
  const out = told("verb ADD pod1", "said bridge 0\n{}", "view ADD pod1", "verb ADD pod2", "said bridge 1\n{\"code\": 11}", "verb ADD pod1", "said bridge 0", "stderr\nhm");
  expect(stepsOf(piecesOf(out), "").map(({ name, lines, looked, said }) => ({ name, lines, looked, said: said.trim() }))).toEqual([
    { name: "ADD", lines: ["bridge exit: 0", "bridge result : {}"], looked: true, said: "{}" },
    { name: "ADD pod2", lines: ["bridge error: 11", "bridge exit: 1"], looked: false, said: '{"code": 11}' },
    { name: "ADD again", lines: ["bridge exit: 0"], looked: false, said: "hm" },
  ]);
});

test("what is chance is named by whose it is: a cable's end, its MAC address and the IPv6 address made of it", () => {
  const near = link({ ifindex: 7, ifname: "veth1f03ab77", link_index: 2, address: "9a:00:00:00:00:07", addr_info: [{ family: "inet6", local: "fe80::9800:ff:fe00:7", prefixlen: 64 }] });
  const far = link({ ifindex: 2, ifname: "eth0", link_index: 7 });
  const lines = linesOf(told("verb ADD pod1", 'said bridge 0\n{"interfaces":[{"name":"veth1f03ab77","mac":"9a:00:00:00:00:07"}]}', `ip node\n${JSON.stringify([near])}`, `ip pod1\n${JSON.stringify([far])}`, "sysctls node\n/proc/sys/net/ipv6/conf/veth1f03ab77/mtu:1500"));
  expect(lines).toContain("bridge result interfaces[0].name: veth(pod1/eth0)");
  expect(lines).toContain("bridge result interfaces[0].mac of veth(pod1/eth0): mac(veth(pod1/eth0))");
  expect(lines).toContain("node link veth(pod1/eth0) address fe80(veth(pod1/eth0))/64 family inet6");
  expect(lines).toContain("node sysctl net/ipv6/conf/veth(pod1/eth0)/mtu: 1500");
  expect(lines).toContain("pod1 link eth0 address: mac(pod1/eth0)");
  expect(lines.filter((line) => /NO-CARRIER|operstate|ifindex/.test(line))).toEqual([]);
});

test("a MAC address that the row gives is compared as it is, and one that nobody has any more is nobody's", () => {
  const out = told("verb ADD pod1", `ip pod1\n${JSON.stringify([link({ addr_info: [{ family: "inet6", local: "fe80::1234:56ff:fe78:9abc", prefixlen: 64 }] })])}`);
  expect(linesOf(out, "mac 9a:00:00:00:00:01")).toContain("pod1 link eth0 address: 9a:00:00:00:00:01");
  expect(linesOf(out)).toContain("pod1 link eth0 address fe80(?)/64 family inet6");
});

test("rules are told with table, chain and place; iptables' by iptables itself", () => {
  const nft = "table ip nat {\n\tchain X {\n\t\tmasquerade\n\t}\n}\ntable inet t {\n\tcomment \"c\"\n\tchain y {\n\t\ttype nat hook postrouting priority srcnat;\n\t\tip saddr 10.0.0.1 accept\n\t}\n}";
  const iptables = "*nat\n:POSTROUTING ACCEPT [7:420]\n-A POSTROUTING -j X\n-A POSTROUTING -j Y\nCOMMIT";
  expect(linesOf(told("verb ADD pod1", `nft\n${nft}`, `iptables ip\n${iptables}`))).toEqual([
    "iptables nat POSTROUTING 1: -j X", "iptables nat POSTROUTING 2: -j Y", "iptables nat chain POSTROUTING ACCEPT",
    "nft table inet t", "nft table inet t 1: comment \"c\"", "nft table inet t > chain y", "nft table inet t > chain y 1: type nat hook postrouting priority srcnat;", "nft table inet t > chain y 2: ip saddr 10.0.0.1 accept",
  ]);
});

test("files are told with mode and content, under the names that a plugin knows", () => {
  expect(linesOf(told("verb ADD pod1", "folder 755 /run/stage/lib/cni", "file 600 /run/stage/lib/cni/10.1.2.2\npod1\r\neth0", "file 644 /run/stage/etc/cni/a\nb"))).toEqual([
    'file /etc/cni/a mode 644: "b"', 'file /var/lib/cni/10.1.2.2 mode 600: "pod1\\r\\neth0"', "folder /var/lib/cni mode 755",
  ]);
});

test("a line knows the link that it is about", () => {
  for (const [line, about] of [
    ["node link cni0 mtu: 1500", "node link cni0"], ["node sysctl net/ipv4/conf/veth(pod1/eth0)/forwarding: 1", "node link veth(pod1/eth0)"], ["pod1 route type local dst 10.1.2.2 dev eth0 table local", "pod1 link eth0"],
    ["node port cni0.10 vlan 10", "node link cni0.10"], ["nft table inet t", undefined], ["bridge exit: 0", undefined],
  ] as const) expect({ line, about: linkOf(line) }).toEqual({ line, about });
});
