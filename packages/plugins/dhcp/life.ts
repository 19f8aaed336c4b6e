/**
 * The life of a lease (RFC 2131 section 4.4), one function for each half of it:
 *
 *     obtain   INIT ── DISCOVER ──▶ SELECTING ── REQUEST ──▶ REQUESTING ── ACK ──▶ BOUND
 *                ▲                                               │
 *                └───────────────────── NAK ─────────────────────┘
 *
 *     keep     BOUND ── T1 ──▶ RENEWING ── T2 ──▶ REBINDING ── end ──▶ the address may not be used any more
 *                ▲                 │  its server      │  every server
 *                └────── ACK ──────┴──────────────────┘      NAK ──▶ INIT, and no other address will do
 *
 * A pod's address cannot change under it: the runtime has told it to others. So after a NAK the same address is asked for, and
 * where no server gives it, the lease has ended. Nothing here knows a kernel: time, chance and the line are handed in.
 */
import { ignore, parseCidr, parseIp, sameIp, type Ip } from "@vethwork/linux";
import { waitUntil } from "../shared/clock.ts";
import { exchange, type Answer, type Asker } from "./exchange.ts";
import { leaseFrom } from "./grant.ts";
import { timesOf, type Lease } from "./lease.ts";
import { discover, extend, newXid, release, select, toEverybody, toServer } from "./requests.ts";
import { OPTION, TYPE, valueOf } from "./values.ts";

export interface Search {
  /** When to give up. */
  until: number;
  /** No other address will do. */
  wanted?: Ip;
  /** Hears of the lease that is about to be asked for: from then on the server may have granted it. */
  onRequest?: (offered: Lease) => void;
  signal: AbortSignal;
}

/** A search's outcome: a lease, or what was heard instead. */
export type Found = { lease: Lease } | { heard: string };

interface Offer {
  address: Ip;
  server: Ip;
  answer: Answer;
}

/** What a server decided on a request. */
interface Decision {
  answer: Answer;
  granted: boolean;
  server: Ip | undefined;
  /** Why not. */
  words: string;
}

/** Looks for a server that gives an address, and takes it. */
export async function obtain(asker: Asker, search: Search): Promise<Found> {
  const { clock, complain, resendMaxMs } = asker;
  const { until, signal, onRequest } = search;
  const begun = clock.now();
  for (let refusals = 0; ; refusals++) {
    const xid = newXid();
    const offer = await offerFor(asker, search, { xid, begun });
    if ("heard" in offer) return offer;
    onRequest?.(leaseFrom({ ...offer.answer, server: offer.server, prefix: HOST }, () => {}));
    const found = await giveBackIfStopped(asker, offer, () => take(asker, search, { xid, begun, offer }));
    if ("lease" in found) return found;
    complain(found.heard);
    if (clock.now() >= until) return found;
    await waitUntil(clock, Math.min(until, clock.now() + Math.min(1000 * 2 ** refusals, resendMaxMs)), signal);
  }
}

const HOST = 32; // bits: the prefix length of an address alone

interface Begun {
  xid: number;
  /** When the first message went out. */
  begun: number;
}

/** SELECTING: the first offer that will do. */
async function offerFor(asker: Asker, { until, wanted, signal }: Search, { xid, begun }: Begun): Promise<Offer | { heard: string }> {
  const { clock, timeoutMs } = asker;
  let heard = "no server answered";
  let strangerAt = Infinity; // since when it is known that a server would rather give another address
  const offer = await exchange<Offer>(asker, {
    xid, signal, to: toEverybody(),
    message: () => discover(asker, { xid, elapsedMs: clock.now() - begun }, wanted),
    until: () => Math.min(until, strangerAt + timeoutMs),
    accept: (answer) => {
      const offered = offerIn(answer);
      if (!offered || !wanted || sameIp(offered.address, wanted)) return offered;
      heard = `${offered.server} offers ${offered.address} instead`;
      strangerAt = Math.min(strangerAt, clock.now());
      return undefined;
    },
  });
  return offer ?? { heard };
}

/** REQUESTING: the server's word on what it offered. */
async function take(asker: Asker, { until, signal }: Search, { xid, begun, offer }: Begun & { offer: Offer }): Promise<Found> {
  const { clock, timeoutMs, complain } = asker;
  const elapsedMs = clock.now() - begun;
  const deadline = Math.min(until, clock.now() + timeoutMs);
  const decision = await exchange<Decision>(asker, {
    xid, signal, to: toEverybody(),
    message: () => select(asker, { xid, elapsedMs }, offer),
    until: () => deadline,
    accept: decisionIn,
  });
  if (decision?.granted) return { lease: leaseFrom({ ...decision.answer, server: offer.server }, complain) };
  return { heard: decision ? refusal(decision) : `${offer.server} offered ${offer.address} and did not answer the request for it` };
}

