/** Pearson's statistic of `counts` against equal expected counts; counts.length − 1 degrees. */
export function chiSquareUniform(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/**
 * The value that a chi-square variable exceeds once in 10^6 (Wilson and Hilferty 1931; from 15
 * degrees within 0.5 % of the exact quantile).
 */
export function chiSquareOneInAMillion(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + NORMAL_ONE_IN_A_MILLION * Math.sqrt(spread)) ** 3;
}

/** The value that a standard normal variable exceeds once in 10^6. */
export const NORMAL_ONE_IN_A_MILLION = 4.753424;
