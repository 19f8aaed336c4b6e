/**
 * One question to DHCP servers, asked again until somebody answers: the pauses double, and each is a little different, so that
 * pods that were started together do not ask together (RFC 2131 section 4.1).
 *
 *     ask ── 0.1 s ── ask ── 0.2 s ── ask ── 0.4 s ── …      an answer, or the time is up
 *
 * The RFC begins with four seconds, for the networks of 1997. A bridge's port that has just come up loses what comes before the
 * bridge has heard of it, some milliseconds later, and a pod waits for this.
 */
import { KernelError } from "@vethwork/linux";
import type { Mac } from "@vethwork/linux";
import { waitUntil, type Clock } from "../shared/clock.ts";
import type { Message } from "./message.ts";
import type { Client, Destination } from "./requests.ts";
import { OPTION, valueOf } from "./values.ts";

/** The interface's side of the conversation, open for as long as one question takes. */
export interface Line extends Disposable {
  /** KernelError where the kernel refuses, as it does while the link is down. Gone where there is nothing left to send by. */
  send(message: Message, to: Destination): void;
}

/** What this has to do with the world. */
export interface Seams {
  clock: Clock;
  /** A number from 0 to 1, by chance. */
  chance(): number;
  /** Gone where the pod is not there any more. */
  open(onMessage: (message: Message, from: Mac) => void): Line;
  /** Hears of what went wrong and is got over. */
  complain(what: string): void;
}

/** The interface, its namespace, or the wish to have an address: one of them is not there any more, and with it the lease. */
export class Gone extends RangeError {
  override readonly name = "Gone";
}

export interface Timing {
  /** How long one question is asked before something else is tried. */
  timeoutMs: number;
  /** The longest pause between two messages. */
  resendMaxMs: number;
}

export interface Asker extends Client, Seams, Timing {}

export interface Exchange<T> {
  xid: number;
  message: (elapsedMs: number) => Message;
  to: Destination;
  /** What to make of an answer; undefined of one that will not do. */
  accept: (answer: Answer) => T | undefined;
  /** When to give up, in the clock's time; asked again before each message. */
  until: () => number;
  signal: AbortSignal;
}

/** A server's message, its type read. */
export interface Answer {
  type: number | undefined;
  message: Message;
  mac: Mac;
  /** When the question went out that it answers, at the latest. */
  askedAt: number;
}

const FIRST_PAUSE_MS = 100;
const SPREAD = 0.2; // of a pause, in either direction

/** Asks until there is an answer; undefined where the time is up. Rejects where it is stopped. */
export async function exchange<T>(asker: Asker, { xid, message, to, accept, until, signal }: Exchange<T>): Promise<T | undefined> {
  const { clock, chance, open, complain, resendMaxMs } = asker;
  const begun = clock.now();
  let askedAt = begun;
  let answer: T | undefined;
  let wake = (): void => {};
  using line = open((came, from) => {
    if (answer !== undefined || came.op !== "reply" || came.xid !== xid || String(came.chaddr) !== String(asker.mac)) return;
    try {
      answer = accept({ type: valueOf(came.options, OPTION.MESSAGE_TYPE), message: came, mac: from, askedAt });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      complain(`an answer from ${from} does not read: ${error.message}`);
    }
    if (answer !== undefined) wake();
  });
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.max(FIRST_PAUSE_MS, Math.min(pause * 2, resendMaxMs))) {
    askedAt = clock.now();
    trySending(line, message(askedAt - begun), { to, complain });
    const jittered = pause * (1 + SPREAD * (2 * chance() - 1));
    await waitUntil(clock, Math.min(askedAt + jittered, until()), signal, (onAnswer) => (wake = onAnswer));
    if (answer !== undefined || clock.now() >= until()) return answer;
  }
}

/** A link that is down loses what is sent, as a wire does. */
function trySending(line: Line, message: Message, { to, complain }: { to: Destination } & Pick<Seams, "complain">): void {
  try {
    line.send(message, to);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    complain(error.message);
  }
}
