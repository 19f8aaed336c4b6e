/**
 * npm run bench:services: what Services cost, by how many there are.
 *
 *   bun bench/services.ts [--services 1,1000,10000,30000] [--rounds N] [--json] [--strict]
 *
 * Each size is a process of its own, in which nothing is compiled, as in the built agent; with a client, a node and a server that are
 * namespaces of it. Of so many Services of two endpoints each, told are: from nothing until the kernel has all, an agent that starts
 * again, one Service more, one endpoint less, a pass with nothing to do, resident memory, and how long a flow's first packet to a
 * Service takes to an endpoint. Times are of this machine.
 */
import { parseArgs } from "node:util";
import { openSocket, parseCidr, parseIp, type IpSocket } from "@vethwork/linux";
import type { ClusterService, ClusterSlice } from "@vethwork/agent/cluster.ts";
import { forget } from "@vethwork/agent/services/flows.ts";
import { createKeeper } from "@vethwork/agent/services/keeper.ts";
import { createPlanner } from "@vethwork/agent/services/planner.ts";
import { createStar } from "@vethwork/agent/services/testing/star.ts";
import { addressOf, surroundings } from "@vethwork/agent/services/testing/world.ts";
import { quantile } from "./figures.ts";

/** As in the built agent: compiled code is memory (scripts/build.ts). */
const NO_JIT = 100_000_000;
const MEASURES = ["cold start", "starts again", "one service more", "one endpoint less", "nothing to do", "first packet, p50", "first packet, p99", "resident memory"] as const;
type Measure = (typeof MEASURES)[number];
type Sample = Record<Measure, number>;

/** Goals: milliseconds, MiB, at a size. */
const GOALS: readonly { measure: Measure; services: number; most: number }[] = [
  { measure: "cold start", services: 10_000, most: 5000 },
  { measure: "resident memory", services: 10_000, most: 128 },
  ...[1, 1000, 10_000, 30_000].flatMap((services) => (["one service more", "one endpoint less"] as const).map((measure) => ({ measure, services, most: 10 }))),
];
/** The first packet at 30,000 by that at 1,000. */
const FLAT = 1.1;
/** Changes of each kind, of which the median counts. */
const CHANGES = 11;
const PACKETS = 5000;
const SERVER_PORT = 5354;

const ipAt = (at: number) => parseIp(`10.96.${at >> 8}.${at & 255}`);

/** The first one is of UDP, and is answered; the others are as most are. */
const portOf = (at: number) => (at === 1 ? ({ name: "dns", protocol: "udp", port: 53 } as const) : ({ name: "http", protocol: "tcp", port: 80 } as const));

const serviceAt = (at: number): ClusterService => ({
  namespace: "default", name: `service-${at}`, clusterIps: [ipAt(at)], ports: [{ ...portOf(at), nodePort: 0 }],
  externalIps: [], loadBalancerIps: [], sourceRanges: [], affinitySeconds: 0, isInternalLocal: false, isExternalLocal: false, healthCheckPort: 0,
});

const sliceAt = (at: number, endpoints = 2): ClusterSlice => ({
  namespace: "default", name: `service-${at}-a`, service: `service-${at}`, family: 4, ports: [{ ...portOf(at), port: at === 1 ? SERVER_PORT : 8080 }],
  endpoints: Array.from({ length: endpoints }, (_, number) => ({
    ip: at === 1 ? addressOf(number === 0 ? "web-2" : "web-3", 4) : parseIp(`10.${128 + (at >> 12)}.${(at >> 4) & 255}.${((at & 15) << 4) + number + 1}`),
    node: `node-${at % 100}`, pod: `service-${at}-7d9c5b6f4-abcd${number}`, isReady: true, isServing: true, isTerminating: false,
  })),
});

const id = (at: number): string => `default/service-${at}`;
const facts = (at: number, endpoints?: number) => ({ service: serviceAt(at), slices: [sliceAt(at, endpoints)] });

function sample(count: number): Sample {
  using star = createStar();
  const { nft } = star.node;
  const planner = createPlanner();
  planner.place({ ...surroundings, serviceSubnets: [parseCidr("10.96.0.0/12")] });
  const keeper = createKeeper(nft, planner);
  const timed = (work: () => number, expected: (written: number) => boolean): number => {
    const begun = performance.now();
    const written = work();
    const ms = performance.now() - begun;
    if (!expected(written)) throw new RangeError(`Cannot measure: ${written} were written`);
    return ms;
  };
  const pass = (): number => {
    const keys = planner.take();
    const written = keeper.settle(keys);
    forget(star.node, planner, keys.frontends);
    return written;
  };
  const few = (written: number): boolean => written > 0 && written < 20;
  const cold = timed(() => {
    for (let at = 1; at <= count; at++) planner.put(id(at), facts(at));
    return pass();
  }, (written) => written >= count * 3);
  const again = timed(() => createKeeper(nft, planner).settle(planner.all()), (written) => written === 0);
  const [more, less]: [number[], number[]] = [[], []];
  for (let at = count + 1; at <= count + CHANGES; at++) {
    more.push(timed(() => (planner.put(id(at), facts(at)), pass()), few));
    less.push(timed(() => (planner.put(id(at), facts(at, 1)), pass()), few));
  }
  const nothing = timed(pass, (written) => written === 0);
  const latencies = firstPackets(star);
  Bun.gc(true);
  return {
    "cold start": cold, "starts again": again, "one service more": quantile(more, 0.5), "one endpoint less": quantile(less, 0.5), "nothing to do": nothing,
    "first packet, p50": quantile(latencies, 0.5), "first packet, p99": quantile(latencies, 0.99), "resident memory": process.memoryUsage.rss() / 2 ** 20,
  };
}

