/** A rehearsal tells as if, and the kernel has no news of it. */
import { expect } from "bun:test";
import { Netns, cidrOf, parseCidr, parseIp, words } from "./index.ts";
import { rehearsing } from "./rehearsal.ts";
import { errnoOf, kernelTest, outputIn } from "./testing/room.ts";

kernelTest("what is made in a rehearsal is there for who asks for it by name, and not in the kernel", (here) => {
  here.inside(() => {
    using rehearsal = Netns.host({ through: rehearsing });
    rehearsal.links.add({ kind: "veth", name: "one", peer: { name: "two" } });
    const one = rehearsal.links.get("one");
    expect([one.name, rehearsal.links.list().map(({ name }) => name).sort()]).toEqual(["one", ["lo", "one"]]);
    rehearsal.links.set(one, { up: true, mtu: 1400 });
    rehearsal.addrs.add(one, { address: cidrOf(parseIp("192.0.2.1"), 24) });
    expect(rehearsal.addrs.list({ link: one })).toEqual([]);
    rehearsal.routes.add({ dst: parseCidr("10.0.0.0/24"), via: parseIp("192.0.2.7"), link: one.index });
    expect(rehearsal.sysctl.set("net/ipv4/ip_forward", 1)).toBe(true);
    rehearsal.nft.transaction((change) => {
      const table = { family: "inet", name: "x" } as const;
      change.ensureTable(table);
      change.ensureChain({ table, name: "y" });
      change.addRule({ chain: { table, name: "y" }, words: [words.counter] });
    });
    expect([rehearsal.links.delete("one"), rehearsal.links.delete("one"), rehearsal.links.find("one")]).toEqual([true, false, undefined]);
    expect(errnoOf(() => rehearsal.links.get("one"))).toBe("ENODEV");
  });
  expect(outputIn(here, "ip", "-o", "link").split("\n")).toHaveLength(2);
  expect([outputIn(here, "nft", "list", "ruleset"), outputIn(here, "cat", "/proc/sys/net/ipv4/ip_forward"), outputIn(here, "ip", "route")]).toEqual(["", "0\n", ""]);
});

kernelTest("what there is is there, and would be deleted", (here) => {
  here.links.add({ kind: "veth", name: "one", up: true, peer: { name: "two" } });
  here.inside(() => {
    using rehearsal = Netns.host({ through: rehearsing });
    expect([rehearsal.links.get("one").kind, rehearsal.links.delete("one")]).toEqual(["veth", true]);
  });
  expect(here.links.get("one").kind).toBe("veth");
});
