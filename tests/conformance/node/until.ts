/** Waiting for a fact instead of for a time: daemons and the kernel finish things when they finish them. */

/** Asks again and again until the answer is true, at most `timeoutMs` (20 s); tells whether it came true. */
export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) return false;
    await Bun.sleep(10);
  }
  return true;
}
