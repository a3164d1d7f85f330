// What stands out from some values: by the median and the median absolute deviation, which half of the values less one
// may be wrong in without moving them far (Leys et al., "Detecting outliers: do not use standard deviation around the
// mean, use absolute deviation around the median", 2013).

/** The published threshold, and what scales the median absolute deviation to a normal distribution's sigma. */
export const DEVIATIONS = 3;
const SIGMA_OF_MAD = 1.4826;

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** How far from their median values may be that are no outliers, in their unit. */
export function toleranceOf(values: readonly number[], middle = median(values)): number {
  return DEVIATIONS * SIGMA_OF_MAD * median(values.map((value) => Math.abs(value - middle)));
}
