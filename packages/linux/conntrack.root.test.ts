/** Flows on a real kernel: made by packets and by conntrack(8), picked, told one by one, and forgotten one by one. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { textOf } from "./conntrack.ts";
import { openSocket, parseCidr, parseIp, words, type Flow, type FlowFilter, type Netns } from "./index.ts";
import { kernelTest, layCable, outputIn } from "./testing/room.ts";

/** Flows that conntrack(8) makes: what is different in each. */
const made = [
  "-p udp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -t 100 --dst-nat 10.1.2.5:80",
  "-p udp -s 192.0.2.8 -d 192.0.2.1 --sport 40000 --dport 8080 -t 100",
  "-p tcp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -t 100 --state ESTABLISHED -u ASSURED,SEEN_REPLY -m 8192",
  "-p udp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -t 100 -w 9",
  "-p udp -s fd00::9 -d fd00::1 --sport 40000 --dport 8080 -t 100",
  "-p sctp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -t 100 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
  "-p icmp -s 192.0.2.9 -d 192.0.2.1 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 100",
  "-p icmpv6 -s fd00::9 -d fd00::1 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 78 -t 100",
];

function flowTest(title: string, act: (here: Netns) => void): void {
  kernelTest(title, (here) => {
    load(here, made);
    act(here);
  }, { programs: ["conntrack"] });
}

