/**
 * The life of a lease with a clock and a wire of the test's own: hours pass in no time, and each server does what the row says.
 * What of it the kernel adds to is tested with real servers, in dhcp.root.test.ts.
 */
import { expect, test } from "bun:test";
import { KernelError, cidrOf, ipFrom, parseCidr, parseIp, parseMac, type Ip, type Mac } from "@vethwork/linux";
import type { Clock } from "../shared/clock.ts";
import { Gone, type Asker, type Line } from "./exchange.ts";
import { keep, obtain } from "./life.ts";
import { FOREVER, timesOf, type Lease } from "./lease.ts";
import { decodeMessage, encodeMessage, type Message, type Options } from "./message.ts";
import { toEverybody, type Destination } from "./requests.ts";
import { OPTION, TYPE, entry, valueOf } from "./values.ts";

/** Time that passes when the test says so. All that is due is done in order, and what follows from it, too. */
class FakeClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Set<{ at: number; act: () => void }>();
  now = (): number => this.#now;
  after = (ms: number, act: () => void): Disposable => {
    const timer = { at: this.#now + ms, act };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  };
  async pass(ms: number): Promise<void> {
    for (const end = this.#now + ms; ; ) {
      await settled();
      const next = [...this.#timers].toSorted((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) {
        this.#now = end;
        return await settled();
      }
      this.#now = Math.max(this.#now, next.at);
      this.#timers.delete(next);
      next.act();
    }
  }
  get waiting(): number {
    return this.#timers.size;
  }
}
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

interface Sent {
  /** Seconds since the test began. */
  at: number;
  type: string;
  message: Message;
  to: string;
}
type Server = (message: Message, to: Destination) => Partial<Message>[];

const SERVER = parseIp("10.0.0.1");
const OTHER = parseIp("10.0.0.2");
const mac = parseMac("02:00:00:00:00:05");
const serverMac = parseMac("02:00:00:00:00:01");

/** A wire on which each server hears everything, and answers a millisecond later. */
function world(...servers: Server[]) {
  const clock = new FakeClock();
  const begun = clock.now();
  const sent: Sent[] = [];
  const complaints: string[] = [];
  const state: { servers: Server[]; fault?: Error | undefined; open: number } = { servers, open: 0 };
  const open = (onMessage: (message: Message, from: Mac) => void): Line => {
    if (state.fault instanceof Gone) throw state.fault;
    state.open += 1;
    return {
      send: (message, to) => {
        if (state.fault) throw state.fault;
        const type = Object.entries(TYPE).find(([, number]) => number === valueOf(message.options, OPTION.MESSAGE_TYPE))?.[0] ?? "";
        sent.push({ at: (clock.now() - begun) / 1000, type, message: decodeMessage(encodeMessage(message)), to: String(to.ip) });
        for (const answer of state.servers.flatMap((server) => server(message, to))) {
          const whole = { ...message, op: "reply" as const, options: new Map(), ...answer };
          clock.after(1, () => onMessage(decodeMessage(encodeMessage(whole)), serverMac));
        }
      },
      [Symbol.dispose]: () => void (state.open -= 1),
    };
  };
  const asker: Asker = {
    clock, open, mac, broadcast: false, timeoutMs: 10_000, resendMaxMs: 62_000, chance: () => 0.5, complain: (what) => void complaints.push(what),
    wish: { tell: { "61": "006162", "12": "776562" }, ask: [3, 1] },
  };
  return { clock, sent, complaints, state, asker, stop: new AbortController() };
}

const options = (type: number, server: Ip, ...more: [number, Uint8Array][]): Options => new Map([entry(OPTION.MESSAGE_TYPE, type), entry(OPTION.SERVER, server), ...more]);
const times = (seconds: number): [number, Uint8Array][] => [entry(OPTION.SUBNET_MASK, 24), entry(OPTION.LEASE_TIME, seconds)];

/** A server that gives everybody its one address, for so long; `says` changes its answers. */
const serverOf = (address: string, { seconds = 3600, ip = SERVER, says = (message: Message): number => ({ 1: TYPE.OFFER, 3: TYPE.ACK })[valueOf(message.options, OPTION.MESSAGE_TYPE) ?? 0] ?? 0 } = {}): Server => (message, to) => {
  const type = says(message);
  const isForOther = ![String(ip), "255.255.255.255"].includes(String(to.ip)) || ![undefined, String(ip)].includes(valueOf(message.options, OPTION.SERVER)?.toString());
  return type === 0 || isForOther ? [] : [{ yiaddr: parseIp(address), options: options(type, ip, ...(type === TYPE.NAK ? [entry(OPTION.WORDS, "not here")] : times(seconds))) }];
};
const silent: Server = () => [];

const leaseOf = (given: Partial<Lease> = {}): Lease => ({
  address: "10.0.0.5/24", server: String(SERVER), serverMac: String(serverMac), since: 1_000_000, seconds: 3600, renewAfter: 1800, rebindAfter: 3150,
  gateway: undefined, routes: [], nameservers: [], domain: "", search: [], mtu: 0, ...given,
});

/** What a promise has come to, without waiting for it. */
function outcomeOf<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const outcome: { value?: T; error?: unknown } = {};
  promise.then((value) => (outcome.value = value), (error: unknown) => (outcome.error = error));
  return outcome;
}

