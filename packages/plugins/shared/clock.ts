/**
 * The clock that daemons go by: since the machine's start, the time that it slept included (CLOCK_BOOTTIME). Nobody sets it, and
 * a daemon that is started anew reads the same one. Tests bring a clock of their own.
 */
import { clockTime } from "@vethwork/linux/libc.ts";
import { CLOCK } from "@vethwork/linux/uapi/time.ts";

export interface Clock {
  /** Milliseconds since the machine's start. */
  now(): number;
  /** Does something that much later, unless it is disposed of before. */
  after(ms: number, act: () => void): Disposable;
}

/** Timers stand still while the machine sleeps, and count to 2^31 milliseconds at most: long times are waited for in pieces. */
const PIECE_MS = 600_000;

export const bootClock: Clock = {
  now: () => clockTime(CLOCK.BOOTTIME) * 1000,
  after: (ms, act) => {
    const timer = setTimeout(act, Math.max(0, ms));
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Waits until then, or until what `onWake` was handed is called. Rejects with the signal's reason where that comes first. */
export async function waitUntil(clock: Clock, deadline: number, signal: AbortSignal, onWake: (wake: () => void) => void = () => {}): Promise<void> {
  let isAwake = false;
  while (!isAwake && clock.now() < deadline) {
    isAwake = await piece(clock, Math.min(deadline - clock.now(), PIECE_MS), signal, onWake);
  }
  signal.throwIfAborted();
}

function piece(clock: Clock, ms: number, signal: AbortSignal, onWake: (wake: () => void) => void): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  if (signal.aborted) reject(signal.reason);
  const onAbort = (): void => reject(signal.reason);
  const timer = clock.after(ms, () => resolve(false));
  signal.addEventListener("abort", onAbort);
  onWake(() => resolve(true));
  return promise.finally(() => {
    timer[Symbol.dispose]();
    signal.removeEventListener("abort", onAbort);
  });
}
