import type { Charter } from './charter.ts';
import { encodedColumns, type Study } from './study.ts';

/** Sums of rows are whole multiples of this where they carry noise, so that exact samplers serve. */
export const STATISTICS_GRID = 1 / 1024;

/**
 * L2 norm of what one patient adds to count, sums and squares of the standardised columns: each term
 * lies in [−1, 1].
 */
export function statisticsSensitivity(study: Study): number {
  const columns = encodedColumns(study).filter(({ standardise }) => standardise).length;
  return Math.sqrt(1 + 2 * columns);
}

/** Standard deviation of one silo's noise on each number of the statistics; 0 without noise. */
export function statisticsDeviation(study: Study, charter: Charter): number {
  const { privacy } = charter;
  return privacy?.level === 'record' ? privacy.noise.statistics * statisticsSensitivity(study) : 0;
}

/** What noise may move a mean over `count` rows by, at eight standard deviations of all silos. */
export function statisticsTolerance(study: Study, charter: Charter, count: number): number {
  const all = Math.sqrt(charter.roster.length) * statisticsDeviation(study, charter);
  return (8 * all) / Math.max(1, count);
}
