/** Qdiscs and filters on a real kernel, and what `tc -j` says of them. */
import { expect } from "bun:test";
import { CLSACT, TICK_NS, keysFor, parseCidr, readText, type Link, type Netns, type U32Filter } from "./index.ts";
import { errnoOf, kernelTest, outputIn } from "./testing/room.ts";

const tc = (netns: Netns, ...argv: string[]) => JSON.parse(outputIn(netns, "tc", "-j", "-d", ...argv) || "[]");
const kindsOf = (netns: Netns): unknown[] => tc(netns, "qdisc", "show").map(({ kind, dev }: { kind: string; dev: string }) => `${dev} ${kind}`);

function ifb(netns: Netns, name: string): Link {
  netns.links.add({ kind: "ifb", name, txQueueLength: 0, up: true });
  return netns.links.get(name);
}
const everything: U32Filter = { kind: "u32", parent: "ffff:", priority: 1, protocol: "all", keys: [], actions: [] };

kernelTest("a tick is as long as the kernel says", (here) => {
  const [, tick] = here.inside(() => readText("/proc/thread-self/net/psched")).split(" ");
  expect(Number.parseInt(tick ?? "", 16)).toBe(TICK_NS);
});

kernelTest("a tbf has the numbers that were asked for, in tc's words and in ours, and is there once", (here) => {
  const link = ifb(here, "ifb0");
  expect(here.qdiscs.find(link, "root")?.kind).not.toBe("tbf");
  const tbf = { rate: 1_000_000, limit: 125_000 };
  here.qdiscs.add(link, { kind: "tbf", handle: "1:", ...tbf, bucket: { ticks: 1_562_500 } });
  expect(tc(here, "qdisc", "show", "dev", "ifb0")).toMatchObject([{ kind: "tbf", handle: "1:", root: true, options: { rate: 1_000_000, burst: "100000b/1", lat: 25_000 } }]);
  const told = { kind: "tbf", handle: "1:", parent: "root", link: link.index, tbf: { ...tbf, buffer: 1_562_500 } };
  expect(here.qdiscs.find(link, "root")).toEqual(told);
  expect(here.qdiscs.list(link)).toEqual([told]);
  expect(() => here.qdiscs.add(link, { kind: "tbf", ...tbf, bucket: { ticks: 1 } })).toThrow(/^Cannot add tbf to "ifb0": EEXIST, .*kernel: "/);
  here.qdiscs.ensure(link, { kind: "tbf", handle: "1:", ...tbf, bucket: { bytes: 50_000 } });
  expect(here.qdiscs.find(link, "root")?.tbf).toEqual({ ...tbf, buffer: 781_250 });
  expect([here.qdiscs.delete(link, "root"), here.qdiscs.delete(link, "root")]).toEqual([true, false]);
  expect(here.qdiscs.find(link, "root")?.kind).not.toBe("tbf");
});

kernelTest("a rate beyond 32 bits is told and kept, and a bucket of 512 MiB at a low rate, which ticks cannot count, is one", (here) => {
  const [fast, slow] = [ifb(here, "fast"), ifb(here, "slow")];
  here.qdiscs.add(fast, { kind: "tbf", rate: 50_000_000_000, limit: 2 ** 32 - 1, bucket: { ticks: 312 } });
  expect(here.qdiscs.find(fast, "root")?.tbf).toEqual({ rate: 50_000_000_000, limit: 2 ** 32 - 1, buffer: 312 });
  expect(tc(here, "qdisc", "show", "dev", "fast")).toMatchObject([{ options: { rate: 50_000_000_000 } }]);
  here.qdiscs.add(slow, { kind: "tbf", rate: 125_000, limit: 100_000, bucket: { bytes: 2 ** 29 } });
  const ticks = Math.floor((2 ** 29 / 125_000) * (1e9 / TICK_NS));
  expect(here.qdiscs.find(slow, "root")?.tbf?.buffer).toBeCloseTo(ticks % 2 ** 32, -4);
});

kernelTest("ingress and clsact take the same place; what is there is found, and goes with its filters", (here) => {
  const link = ifb(here, "ifb0");
  expect(here.qdiscs.find(link, "ingress")).toBeUndefined();
  for (const kind of ["ingress", "clsact"] as const) {
    here.qdiscs.add(link, { kind });
    expect(kindsOf(here)).toContain(`ifb0 ${kind}`);
    expect(here.qdiscs.find(link, "ingress")).toMatchObject({ kind, handle: "ffff:", parent: "ingress", tbf: undefined });
    here.filters.add(link, { ...everything, parent: kind === "clsact" ? CLSACT.egress : "ffff:" });
    for (const other of ["ingress", "clsact"] as const) expect(errnoOf(() => here.qdiscs.add(link, { kind: other }))).toBe("EEXIST");
    expect([here.qdiscs.delete(link, "ingress"), here.qdiscs.delete(link, "ingress")]).toEqual([true, false]);
    expect(here.filters.list(link, "ffff:")).toEqual([]);
    expect(here.qdiscs.find(link, "ingress")).toBeUndefined();
  }
});

kernelTest("filters are told in the order in which they are asked, with their keys and where they send packets to", (here) => {
  const [link, other] = [ifb(here, "ifb0"), ifb(here, "ifb1")];
  here.qdiscs.add(link, { kind: "clsact" });
  const parent = CLSACT.ingress;
  const redirect = { what: "redirect", to: "egress", link: other.index } as const;
  const wanted = [
    { ...everything, parent, protocol: "ip", keys: keysFor("destination", parseCidr("10.1.2.3/12")) },
    { ...everything, parent, priority: 2, protocol: "ipv6", keys: keysFor("source", parseCidr("2001:db8:10::/44")), actions: [{ what: "mirror", to: "ingress", link: other.index }] },
    { ...everything, parent, priority: 3, flowid: "1:1", actions: [redirect] },
  ] as const satisfies U32Filter[];
  for (const filter of wanted.toReversed()) here.filters.add(link, filter);
  const filters: { options?: { match?: object } }[] = tc(here, "filter", "show", "dev", "ifb0", "ingress");
  expect(filters.filter(({ options }) => options?.match)).toMatchObject([
    { protocol: "ip", pref: 1, options: { match: { value: "a000000", mask: "fff00000", off: 16 } } },
    { protocol: "ipv6", pref: 2, options: { match: { value: "100000", mask: "fff00000", off: 12 }, actions: [{ kind: "mirred", mirred_action: "mirror", direction: "ingress", to_dev: "ifb1", control_action: { type: "pipe" } }] } },
    { protocol: "all", pref: 3, options: { flowid: "1:1", match: { value: "0", mask: "0", off: 0 }, actions: [{ kind: "mirred", mirred_action: "redirect", direction: "egress", to_dev: "ifb1", control_action: { type: "stolen" } }] } },
  ]);
  const told = here.filters.list(link, parent);
  expect(told.map(({ kind, priority, protocol }) => [kind, priority, protocol])).toEqual([["u32", 1, 0x0800], ["u32", 2, 0x86dd], ["u32", 3, 3]]);
  expect(told.map(({ u32 }) => [u32?.keys, u32?.actions])).toEqual(wanted.map(({ keys, actions }) => [[...keys], [...actions]]));
  expect(here.filters.list(link, CLSACT.egress)).toEqual([]);
  here.links.delete("ifb1");
  expect(here.filters.list(link, parent)[2]?.u32?.actions).toEqual([{ ...redirect, link: 0 }]);
  expect([here.filters.delete(link, { parent, priority: 3 }), here.filters.delete(link, { parent, priority: 3 })]).toEqual([true, false]);
  expect(here.filters.list(link, parent).map(({ priority }) => priority)).toEqual([1, 2]);
});

kernelTest("what has been redirected comes back behind its filter, and what a filter lets go on is not touched", (here, there) => {
  here.links.add({ kind: "veth", name: "near", peer: { name: "far", netnsFd: there.fd } });
  const [near, far] = [here.links.get("near"), there.links.get("far")];
  for (const [netns, link, end] of [[here, near, 1], [there, far, 2]] as const) {
    netns.links.set(link, { up: true });
    for (const net of [0, 5]) netns.addrs.add(link, { address: parseCidr(`10.0.${net}.${end}/24`) });
  }
  here.qdiscs.add(near, { kind: "clsact" });
  for (const [parent, end] of [[CLSACT.ingress, "destination"], [CLSACT.egress, "source"]] as const) {
    const bucket = ifb(here, `to-${end}`.slice(0, 15));
    here.qdiscs.add(bucket, { kind: "tbf", rate: 1_000_000, limit: 100_000, bucket: { bytes: 100_000 } });
    here.filters.add(near, { ...everything, parent, protocol: "ip", keys: keysFor(end, parseCidr("10.0.5.0/24")) });
    here.filters.add(near, { ...everything, parent, priority: 2, actions: [{ what: "redirect", to: "egress", link: bucket.index }] });
  }
  const sent = (): number[] => JSON.parse(outputIn(here, "tc", "-j", "-s", "qdisc", "show")).filter(({ kind }: { kind: string }) => kind === "tbf").map(({ packets }: { packets: number }) => packets);
  const pings = (ip: string): number => outputIn(here, "ping", "-c1", "-W2", ip).length;
  expect(pings("10.0.0.2")).toBeGreaterThan(0); // with ARP, which is shaped, too
  const before = sent();
  expect(before.every((packets) => packets > 0)).toBe(true);
  expect(pings("10.0.0.2")).toBeGreaterThan(0);
  const after = sent();
  expect(after.every((packets, at) => packets > (before[at] ?? 0))).toBe(true);
});

kernelTest("a handle that is none is refused, and a link that is gone is the kernel's error", (here) => {
  const link = ifb(here, "ifb0");
  for (const parent of ["1", "x:1", "12345:", "1:23456"]) expect(() => here.filters.list(link, parent)).toThrow(RangeError);
  here.links.delete("ifb0");
  expect(errnoOf(() => here.qdiscs.add(link, { kind: "ingress" }))).toBe("ENODEV");
});
