/**
 * The daemon: looks after the leases of every pod of a node, each for itself, and answers the plugin.
 *
 *     plugin ── add ─────▶ a lease is looked for, written down, and kept until …
 *               release ─▶ … it is given back; or its pod is gone; or no server renews it: then the interface goes down
 *
 * What it knows is on disk (./leases.ts) before anybody is told. So it may be killed at any time: the next one adopts what it
 * finds, and goes on at the time when the last one would have. It ends without giving anything back, for the pods go on.
 */
import { CniError, ErrorCode, messageOf, toCniError } from "@vethwork/cni";
import { KernelError, ignore, parseCidr, parseMac, type Link } from "@vethwork/linux";
import { waitUntil, type Clock } from "../shared/clock.ts";
import { Gone, type Asker, type Timing } from "./exchange.ts";
import { isStale, keyOf, timesOf, type Census, type Held, type Lease, type Owner, type Wish } from "./lease.ts";
import { bootId, type Leases } from "./leases.ts";
import { keep, obtain } from "./life.ts";
import { inPod, openLine } from "./line.ts";
import type { Fields, Log } from "../shared/log.ts";
import { sendRelease } from "./release.ts";
import type { Question } from "./talk.ts";

export interface DaemonOptions extends Timing {
  leases: Leases;
  /** Stands before the paths of namespaces: where the machine's files are, for a daemon in a container. */
  prefix: string;
  /** Have every server answer everybody. */
  broadcast: boolean;
  /** How long a first lease is looked for. */
  resendTimeoutMs: number;
  clock: Clock;
  log: Log;
}

export interface Daemon {
  /** Takes over what is on disk. */
  adopt(): void;
  /** Answers one question; `signal` is aborted where nobody waits for the answer any more. CniError is a refusal. */
  answer(question: Question, signal: AbortSignal): Promise<{ lease?: Lease }>;
  /** How long `answer` may take. */
  patienceMs(question: Question): number;
  /** Lets go of everything; leases stay as they are. */
  stop(): void;
}

/** An attachment that has a lease, or is to get one. */
interface Care {
  wish: Wish;
  link: { mac: NonNullable<Link["mac"]>; kind: string };
  held?: Held;
  stop: AbortController;
}

