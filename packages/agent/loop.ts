/**
 * The loop: says when to look again. It knows no events, only that something may be different, so many of them are one pass.
 *
 *     a source, a monitor ── poke ──▶ a moment, for more of them ──▶ pass ──▶ well: until the next poke, or half a minute
 *                                                                     └────▶ failed: soon, and ever later
 *
 * A pass compares all that is with all that should be. So none has to be remembered, none can be missed for good, and a pass too
 * many changes nothing.
 */
import { messageOf } from "@vethwork/cni";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { pauseAfter } from "./backoff.ts";

export interface LoopOptions {
  /** Compares and changes. What it throws is logged, and tried again. */
  pass: (why: ReadonlySet<string>) => void;
  clock: Clock;
  log: Log;
  /** 0 to 1, another each time. */
  chance: () => number;
  /** After so much without a poke a pass looks anyway: what nobody is told of, it finds. */
  fullMs: number;
}

export interface Loop extends Disposable {
  /** Something may be different; `why` is for the log and for people. */
  poke(why: string): void;
  /** How many passes in a row have failed. */
  failures(): number;
  /** When the last pass ended, by the clock; undefined before the first. */
  lastAt(): number | undefined;
}

/** For so long more pokes are waited for; each puts it off, but none beyond the second. */
const QUIET_MS = 50;
const MOST_MS = 500;
/**
 * A node where pods come and go all the time has news all the time: passes take no more than a tenth of it, or come every two seconds. Not
 * after the first one, which makes everything: what it did not know yet comes within the second.
 */
const REST = { times: 9, mostMs: 2_000 };
const RETRY = { firstMs: 500, mostMs: 15_000 };

export function createLoop({ pass, clock, log, chance, fullMs }: LoopOptions): Loop {
  let why = new Set<string>();
  let firstPoke: number | undefined;
  let failures = 0;
  let lastAt: number | undefined;
  let restedAt = 0;
  let timer: Disposable | undefined;
  let isOver = false;

  const runIn = (ms: number): void => {
    timer?.[Symbol.dispose]();
    if (!isOver) timer = clock.after(ms, run);
  };

  const run = (): void => {
    const reasons = why.size > 0 ? why : new Set([failures > 0 ? "the last pass failed" : "time has passed"]);
    why = new Set();
    firstPoke = undefined;
    const begun = clock.now();
    try {
      pass(reasons);
      failures = 0;
    } catch (error) {
      failures += 1;
      log("error", "pass failed", { why: messageOf(error), failures });
    }
    const isFirst = lastAt === undefined;
    lastAt = clock.now();
    restedAt = isFirst ? lastAt : lastAt + Math.min(REST.mostMs, (lastAt - begun) * REST.times);
    runIn(failures === 0 ? fullMs * (0.9 + chance() / 5) : pauseAfter(failures, RETRY, chance()));
  };

  return {
    poke: (reason) => {
      why.add(reason);
      const now = clock.now();
      firstPoke ??= now;
      // While passes fail the next one comes soon enough; pokes must not make it come all the time.
      if (failures === 0) runIn(Math.max(0, restedAt - now, Math.min(QUIET_MS, firstPoke + MOST_MS - now)));
    },
    failures: () => failures,
    lastAt: () => lastAt,
    [Symbol.dispose]: () => {
      isOver = true;
      timer?.[Symbol.dispose]();
    },
  };
}