const told = ({ sent }: { sent: Sent[] }): string[] => sent.map(({ at, type, to }) => `${at.toFixed(1)} ${type} ${to}`);

test("two questions and two answers make a lease", async () => {
  const one = world(serverOf("10.0.0.5", { seconds: 120 }));
  const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
  await one.clock.pass(10);
  expect(outcome.value).toEqual({ lease: leaseOf({ since: 1_000_001, seconds: 120, renewAfter: 60, rebindAfter: 105 }) });
  expect(told(one)).toEqual(["0.0 DISCOVER 255.255.255.255", "0.0 REQUEST 255.255.255.255"]);
  const [discover, request] = one.sent;
  expect(discover?.message.xid).toBe(request?.message.xid ?? -1);
  expect(String(valueOf(request?.message.options ?? new Map(), OPTION.REQUESTED_ADDRESS))).toBe("10.0.0.5");
  for (const one of [discover, request]) {
    const given = one?.message.options ?? new Map();
    expect([given.get(61), valueOf(given, OPTION.HOST_NAME), valueOf(given, OPTION.ASK)]).toEqual([Uint8Array.of(0, 0x61, 0x62), "web", [3, 1]]);
  }
  expect([one.state.open, one.clock.waiting]).toEqual([0, 0]);
});

test("where nobody answers, the pauses double up to their limit, until the time is up", async () => {
  const one = world(silent);
  const outcome = outcomeOf(obtain({ ...one.asker, resendMaxMs: 8_000 }, { until: one.clock.now() + 30_000, signal: one.stop.signal }));
  await one.clock.pass(29_900);
  expect(outcome).toEqual({});
  await one.clock.pass(200);
  expect(outcome.value).toEqual({ heard: "no server answered" });
  expect(one.sent.map(({ at }) => at)).toEqual([0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 20.7, 28.7]);
  expect(one.sent.map(({ message }) => message.secs)).toEqual([0, 0, 0, 0, 1, 3, 6, 12, 20, 28]);
});

test("a server that offers and then says nothing, or no, is asked again from the beginning, ever more slowly", async () => {
  for (const refusal of [0, TYPE.NAK]) {
    let requests = 0;
    const one = world(serverOf("10.0.0.5", { says: ({ options }) => (valueOf(options, OPTION.MESSAGE_TYPE) === TYPE.DISCOVER ? TYPE.OFFER : requests++ < 40 && one.clock.now() < 1_050_000 ? refusal : TYPE.ACK) }));
    const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
    await one.clock.pass(120_000);
    expect(outcome.value).toMatchObject({ lease: { address: "10.0.0.5/24" } });
    expect(one.sent.length).toBeLessThan(40);
    expect(one.complaints[0]).toBe(refusal === 0 ? "10.0.0.1 offered 10.0.0.5 and did not answer the request for it" : '10.0.0.1 refused it: "not here"');
  }
});

