/** What a monitor is told, and what not, in a namespace that nobody else changes. */
import { expect, test } from "bun:test";
import { missing, skipped } from "../../tests/conformance/node/needs.ts";
import { until } from "../../tests/conformance/node/until.ts";
import { Netns, cidrOf, parseCidr, parseIp, parseMac } from "./index.ts";
import { openMonitor, type Changed } from "./monitor.ts";
import { held, outputIn } from "./testing/room.ts";

const lacks = missing({ root: true, programs: ["ip", "nft", "nsenter"] });

interface Heard {
  here: Netns;
  /** What has been told since the last call, once it has all of these. */
  told(...wanted: Changed[]): Promise<string[]>;
  /** What had been told by the time that something else was. */
  toldBefore(): Promise<string[]>;
}

function monitorTest(title: string, act: (heard: Heard) => Promise<void>, receiveBuffer?: number): void {
  test.skipIf(lacks !== "")(skipped(title, lacks), async () => {
    const sockets = held("socket").length;
    {
      using here = Netns.create();
      let news = new Set<Changed>();
      let mark = 200;
      using _monitor = openMonitor(here, { onChange: (what) => what.forEach((one) => news.add(one)), ...(receiveBuffer && { receiveBuffer }) });
      const told = async (...wanted: Changed[]): Promise<string[]> => {
        expect({ wanted, all: await until(() => wanted.every((one) => news.has(one))), news: [...news] }).toMatchObject({ all: true });
        const all = [...news].sort();
        news = new Set();
        return all;
      };
      const toldBefore = async (): Promise<string[]> => {
        outputIn(here, "ip", "rule", "add", "table", String(mark++));
        const before = await told("rule");
        return before.filter((one) => one !== "rule");
      };
      await act({ here, told, toldBefore });
    }
    expect(await until(() => held("socket").length === sockets)).toBe(true);
  });
}

monitorTest("every kind of change by anybody is told", async ({ here, told }) => {
  here.links.add({ kind: "veth", name: "one", up: true, peer: { name: "two" } });
  await told("link");
  const one = here.links.get("one");
  here.links.set(here.links.get("two"), { up: true });
  here.addrs.add(one, { address: cidrOf(parseIp("192.0.2.1"), 24) });
  expect(await told("address", "route")).toEqual(expect.arrayContaining(["address", "route"]));
  here.routes.add({ dst: parseCidr("10.0.0.0/24"), via: parseIp("192.0.2.7") });
  await told("route");
  outputIn(here, "ip", "route", "del", "10.0.0.0/24");
  await told("route");
  here.neighbours.ensure(one, { ip: parseIp("192.0.2.7"), mac: parseMac("02:00:00:00:00:07") });
  await told("neighbour");
  outputIn(here, "ip", "neigh", "del", "192.0.2.7", "dev", "one");
  await told("neighbour");
  outputIn(here, "ip", "-6", "rule", "add", "from", "fd00::/8", "table", "100");
  await told("rule");
  outputIn(here, "nft", "add table inet x; add chain inet x y; add chain inet x z");
  await told("nftables");
});

monitorTest("what neighbours do by themselves is no news", async ({ here, told, toldBefore }) => {
  here.links.add({ kind: "veth", name: "one", up: true, peer: { name: "two" } });
  await told("link");
  await toldBefore();
  outputIn(here, "ip", "neigh", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "one", "nud", "stale");
  outputIn(here, "ip", "neigh", "change", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "one", "nud", "reachable");
  expect(await toldBefore()).not.toContain("neighbour");
});

monitorTest("where there was more than the kernel could keep, that is told, and listening goes on", async ({ here, told }) => {
  const lo = here.links.get("lo");
  here.links.set(lo, { up: true });
  for (let at = 1; at < 250; at++) here.addrs.add(lo, { address: cidrOf(parseIp(`10.1.1.${at}`)) });
  expect(await told("lost")).toContain("lost");
  here.addrs.add(lo, { address: cidrOf(parseIp("10.1.2.1")) });
  await told("address");
}, 4096);
