/** Namespaces: which there are, which are none, and that nobody is left inside one. */
import { expect } from "bun:test";
import { readlinkSync, rmSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Netns } from "./index.ts";
import { errnoOf, held, kernelTest, outputIn } from "./testing/room.ts";

kernelTest("work inside a namespace sees its devices, and the thread is back outside afterwards, also after an error", (here) => {
  const outside = readlinkSync("/proc/thread-self/ns/net");
  expect(here.inside(() => readlinkSync("/proc/thread-self/ns/net"))).not.toBe(outside);
  expect(() => here.inside(() => { throw new RangeError("in the middle"); })).toThrow("in the middle");
  expect(readlinkSync("/proc/thread-self/ns/net")).toBe(outside);
});

kernelTest("work that waits is refused: whatever runs meanwhile would be inside, too", (here) => {
  expect(() => here.inside(() => Promise.resolve())).toThrow("Cannot wait inside a namespace");
});

kernelTest("two ways to one namespace are the same, two namespaces are not", (here, there) => {
  using again = Netns.open(`/proc/self/fd/${here.fd}`);
  expect([again.sameAs(here), here.sameAs(again), here.sameAs(there)]).toEqual([true, true, false]);
  expect(again.identity()).toBe(here.identity());
  using host = Netns.host();
  expect(host.sameAs(here)).toBe(false);
});

kernelTest("what is no namespace is said to be none, and what may be gone is undefined", () => {
  const folder = mkdtempSync(join(tmpdir(), "netns-"));
  try {
    const plain = join(folder, "plain");
    writeFileSync(plain, "");
    Bun.spawnSync(["mkfifo", join(folder, "fifo")]);
    expect(() => Netns.open(plain)).toThrow(/EINVAL, it is on a file system of magic 0x[0-9a-f]+, a network namespace is wanted/);
    expect(() => Netns.open(join(folder, "fifo"))).toThrow("EINVAL");
    expect(errnoOf(() => Netns.open(join(folder, "nothing")))).toBe("ENOENT");
    expect(errnoOf(() => Netns.open(join(plain, "below")))).toBe("ENOTDIR");
    expect([plain, join(folder, "nothing"), join(plain, "below"), join(folder, "fifo")].map(Netns.find)).toEqual([undefined, undefined, undefined, undefined]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

kernelTest("a namespace that nobody holds any more is gone", (here, there) => {
  here.links.add({ kind: "veth", name: "v", peer: { name: "v", netnsFd: there.fd } });
  {
    using short = Netns.create();
    here.links.add({ kind: "veth", name: "w", peer: { name: "w", netnsFd: short.fd } });
    expect(outputIn(short, "ls", "/proc/self/ns")).toContain("net");
  }
  const deadline = Date.now() + 40_000; // the kernel clears it away in its own time
  while (here.links.find("w") && Date.now() < deadline) outputIn(here, "true");
  expect(here.links.find("w")).toBeUndefined();
  expect(here.links.find("v")).toBeDefined();
});

kernelTest("a thousand openings leave no descriptor open", (here) => {
  const before = held("socket");
  for (let times = 0; times < 1000; times++) {
    using again = Netns.open(`/proc/self/fd/${here.fd}`);
    again.links.get("lo");
  }
  expect(held("socket")).toEqual(before);
});

kernelTest("kernel parameters are of the namespace, written where they differ, and those that are missing are told from the rest", (here, there) => {
  expect(here.sysctl.set("net/ipv4/ip_forward", 1)).toBe(true);
  expect(here.sysctl.set("net/ipv4/ip_forward", 1)).toBe(false);
  expect([here.sysctl.find("net/ipv4/ip_forward"), there.sysctl.find("net/ipv4/ip_forward")]).toEqual(["1", "0"]);
  expect(here.sysctl.find("net/ipv4/nothing")).toBeUndefined();
  expect(here.sysctl.setIfThere("net/ipv4/conf/nobody/rp_filter", 1)).toBeUndefined();
  expect(errnoOf(() => here.sysctl.set("net/ipv4/conf/nobody/rp_filter", 1))).toBe("ENOENT");
  expect(here.sysctl.list("net/ipv4/conf").sort()).toEqual(["all", "default", "lo"]);
  expect(() => here.sysctl.find("net/../../etc/passwd")).toThrow(RangeError);
});
