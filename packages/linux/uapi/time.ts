/** Clocks: the numbers of linux/time.h. */

export const headers = ["linux/time.h"] as const;

export const CLOCK = { BOOTTIME: 7 } as const; // since the machine's start, the time that it slept included