/** Has conntrack(8) make flows, all in one go. */
function load(here: Netns, flows: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "vethwork-flows-"));
  try {
    writeFileSync(join(folder, "flows"), flows.map((options) => `-I ${options}\n`).join(""));
    outputIn(here, "conntrack", "-R", join(folder, "flows"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const told = (flows: readonly Flow[]): string[] => flows.map(({ original, zone }) => `${textOf(original)}${zone === 0 ? "" : ` in zone ${zone}`}`).toSorted();
const listed = (here: Netns, filter?: FlowFilter): string[] => told(here.conntrack.list(filter));
const to8080 = "192.0.2.9:40000 → 192.0.2.1:8080";

flowTest("a filter picks by family, tuples, mark, zone and translation; without one all are told", (here) => {
  expect(listed(here)).toEqual([
    "icmp 192.0.2.9 → 192.0.2.1", "icmpv6 fd00::9 → fd00::1", `sctp ${to8080}`, `tcp ${to8080}`,
    "udp 192.0.2.8:40000 → 192.0.2.1:8080", `udp ${to8080}`, `udp ${to8080} in zone 9`, "udp [fd00::9]:40000 → [fd00::1]:8080",
  ]);
  const rows: readonly (readonly [FlowFilter, readonly string[]])[] = [
    [{ family: 6 }, ["icmpv6 fd00::9 → fd00::1", "udp [fd00::9]:40000 → [fd00::1]:8080"]],
    [{ family: 4, original: { protocol: 17, destinationPort: 8080 }, zone: 0 }, ["udp 192.0.2.8:40000 → 192.0.2.1:8080", `udp ${to8080}`]],
    [{ original: { source: parseIp("192.0.2.8") } }, ["udp 192.0.2.8:40000 → 192.0.2.1:8080"]],
    [{ original: { source: parseIp("fd00::9") } }, ["icmpv6 fd00::9 → fd00::1", "udp [fd00::9]:40000 → [fd00::1]:8080"]], [{ original: { source: parseIp("fd00::8") } }, []],
    [{ reply: { source: parseIp("10.1.2.5"), protocol: 17, sourcePort: 80 } }, [`udp ${to8080}`]],
    [{ destinationNat: true }, [`udp ${to8080}`]],
    [{ family: 4, destinationNat: false, original: { protocol: 17 } }, ["udp 192.0.2.8:40000 → 192.0.2.1:8080", `udp ${to8080} in zone 9`]],
    [{ mark: { value: 0x2000 } }, [`tcp ${to8080}`]], [{ mark: { value: 0, mask: 0x2000 }, original: { protocol: 6 } }, []],
    [{ zone: 9 }, [`udp ${to8080} in zone 9`]],
    [{ original: { icmp: { type: 8, code: 0, id: 77 } } }, ["icmp 192.0.2.9 → 192.0.2.1"]],
    [{ original: { destinationPort: 9 } }, []],
  ];
  for (const [filter, wanted] of rows) expect({ filter, flows: listed(here, filter) }).toEqual({ filter, flows: [...wanted] });
});

flowTest("a flow has its state, and is found by its tuple and zone", (here) => {
  const [tcp] = here.conntrack.list({ family: 4, original: { protocol: 6 } });
  expect(tcp).toMatchObject({ replied: true, assured: true, sourceNat: false, destinationNat: false, mark: 0x2000, zone: 0 });
  expect(tcp?.timeoutSeconds).toBeWithin(1, 101);
  expect(tcp && here.conntrack.find(tcp.original)?.id).toBe(tcp?.id);
  const [zoned] = here.conntrack.list({ zone: 9 });
  expect(zoned && [here.conntrack.find(zoned.original)?.zone, here.conntrack.find(zoned.original, 9)?.zone, here.conntrack.find(zoned.original, 8)]).toEqual([0, 9, undefined]);
});

flowTest("exactly one is forgotten, and no other of its tuple: by its zone and its number", (here) => {
  const before = listed(here);
  const [zoned] = here.conntrack.list({ zone: 9 });
  if (!zoned) throw new TypeError("the flow in zone 9 is not told");
  expect(here.conntrack.delete({ ...zoned, id: (zoned.id + 1) % 2 ** 32 })).toBe(false);
  expect(listed(here)).toEqual(before);
  expect([here.conntrack.delete(zoned), here.conntrack.delete(zoned)]).toEqual([true, false]);
  expect(listed(here)).toEqual(before.filter((flow) => !flow.endsWith("zone 9")));
  for (const flow of here.conntrack.list({})) expect({ flow: told([flow]), deleted: here.conntrack.delete(flow) }).toEqual({ flow: told([flow]), deleted: true });
  expect(listed(here)).toEqual([]);
});

flowTest("those that are stale are forgotten, of those that the filter lets pass", (here) => {
  const filter: FlowFilter = { family: 4, original: { protocol: 17, destinationPort: 8080 } };
  expect(here.conntrack.deleteWhere(filter, ({ zone }) => zone === 0)).toBe(2);
  expect(listed(here, filter)).toEqual([`udp ${to8080} in zone 9`]);
  expect(listed(here)).toHaveLength(made.length - 2);
});

kernelTest("a packet that is translated leaves a flow that tells where it went", (here, there) => {
  layCable(here, there, [["10.0.0.1/24", "10.0.0.2/24"]]);
  here.routes.add({ dst: parseCidr("0.0.0.0/0"), via: parseIp("10.0.0.2") });
  here.nft.transaction((change) => {
    const table = { family: "inet", name: "t" } as const;
    const chain = { table, name: "out", base: { type: "nat", hook: "output", priority: -100 } } as const;
    change.ensureTable(table);
    change.ensureChain(chain);
    change.addRule({ chain, words: [words.udp.dport.eq(53), words.dnat({ ip: parseIp("10.0.0.2"), port: 5300 })] });
  });
  using client = openSocket(here, { kind: "udp", family: 4 });
  client.connect({ ip: parseIp("198.51.100.7"), port: 53 });
  client.send(Uint8Array.of(1));
  const [flow] = here.conntrack.list({ family: 4, destinationNat: true });
  expect(flow?.original).toMatchObject({ protocol: 17, destinationPort: 53 });
  expect([String(flow?.original.destination), String(flow?.reply.source), flow?.reply.sourcePort]).toEqual(["198.51.100.7", "10.0.0.2", 5300]);
});

const MANY = 100_000;

kernelTest("of a hundred thousand flows each is told once and none is kept, and one among them is picked by the kernel", (here) => {
  load(here, Array.from({ length: MANY }, (_, at) =>
    `-p udp -s 10.${at >> 16}.${(at >> 8) & 255}.${at & 255} -d 192.0.2.1 --sport 1000 --dport ${at === 4711 ? 8080 : 53} -t 600`));
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  let count = 0;
  here.conntrack.each({}, () => void count++);
  expect(count).toBe(MANY);
  expect(process.memoryUsage.rss() - before).toBeLessThan(40 * 1024 * 1024); // as a list they are some 150 MiB
  expect(listed(here, { family: 4, original: { protocol: 17, destinationPort: 8080 } })).toEqual(["udp 10.0.18.103:1000 → 192.0.2.1:8080"]);
}, { programs: ["conntrack"] });
