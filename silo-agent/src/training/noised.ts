import type { Rng } from '@medley/kit';
import { discreteGaussianNoise } from '@medley/privacy';
import {
  encodedColumns,
  STATISTICS_GRID,
  statisticsDeviation,
  type Charter,
  type SlotValues,
  type Study,
} from '@medley/study';

/**
 * Statistics with the charter's noise, exact on the grid that the sums lie on; as they are in a study
 * without privacy. Columns that are not standardised hold 0 and stay so. `rng` must be cryptographic.
 */
export function noisedStatistics(
  study: Study,
  charter: Charter,
  values: SlotValues,
  rng: Rng,
): SlotValues {
  const deviation = statisticsDeviation(study, charter);
  if (deviation === 0) return values;
  const { weightCap } = charter.secureAggregation;
  const columns = encodedColumns(study);
  const sums = (name: 'sum' | 'squares'): Float64Array => {
    const noise = discreteGaussianNoise(deviation / STATISTICS_GRID, columns.length, rng);
    return Float64Array.from(columns, ({ standardise }, c) => {
      if (!standardise) return 0;
      const steps = Math.round((values[name]![c]! * weightCap) / STATISTICS_GRID) + noise[c]!;
      return (steps * STATISTICS_GRID) / weightCap;
    });
  };
  const [noise] = discreteGaussianNoise(deviation, 1, rng);
  return {
    count: Float64Array.of(values['count']![0]! + noise!),
    sum: sums('sum'),
    squares: sums('squares'),
  };
}

/** Histograms of whole counts with the charter's noise on every bin. `rng` must be cryptographic. */
export function noisedCounts(charter: Charter, values: SlotValues, rng: Rng): SlotValues {
  const { privacy } = charter;
  if (privacy?.level !== 'record') return values;
  return Object.fromEntries(
    Object.entries(values).map(([name, counts]) => {
      const noise = discreteGaussianNoise(privacy.noise.evaluation, counts.length, rng);
      return [name, counts.map((count, bin) => count + noise[bin]!)];
    }),
  );
}
