/** Waiting without a promise: a plugin has nothing else to do meanwhile, and who started it waits for it, too. */

/** Blocks the thread. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
