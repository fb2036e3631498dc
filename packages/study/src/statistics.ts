import { MedleyError } from '@medley/kit';
import type { Charter } from './charter.ts';
import { encodedRange } from './feature.ts';
import type { Standardisation } from './modelState.ts';
import { STATISTICS_GRID, statisticsTolerance } from './noised.ts';
import type { DecodedSlots, SlotValues } from './plan.ts';
import { checkCohort, checkRows, readMean, readWhole, roundingOf } from './slot.ts';
import { encodedColumns, featureCount, type Study } from './study.ts';

/** Where noise may have hidden a variance: a tenth of a column's half range is its deviation at least. */
const LEAST_VARIANCE = 0.01;

/** Pooled description of the encoded training rows of every surviving silo. */
export interface Statistics {
  readonly count: number;
  /** Per encoded column. */
  readonly mean: Float64Array;
  /** Population standard deviation; 1 where the column does not vary beyond rounding. */
  readonly scale: Float64Array;
}

/**
 * The statistics slots of one silo: count, Σu and Σu² over its encoded training rows, where u maps a
 * column's range onto [−1, 1]. Throws DATA_TOO_FEW_ROWS, STUDY_WEIGHT_TOO_LARGE or
 * STUDY_VALUES_INVALID (a row has another width or a NaN).
 */
export function statisticsValues(
  study: Study,
  charter: Charter,
  rows: readonly Float64Array[],
): SlotValues {
  const { weightCap } = charter.secureAggregation;
  checkRows(rows.length, weightCap);
  checkCohort(rows.length, charter);
  const columns = featureCount(study);
  const range = encodedRange(study);
  const kept = encodedColumns(study).map(({ standardise }) => standardise);
  const { privacy } = charter;
  const sum = new Float64Array(columns);
  const squares = new Float64Array(columns);
  rows.forEach((row, r) => {
    if (row.length !== columns || row.some((value) => Number.isNaN(value))) {
      throw new MedleyError('STUDY_VALUES_INVALID', `training row ${r} is not ${columns} numbers`);
    }
    range.forEach(({ low, high }, c) => {
      const u = clampUnit((row[c]! - (low + high) / 2) / ((high - low) / 2));
      if (privacy) {
        // Noise is spent on the columns that are standardised alone.
        sum[c]! += kept[c] ? onGrid(u) : 0;
        squares[c]! += kept[c] ? onGrid(u * u) : 0;
        return;
      }
      sum[c]! += u;
      squares[c]! += u * u;
    });
  });
  return {
    count: Float64Array.of(rows.length),
    sum: sum.map((value) => value / weightCap),
    squares: squares.map((value) => value / weightCap),
  };
}

/**
 * Mean and scale per encoded column from an opened sum. Throws STUDY_SUM_INVALID when no rows within
 * the ranges can have made it.
 */
export function readStatistics(study: Study, charter: Charter, decoded: DecodedSlots): Statistics {
  const { weightCap } = charter.secureAggregation;
  const count = readWhole(decoded, 'count', 1, charter.roster.length * weightCap);
  const noise = statisticsTolerance(study, charter, count);
  const rounding = roundingOf(charter, count) + noise;
  const range = encodedRange(study);
  const mean = new Float64Array(range.length);
  const scale = new Float64Array(range.length);
  range.forEach(({ low, high }, c) => {
    const half = (high - low) / 2;
    const u = readMean(decoded, 'sum', { charter, count, rounding, low: -1, at: c });
    const squares = readMean(decoded, 'squares', { charter, count, rounding, at: c });
    const variance = squares - u * u;
    mean[c] = (low + high) / 2 + half * u;
    // Var is off by at most rounding·(1 + 2|u|) plus a square; below that it may be rounding alone,
    // and dividing by it would blow a constant column up.
    scale[c] =
      noise > 0
        ? half * Math.sqrt(Math.max(variance, LEAST_VARIANCE))
        : variance > 4 * rounding
          ? half * Math.sqrt(variance)
          : 1;
  });
  return { count, mean, scale };
}

/** How the model's input is standardised: numbers by the statistics, indicators left alone. */
export function standardisationFrom(study: Study, statistics: Statistics): Standardisation {
  const columns = encodedColumns(study);
  return {
    mean: Float64Array.from(columns, ({ standardise }, c) =>
      standardise ? statistics.mean[c]! : 0,
    ),
    scale: Float64Array.from(columns, ({ standardise }, c) =>
      standardise ? statistics.scale[c]! : 1,
    ),
  };
}

/** To the nearest multiple of the grid; stays within [−1, 1]. */
function onGrid(value: number): number {
  return Math.round(value / STATISTICS_GRID) * STATISTICS_GRID;
}

function clampUnit(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