/** Goes on with a lease for as long as servers let it, and gives the reason for its end. `onLease` hears of each that follows. */
export async function keep(asker: Asker, first: Lease, { onLease, signal }: { onLease: (lease: Lease) => void; signal: AbortSignal }): Promise<string> {
  const { clock, timeoutMs, complain } = asker;
  for (let lease = first; ; ) {
    await waitUntil(clock, renewalOf(lease, asker.chance()), signal); // BOUND
    const { end } = timesOf(lease);
    // Where nobody looked after it, as while the daemon was away, the address may still be free.
    const isLate = clock.now() >= end;
    const decision = isLate ? undefined : await askToKeep(asker, lease, signal);
    if (!decision && !isLate) return "no server renewed it";
    if (decision?.granted) {
      lease = leaseFrom({ ...decision.answer, server: decision.server ?? parseIp(lease.server) }, complain);
    } else {
      const why = decision ? refusal(decision) : "it had ended";
      complain(why);
      const found = await obtain(asker, { until: isLate ? clock.now() + timeoutMs : end, wanted: parseCidr(lease.address).ip, signal });
      if ("heard" in found) return `${why}; ${found.heard}`;
      ({ lease } = found);
    }
    onLease(lease);
  }
}

const FUZZ = 0.1; // leases that began together are not to be renewed together (section 4.4.5)

function renewalOf(lease: Lease, chance: number): number {
  const { renew } = timesOf(lease);
  return Number.isFinite(renew) ? renew - FUZZ * chance * (renew - lease.since) : renew;
}

/** Between two attempts to renew (the same section): half of the time that is left, but no less. */
const SHORTEST_PAUSE_MS = 60_000;

/** RENEWING, then REBINDING: the decision of a server, undefined where none came before the lease's end. */
async function askToKeep(asker: Asker, lease: Lease, signal: AbortSignal): Promise<Decision | undefined> {
  const { clock, timeoutMs } = asker;
  const { rebind, end } = timesOf(lease);
  const { ip: address } = parseCidr(lease.address);
  const begun = clock.now();
  for (const { to, deadline } of [{ to: toServer(lease), deadline: rebind }, { to: toEverybody(address), deadline: end }]) {
    while (clock.now() < deadline) {
      const xid = newXid();
      const until = Math.min(deadline, clock.now() + timeoutMs);
      const decision = await exchange<Decision>(asker, {
        xid, signal, to,
        message: () => extend(asker, { xid, elapsedMs: clock.now() - begun }, address),
        until: () => until,
        accept: (answer) => (answer.type === TYPE.ACK && !sameIp(answer.message.yiaddr, address) ? undefined : decisionIn(answer)),
      });
      if (decision) return decision;
      await waitUntil(clock, Math.min(deadline, clock.now() + Math.max((deadline - clock.now()) / 2, SHORTEST_PAUSE_MS)), signal);
    }
  }
  return undefined;
}

/** An address that was asked for may have been granted already when the asking ends badly: then nobody would ever give it back. */
async function giveBackIfStopped<T>(asker: Asker, { address, server, answer: { mac } }: Offer, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    try {
      using line = asker.open(() => {});
      line.send(release(asker, { address, server }), { mac, ip: server, from: address });
    } catch (failure) {
      ignore(failure, "the interface is gone: the server keeps the address until the lease's end");
    }
    throw error;
  }
}

function offerIn(answer: Answer): Offer | undefined {
  const { type, message: { yiaddr, options } } = answer;
  const server = valueOf(options, OPTION.SERVER);
  const isOffer = type === TYPE.OFFER && server !== undefined && yiaddr.bytes.some((byte) => byte !== 0);
  return isOffer ? { address: yiaddr, server, answer } : undefined;
}

function decisionIn(answer: Answer): Decision | undefined {
  const { type, message: { options } } = answer;
  if (type !== TYPE.ACK && type !== TYPE.NAK) return undefined;
  return { answer, granted: type === TYPE.ACK, server: valueOf(options, OPTION.SERVER), words: valueOf(options, OPTION.WORDS) ?? "" };
}

const refusal = ({ answer: { mac }, server, words }: Decision): string =>
  `${server ?? mac} refused it${words === "" ? "" : `: ${JSON.stringify(words)}`}`;