test("messages of others, for others and beside the point are passed over", async () => {
  const strays = ({ xid }: Message): Partial<Message>[] => [
    { xid: (xid ^ 1) >>> 0 }, { chaddr: parseMac("02:00:00:00:00:09") }, { op: "request" }, { options: options(TYPE.ACK, OTHER, ...times(60)) }, { yiaddr: parseIp("0.0.0.0") },
    { options: new Map([entry(OPTION.MESSAGE_TYPE, TYPE.OFFER)]) }, { options: new Map([entry(OPTION.MESSAGE_TYPE, TYPE.OFFER), [54, Uint8Array.of(1)]]) },
  ];
  const stray = (message: Message): Partial<Message>[] => strays(message).map((one) => ({ yiaddr: parseIp("10.0.0.66"), options: options(TYPE.OFFER, OTHER, ...times(60)), ...one }));
  const one = world((message) => (valueOf(message.options, OPTION.MESSAGE_TYPE) === TYPE.DISCOVER ? stray(message) : []), serverOf("10.0.0.5"));
  const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
  await one.clock.pass(100);
  expect(outcome.value).toMatchObject({ lease: { address: "10.0.0.5/24", server: "10.0.0.1" } });
  expect(one.complaints).toEqual([expect.stringContaining("an answer from 02:00:00:00:00:01 does not read")]);
});

test("a lease is renewed by its server, by everybody when that is silent, and ends when all are", async () => {
  const one = world(serverOf("10.0.0.5"));
  const renewed: Lease[] = [];
  const outcome = outcomeOf(keep({ ...one.asker, chance: () => 0 }, leaseOf(), { onLease: (lease) => void renewed.push(lease), signal: one.stop.signal }));
  await one.clock.pass(1_800_100);
  expect(told(one)).toEqual(["1800.0 REQUEST 10.0.0.1"]);
  expect(renewed.map(({ since }) => since)).toEqual([2_800_000]);
  expect(String(one.sent[0]?.message.ciaddr)).toBe("10.0.0.5");
  for (const option of [OPTION.SERVER, OPTION.REQUESTED_ADDRESS]) expect(one.sent[0]?.message.options.has(option[0])).toBe(false); // RFC 2131, table 5

  one.state.servers = [serverOf("10.0.0.5", { ip: OTHER })]; // which hears the broadcast only
  one.sent.length = 0;
  await one.clock.pass(1_800_000 - 200);
  expect(one.sent).toEqual([]);
  await one.clock.pass(3_150_000 - 1_800_000 + 1_000);
  expect(renewed.map(({ server }) => server)).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(new Set(one.sent.map(({ to }) => to))).toEqual(new Set(["10.0.0.1", "255.255.255.255"]));
  expect(one.sent.length).toBeLessThan(60); // pauses are half of what is left

  one.state.servers = [silent];
  await one.clock.pass(3_598_000);
  expect(outcome).toEqual({});
  await one.clock.pass(3_000);
  expect(outcome.value).toBe("no server renewed it");
  expect([one.state.open, one.clock.waiting]).toEqual([0, 0]);
});

test("no socket is held while nothing is asked", async () => {
  const one = world(silent);
  void keep(one.asker, leaseOf(), { onLease: () => {}, signal: one.stop.signal });
  await one.clock.pass(1_000_000);
  expect(one.state.open).toBe(0);
  await one.clock.pass(711_000); // T1, less what chance makes of it
  expect(one.state.open).toBe(1);
  await one.clock.pass(20_000);
  expect(one.state.open).toBe(0);
});

