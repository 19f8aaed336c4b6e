/** How long to wait after so many failures in a row: each pause twice the last, and a half more or less, so that many agents do not come in step. */

export interface Pauses {
  firstMs: number;
  mostMs: number;
}

/** `chance`: 0 to 1, another each time. */
export function pauseAfter(failures: number, { firstMs, mostMs }: Pauses, chance: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20)) * (0.5 + chance);
}
