/** Figures from samples: medians, since a busy machine has outliers on one side only, and ratios taken pair by pair. */

/** Two things measured in turns; times in milliseconds, or any other unit that both share. */
export interface Samples {
  ours: number[];
  peer: number[];
}

export interface Figure {
  ours: number;
  peer: number;
  /** Median of ours ÷ peer of each round: what drifts during the run drifts for both. */
  ratio: number;
  /** Smallest and largest of the middle half of the ratios. */
  from: number;
  to: number;
}

/** RangeError where there is no pair. */
export function figureOf({ ours, peer }: Samples): Figure {
  const pairs = ours.flatMap((value, at) => (peer[at] === undefined ? [] : [value / peer[at]]));
  return { ours: quantile(ours, 0.5), peer: quantile(peer, 0.5), ratio: quantile(pairs, 0.5), from: quantile(pairs, 0.25), to: quantile(pairs, 0.75) };
}

/** The value below which `share` (0 to 1) of the values lie, between two of them by proportion. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) throw new RangeError("Cannot find the median of nothing (at least one sample is wanted)");
  return low + (high - low) * (place - Math.floor(place));
}