test("after a no the same address is asked for; if it is given the lease goes on, if another is offered it has ended", async () => {
  const refusing = (address: string): Server => serverOf(address, { says: ({ ciaddr, options }) => (ciaddr.bytes.some(Boolean) ? TYPE.NAK : valueOf(options, OPTION.MESSAGE_TYPE) === TYPE.DISCOVER ? TYPE.OFFER : TYPE.ACK) });
  const same = world(refusing("10.0.0.5"));
  const renewed: Lease[] = [];
  const first = outcomeOf(keep(same.asker, leaseOf(), { onLease: (lease) => void renewed.push(lease), signal: same.stop.signal }));
  await same.clock.pass(1_801_000);
  expect(renewed.map(({ address }) => address)).toEqual(["10.0.0.5/24"]);
  expect(String(valueOf(same.sent.find(({ type }) => type === "DISCOVER")?.message.options ?? new Map(), OPTION.REQUESTED_ADDRESS))).toBe("10.0.0.5");
  expect(first).toEqual({});

  const other = world(refusing("10.0.9.9"));
  const second = outcomeOf(keep(other.asker, leaseOf(), { onLease: (lease) => void renewed.push(lease), signal: other.stop.signal }));
  await other.clock.pass(1_820_000);
  expect(second.value).toBe('10.0.0.1 refused it: "not here"; 10.0.0.1 offers 10.0.9.9 instead');
  expect(renewed).toHaveLength(1);
  expect(other.sent.filter(({ type, message }) => type === "REQUEST" && !message.ciaddr.bytes.some(Boolean))).toEqual([]);
});

test("a lease that ended while nobody looked after it is asked for once more, and is over where that fails", async () => {
  const old = leaseOf({ since: 0, seconds: 60, renewAfter: 30, rebindAfter: 50 });
  const again = world(serverOf("10.0.0.5"));
  const renewed: Lease[] = [];
  void keep(again.asker, old, { onLease: (lease) => void renewed.push(lease), signal: again.stop.signal });
  await again.clock.pass(100);
  expect(renewed).toHaveLength(1);
  const alone = world(silent);
  const outcome = outcomeOf(keep(alone.asker, old, { onLease: () => {}, signal: alone.stop.signal }));
  await alone.clock.pass(10_100);
  expect(outcome.value).toBe("it had ended; no server answered");
});

test("a lease for ever is never renewed, one of a second is not asked for all the time", async () => {
  const ever = world(silent);
  void keep(ever.asker, leaseOf({ seconds: FOREVER }), { onLease: () => {}, signal: ever.stop.signal });
  await ever.clock.pass(400 * 24 * 3_600_000);
  expect(ever.sent).toEqual([]);
  const brief = world(serverOf("10.0.0.5", { seconds: 1 }));
  const found = outcomeOf(obtain(brief.asker, { until: Infinity, signal: brief.stop.signal }));
  await brief.clock.pass(10);
  if (!found.value || !("lease" in found.value)) throw new TypeError("a lease is wanted");
  void keep(brief.asker, found.value.lease, { onLease: () => {}, signal: brief.stop.signal });
  await brief.clock.pass(10_000);
  expect(brief.sent.length).toBeLessThan(35);
});

test("a link that is down loses messages and no lease; a pod that is gone ends it at once", async () => {
  const one = world(serverOf("10.0.0.5"));
  const renewed: Lease[] = [];
  const outcome = outcomeOf(keep(one.asker, leaseOf(), { onLease: (lease) => void renewed.push(lease), signal: one.stop.signal }));
  one.state.fault = new KernelError("Cannot send", "ENETDOWN");
  await one.clock.pass(1_900_000);
  expect(one.complaints[0]).toBe("Cannot send: ENETDOWN");
  one.state.fault = undefined;
  await one.clock.pass(1_300_000);
  expect(renewed).toHaveLength(1);
  one.state.fault = new Gone("no such namespace");
  await one.clock.pass(1_900_000);
  expect(outcome.error).toBe(one.state.fault);
});

test("stopped while an address is being asked for, it gives that back; stopped before or after, it just ends", async () => {
  for (const [ms, types] of [[0, ["DISCOVER"]], [2, ["DISCOVER", "REQUEST", "RELEASE"]]] as const) {
    const one = world(serverOf("10.0.0.5", { says: ({ options }) => (ms > 0 && valueOf(options, OPTION.MESSAGE_TYPE) === TYPE.DISCOVER ? TYPE.OFFER : 0) }));
    const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
    await one.clock.pass(ms);
    one.stop.abort(new Gone("stopped"));
    await one.clock.pass(0);
    expect(outcome.error).toBe(one.stop.signal.reason);
    expect(one.sent.map(({ type }) => type)).toEqual([...types]);
    expect([one.state.open, one.clock.waiting]).toEqual([0, 0]);
  }
});