export function createDaemon(options: DaemonOptions): Daemon {
  const { leases, prefix, clock, log, timeoutMs, resendMaxMs, resendTimeoutMs } = options;
  const cares = new Map<string, Care>();

  const fieldsOf = ({ network, containerId, ifname }: Owner): Fields => ({ network, container: containerId, interface: ifname });
  const leaseFields = (wish: Wish, { address, server, seconds }: Lease): Fields => ({ ...fieldsOf(wish), address, server, seconds });
  const pathOf = ({ netns }: Wish): string => `${prefix}${netns}`;

  const askerFor = (care: Care): Asker => {
    const complain = (what: string): void => log("warning", what, fieldsOf(care.wish));
    return {
      wish: care.wish, clock, complain, timeoutMs, resendMaxMs, chance: Math.random,
      get mac() { return care.link.mac; },
      // An ipvlan has its parent's MAC address: a frame to that finds the pod by an address only, and it has none yet.
      get broadcast() { return options.broadcast || care.link.kind === "ipvlan"; },
      open: (onMessage) => {
        if (care.held && !leases.find(care.wish)) throw new Gone("it was given back while the daemon was away");
        care.link = inPod(pathOf(care.wish), (pod) => interfaceFrom(pod.links.find(care.wish.ifname))) ?? care.link;
        return openLine({ path: pathOf(care.wish), ifname: care.wish.ifname }, { onMessage, complain });
      },
    };
  };

  const heldBy = ({ wish, link }: Care, lease: Lease): Held => ({ wish, mac: String(link.mac), boot: bootId(), lease });

  const hold = (care: Care, lease: Lease, words: string): Held => {
    const held = heldBy(care, lease);
    care.held = held;
    try {
      leases.set(held);
    } catch (error) {
      log("error", "lease cannot be written down, and is kept in mind", { ...leaseFields(care.wish, lease), why: messageOf(error) });
    }
    log("info", words, leaseFields(care.wish, lease));
    return held;
  };

  const forget = (care: Care, reason: unknown): void => {
    care.stop.abort(reason);
    if (cares.get(keyOf(care.wish)) === care) cares.delete(keyOf(care.wish));
  };

  /** Keeps a lease until it has ended, and gives the reason. What the kernel refuses today, it may do in a moment. */
  const keepTrying = async (care: Care, held: Held): Promise<string> => {
    const { stop: { signal } } = care;
    for (;;) {
      try {
        return await keep(askerFor(care), (care.held ?? held).lease, { signal, onLease: (next) => void hold(care, next, "lease renewed") });
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        log("error", "lease cannot be looked after now", { ...fieldsOf(care.wish), why: error.message });
      }
      await waitUntil(clock, clock.now() + timeoutMs, signal);
    }
  };

  /** Looks after a lease until it ends. Never rejects. */
  const lookAfter = async (care: Care, held: Held): Promise<void> => {
    const { wish, stop: { signal } } = care;
    try {
      const why = await keepTrying(care, held);
      log("error", "lease ended, its interface goes down", { ...leaseFields(wish, held.lease), why });
      inPod(pathOf(wish), ({ links }) => links.set(links.get(wish.ifname), { up: false }));
      leases.delete(wish);
    } catch (error) {
      if (signal.aborted) return;
      log(error instanceof Gone ? "info" : "error", "lease forgotten", { ...fieldsOf(wish), why: messageOf(error) });
      leases.delete(wish);
    } finally {
      forget(care, new Gone("its lease has ended"));
    }
  };

  const add = async (wish: Wish, signal: AbortSignal): Promise<{ lease: Lease }> => {
    const link = takeUp(wish, pathOf(wish));
    const there = cares.get(keyOf(wish));
    if (there?.held && there.wish.netns === wish.netns && there.held.mac === String(link.mac)) return { lease: there.held.lease };
    if (there) forget(there, new CniError(ErrorCode.TRY_AGAIN, `container "${wish.containerId}" asked for another lease for "${wish.ifname}" meanwhile`));
    const care: Care = { wish, link, stop: new AbortController() };
    cares.set(keyOf(wish), care);
    try {
      const until = clock.now() + resendTimeoutMs;
      const found = await obtain(askerFor(care), {
        until, signal: AbortSignal.any([signal, care.stop.signal]),
        onRequest: (offered) => leases.set(heldBy(care, offered)), // if we die now, DEL can still give it back
      });
      if ("heard" in found) throw noLease(wish, resendTimeoutMs, found.heard);
      void lookAfter(care, hold(care, found.lease, "lease obtained"));
      return found;
    } catch (error) {
      if (cares.get(keyOf(wish)) === care) leases.delete(wish);
      forget(care, error);
      log("warning", "no lease obtained", { ...fieldsOf(wish), why: messageOf(error) });
      throw error;
    }
  };

  const giveBack = (owner: Owner, words: string): void => {
    const care = cares.get(keyOf(owner));
    if (care) forget(care, new CniError(ErrorCode.TRY_AGAIN, `"${owner.ifname}" of container "${owner.containerId}" was deleted meanwhile`));
    const held = care?.held ?? leases.find(owner);
    if (!held) return;
    const why = sendRelease(held, prefix);
    log(why === undefined ? "info" : "warning", why === undefined ? words : "lease dropped, the server was not told", { ...leaseFields(held.wish, held.lease), why });
    leases.delete(owner);
  };

  const collect = (census: Census): void => {
    const all = [...leases.list(), ...cares.values()].map(({ wish }) => wish);
    for (const wish of all) if (isStale(wish, census)) giveBack(wish, "lease given back, in no list of attachments");
  };

  return {
    adopt: () => {
      const boot = bootId();
      leases.sweep();
      for (const held of leases.list((what) => log("error", what))) {
        const { wish, lease } = held;
        const link = held.boot === boot ? findAgain(held, pathOf(wish)) : undefined;
        if (!link) {
          leases.delete(wish);
          log("info", "lease forgotten, its interface is gone", leaseFields(wish, lease));
          continue;
        }
        const care: Care = { wish, link, held, stop: new AbortController() };
        cares.set(keyOf(wish), care);
        log("info", "lease adopted", { ...leaseFields(wish, lease), left: Math.round((timesOf(lease).end - clock.now()) / 1000) });
        void lookAfter(care, held);
      }
    },
    answer: async (question, signal) => {
      if (question.do === "add") return add(question.wish, signal);
      if (question.do === "show") {
        const lease = cares.get(keyOf(question.owner))?.held?.lease;
        return lease ? { lease } : {};
      }
      if (question.do === "release") giveBack(question.owner, "lease given back");
      if (question.do === "collect") collect(question);
      return {};
    },
    patienceMs: (question) => (question.do === "add" ? resendTimeoutMs : timeoutMs),
    stop: () => {
      for (const care of cares.values()) forget(care, new CniError(ErrorCode.TRY_AGAIN, "the DHCP daemon was ended"));
    },
  };
}

/** The interface, switched on. CniError where it is not there, or is none that has a MAC address. */
function takeUp({ ifname }: Wish, path: string): Care["link"] {
  try {
    return inPod(path, ({ links }) => {
      const link = links.find(ifname);
      if (!link) throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `there is no interface "${ifname}" in "${path}" (the plugin that calls dhcp makes it)`);
      const found = interfaceFrom(link);
      if (!found) throw new CniError(ErrorCode.INVALID_ENVIRONMENT, `"${ifname}" has no MAC address (an Ethernet interface is wanted)`);
      if (!link.up) links.set(link, { up: true });
      return found;
    });
  } catch (error) {
    if (error instanceof Gone) throw new CniError(ErrorCode.UNKNOWN_CONTAINER, error.message, { cause: error });
    throw toCniError(error);
  }
}

const interfaceFrom = (link: Link | undefined): Care["link"] | undefined =>
  (link?.mac?.bytes.length === 6 && !link.loopback ? { mac: link.mac, kind: link.kind } : undefined);

/** The interface of a lease on disk: it has the MAC address of then, or, where that was changed, the lease's address. */
function findAgain({ wish, mac, lease }: Held, path: string): Care["link"] | undefined {
  try {
    return inPod(path, ({ links, addrs }) => {
      const link = links.find(wish.ifname);
      const isSame = link && (String(link.mac) === mac || addrs.list({ link }).some(({ address }) => String(address) === String(parseCidr(lease.address))));
      return isSame ? interfaceFrom(link) : undefined;
    });
  } catch (error) {
    if (error instanceof Gone) return undefined;
    ignore(error, "what the kernel refuses now is asked again when the lease is due");
    return { mac: parseMac(mac), kind: "" };
  }
}

const noLease = ({ ifname, containerId }: Wish, ms: number, heard: string): CniError =>
  new CniError(ErrorCode.TRY_AGAIN, `no DHCP lease for "${ifname}" of container "${containerId}" within ${ms / 1000} s: ${heard}`);
