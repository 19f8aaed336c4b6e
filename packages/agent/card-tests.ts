/**
 * When network cards are tested (datapath/offload.ts says how): after a pass that found a tunnel whose card nobody has tested yet, and
 * again later, ever more seldom, as long as no other node answers. It waits for packets, so passes go on meanwhile.
 */
import { messageOf } from "@vethwork/cni";
import type { Clock } from "@vethwork/plugins/shared/clock.ts";
import type { Log } from "@vethwork/plugins/shared/log.ts";
import { pauseAfter } from "./backoff.ts";
import type { Datapath, DatapathStatus } from "./datapath/datapath.ts";

export interface CardTestOptions {
  clock: Clock;
  log: Log;
  chance: () => number;
  /** Something was found out: the next pass has to know. */
  onResult: () => void;
}

export interface CardTests {
  /** Begins a test where one is due. */
  consider(datapath: Datapath, offload: DatapathStatus["offload"]): void;
  isTesting(): boolean;
  /** When the test that is under way is over. */
  ended(): Promise<void>;
}

const PAUSES = { firstMs: 20_000, mostMs: 3_600_000 };

export function createCardTests({ clock, log, chance, onResult }: CardTestOptions): CardTests {
  let isTesting = false;
  let running: Promise<void> = Promise.resolve();
  let tries = 0;
  let dueAt = 0;
  const test = async (datapath: Datapath): Promise<void> => {
    isTesting = true;
    try {
      const found = await datapath.testOffload();
      for (const { link, state } of found) if (state !== "untested") log(state === "off" ? "warning" : "info", "network card was tested", { link, checksums: state });
      if (found.every(({ state }) => state !== "untested")) tries = 0;
    } catch (error) {
      log("warning", "network card cannot be tested", { why: messageOf(error) });
    } finally {
      isTesting = false;
      tries += 1;
      dueAt = clock.now() + pauseAfter(tries, PAUSES, chance());
      onResult();
    }
  };
  return {
    consider: (datapath, offload) => {
      if (!isTesting && clock.now() >= dueAt && offload.some(({ state }) => state === "untested")) running = test(datapath);
    },
    isTesting: () => isTesting,
    ended: () => running,
  };
}