test("an acknowledgement without a netmask is an error in the reference's words, and the address is given back", async () => {
  const bare: Server = (message) => serverOf("10.0.0.5")(message, toEverybody()).map((answer) => ({ ...answer, options: new Map([...(answer.options ?? [])].filter(([code]) => code !== 1)) }));
  const one = world(bare);
  const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
  await one.clock.pass(10);
  expect(outcome.error).toMatchObject({ code: 999, message: "DHCP option Subnet Mask not found in DHCPACK" });
  expect(one.sent.map(({ type }) => type)).toEqual(["DISCOVER", "REQUEST", "RELEASE"]);
});

test("what an acknowledgement says is in the lease, in order or not, and what does not read is left out", async () => {
  const way = { dst: parseCidr("10.99.0.0/16"), via: parseIp("10.0.0.9") };
  const here = { dst: parseCidr("10.98.0.0/16"), via: ipFrom(new Uint8Array(4)) };
  const rows = [
    [[entry(OPTION.ROUTER, [parseIp("10.0.0.254"), SERVER])], { gateway: "10.0.0.254", routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.254" }] }],
    [[entry(OPTION.ROUTER, [SERVER]), entry(OPTION.STATIC_ROUTE, [{ dst: cidrOf(parseIp("172.16.1.0"), 16), via: way.via }])], { routes: [{ dst: "172.16.0.0/16", gw: "10.0.0.9" }, { dst: "0.0.0.0/0", gw: "10.0.0.1" }] }],
    [[entry(OPTION.ROUTER, [SERVER]), entry(OPTION.STATIC_ROUTE, [way]), entry(OPTION.CLASSLESS_ROUTE, [way, here])], { gateway: "10.0.0.1", routes: [{ dst: "10.99.0.0/16", gw: "10.0.0.9" }, { dst: "10.98.0.0/16", gw: "0.0.0.0", scope: 253 }] }],
    [[entry(OPTION.DNS, [OTHER]), entry(OPTION.DOMAIN_NAME, "a.example"), entry(OPTION.DOMAIN_SEARCH, ["b.example", "c.example"]), entry(OPTION.MTU, 1400)], { nameservers: ["10.0.0.2"], domain: "a.example", search: ["b.example", "c.example"], mtu: 1400 }],
    [[[6, Uint8Array.of(1)], [119, Uint8Array.of(9)], [3, Uint8Array.of(1, 2)]], { nameservers: [], search: [], gateway: undefined, routes: [] }],
    [[entry(OPTION.RENEWAL_TIME, 7), entry(OPTION.REBINDING_TIME, 9)], { renewAfter: 7, rebindAfter: 9 }],
    [[entry(OPTION.RENEWAL_TIME, 9), entry(OPTION.REBINDING_TIME, 7)], { renewAfter: 7, rebindAfter: 7 }],
    [[entry(OPTION.REBINDING_TIME, 5000)], { renewAfter: 1800, rebindAfter: 3150 }],
  ] as const;
  for (const [more, wanted] of rows) {
    const one = world((message) => serverOf("10.0.0.5")(message, toEverybody()).map((answer) => ({ ...answer, options: new Map([...(answer.options ?? []), ...more.map(([code, value]): [number, Uint8Array] => [code, value])]) })));
    const outcome = outcomeOf(obtain(one.asker, { until: Infinity, signal: one.stop.signal }));
    await one.clock.pass(10);
    expect(outcome.value).toMatchObject({ lease: wanted });
  }
  expect(timesOf(leaseOf({ since: 500 }))).toEqual({ renew: 1_800_500, rebind: 3_150_500, end: 3_600_500 });
});
