/** When the loop looks, by a clock that the test winds on. */
import { expect, test } from "bun:test";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import { createLoop, type Loop } from "./loop.ts";

interface Play {
  loop: Loop;
  /** When passes were made, with their reasons. */
  passes: [number, string][];
  fail(isFailing: boolean): void;
  /** So long each pass takes from now on. */
  take(ms: number): void;
  /** Lets time pass up to then. */
  until(ms: number): void;
  at(ms: number, act: () => void): void;
}

function play(act: (play: Play) => void): void {
  let now = 0;
  let timers: { at: number; act: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    after: (ms, run) => {
      const timer = { at: now + ms, act: run };
      timers.push(timer);
      return { [Symbol.dispose]: () => (timers = timers.filter((one) => one !== timer)) };
    },
  };
  const until = (ms: number): void => {
    for (;;) {
      const next = timers.toSorted((a, b) => a.at - b.at).find(({ at }) => at <= ms);
      if (!next) break;
      timers = timers.filter((one) => one !== next);
      now = next.at;
      next.act();
    }
    now = ms;
  };
  const passes: [number, string][] = [];
  let isFailing = false;
  let takes = 0;
  using loop = createLoop({
    pass: (why) => {
      passes.push([Math.round(now), [...why].join()]);
      now += takes;
      if (isFailing) throw new RangeError("not today");
    },
    clock, log: () => {}, chance: () => 0.5, fullMs: 30_000,
  });
  act({ loop, passes, until, fail: (is) => (isFailing = is), take: (ms) => (takes = ms), at: (ms, run) => (until(ms), run()) });
}

test("many pokes are one pass, a moment after the last; without one it looks every half minute", () => {
  play(({ loop, passes, until, at }) => {
    for (const ms of [0, 10, 30]) at(ms, () => loop.poke(ms === 30 ? "b" : "a"));
    until(61_000);
    expect(passes).toEqual([[80, "a,b"], [30_080, "time has passed"], [60_080, "time has passed"]]);
  });
});

test("pokes without an end do not put it off for ever", () => {
  play(({ loop, passes, at }) => {
    for (let ms = 0; ms <= 1200; ms += 40) at(ms, () => loop.poke("noise"));
    expect(passes.map(([when]) => when)).toEqual([500, 1020]);
  });
});

test("a pass that fails is tried again, ever later, whatever pokes come meanwhile, and counts from the start once it is well", () => {
  play(({ loop, passes, until, fail, at }) => {
    fail(true);
    loop.poke("a");
    until(3_000);
    at(3_010, () => loop.poke("noise"));
    expect([passes, loop.failures()]).toEqual([[[50, "a"], [550, "the last pass failed"], [1550, "the last pass failed"]], 3]);
    fail(false);
    until(4_000);
    expect([passes.at(-1), loop.failures()]).toEqual([[3550, "noise"], 0]);
    at(5_000, () => loop.poke("b"));
    until(5_100);
    expect(passes.at(-1)).toEqual([5050, "b"]);
    fail(true);
    until(4_000_000);
    const gaps = passes.slice(-5).map(([when], at, all) => when - (all[at - 1]?.[0] ?? when)).slice(1);
    expect(gaps).toEqual([15_000, 15_000, 15_000, 15_000]);
  });
});

test("passes that take long are not made all the time", () => {
  play(({ loop, passes, take, at }) => {
    take(100);
    for (let ms = 0; ms <= 4000; ms += 40) at(ms, () => loop.poke("noise"));
    expect(passes.map(([when]) => when)).toEqual([500, 1020, 2020, 3020]); // the first one makes everything, and no rest follows
    take(1000);
    for (let ms = 4000; ms <= 9000; ms += 40) at(ms, () => loop.poke("noise"));
    expect(passes.slice(4).map(([when]) => when)).toEqual([4020, 7020]);
  });
});

test("once it is over nothing happens any more", () => {
  play(({ loop, passes, until }) => {
    loop.poke("a");
    loop[Symbol.dispose]();
    loop.poke("b");
    until(100_000);
    expect(passes).toEqual([]);
  });
});