/** Microseconds from sending a flow's first packet until an endpoint has it. */
function firstPackets(star: ReturnType<typeof createStar>): number[] {
  const servers = (["web-2", "web-3"] as const).map((who) => {
    const server = openSocket(star.netnsOf(who), { kind: "udp", family: 4 });
    server.bind(addressOf(who, 4), SERVER_PORT);
    return server;
  });
  const times: number[] = [];
  for (let round = 0; round < PACKETS; round++) {
    using client = openSocket(star.netnsOf("client"), { kind: "udp", family: 4 });
    client.connect({ ip: ipAt(1), port: 53 });
    const begun = Bun.nanoseconds();
    client.send(new Uint8Array(1));
    let server: IpSocket | undefined;
    while (!server) server = servers.find((one) => one.wait("in", 0));
    times.push((Bun.nanoseconds() - begun) / 1000);
    server.receive();
  }
  for (const server of servers) server[Symbol.dispose]();
  return times;
}

interface Row {
  services: number;
  measure: Measure;
  value: number;
  unit: "ms" | "µs" | "MiB";
  most?: number;
}

const unitOf = (measure: Measure): Row["unit"] => (measure === "resident memory" ? "MiB" : measure.startsWith("first packet") ? "µs" : "ms");
const isMeasure = (text: string): text is Measure => MEASURES.some((one) => one === text);

function rowsOf(services: number, samples: readonly Sample[]): Row[] {
  return MEASURES.map((measure) => {
    const most = GOALS.find((goal) => goal.measure === measure && goal.services === services)?.most;
    return { services, measure, value: quantile(samples.map((one) => one[measure]), 0.5), unit: unitOf(measure), ...(most !== undefined && { most }) };
  });
}

/** In a process of its own: what was there before is not in its memory. */
function sampleOf(services: number): Sample {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, import.meta.path, "--one", String(services)]);
  if (exitCode !== 0) throw new RangeError(`Cannot measure ${services} services: ${stderr.toString().trim()}`);
  const told: unknown = JSON.parse(stdout.toString());
  const entries = typeof told === "object" && told !== null ? Object.entries(told) : [];
  const found = new Map(entries.flatMap(([name, value]): [Measure, number][] => (isMeasure(name) && typeof value === "number" ? [[name, value]] : [])));
  const of = (measure: Measure): number => found.get(measure) ?? NaN;
  return {
    "cold start": of("cold start"), "starts again": of("starts again"), "one service more": of("one service more"), "one endpoint less": of("one endpoint less"), "nothing to do": of("nothing to do"),
    "first packet, p50": of("first packet, p50"), "first packet, p99": of("first packet, p99"), "resident memory": of("resident memory"),
  };
}

const { values } = parseArgs({
  options: { services: { type: "string", default: "1,1000,10000,30000" }, rounds: { type: "string", default: "3" }, one: { type: "string" }, json: { type: "boolean" }, strict: { type: "boolean" } },
});
const [counts, rounds] = [(values.one ?? values.services).split(",").map(Number), Number(values.rounds)];
if (process.getuid?.() !== 0 || ![...counts, rounds].every((number) => Number.isInteger(number) && number > 0) || Math.max(...counts) > 60_000) {
  process.stderr.write("bench: root is wanted, whole numbers of --services up to 60000, and of --rounds\n");
  process.exit(2);
}
if (values.one !== undefined) {
  Bun.unsafe.setJITPolicy(NO_JIT);
  process.stdout.write(JSON.stringify(sample(counts[0] ?? 1)));
} else {
  // In turns, since what drifts during the run drifts for all sizes.
  const samples = Array.from({ length: rounds }, () => counts.map((services) => ({ services, sample: sampleOf(services) }))).flat();
  const rows = counts.flatMap((services) => rowsOf(services, samples.filter((one) => one.services === services).map((one) => one.sample)));
  const p50 = (services: number): number => rows.find((row) => row.services === services && row.measure === "first packet, p50")?.value ?? NaN;
  const flat = p50(30_000) / p50(1000);
  if (values.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else for (const { services, measure, value, unit, most } of rows) process.stdout.write(`${String(services).padStart(6)} services  ${measure.padEnd(18)} ${value.toFixed(value < 100 ? 1 : 0).padStart(8)} ${unit}${most === undefined ? "" : `   at most ${most}${value > most ? ", and it is more" : ""}`}\n`);
  if (!values.json && !Number.isNaN(flat)) process.stdout.write(`first packet at 30000 services by that at 1000: ${flat.toFixed(2)} (at most ${FLAT})\n`);
  if (values.strict && (flat > FLAT || rows.some(({ value, most }) => most !== undefined && value > most))) process.exitCode = 1;
}
