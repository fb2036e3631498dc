import { MedleyError } from '@medley/kit';
import type { Charter } from './charter.ts';
import { finestBits } from './floors.ts';
import type { DecodedSlots } from './plan.ts';

/** Throws STUDY_WEIGHT_TOO_LARGE when one silo has more rows than `weightCap`. */
export function checkRows(rows: number, weightCap: number): void {
  if (rows > weightCap) {
    throw new MedleyError('STUDY_WEIGHT_TOO_LARGE', `more than ${weightCap} rows`);
  }
}

/** Throws DATA_TOO_FEW_ROWS when a silo is below the study's cohort.minPatients. */
export function checkCohort(rows: number, charter: Charter): void {
  if (rows < charter.cohort.minPatients) {
    throw new MedleyError(
      'DATA_TOO_FEW_ROWS',
      `fewer than ${charter.cohort.minPatients} training rows`,
    );
  }
}

/** One number of an opened sum. Throws STUDY_SUM_INVALID when the slot lacks it. */
export function readAt(decoded: DecodedSlots, name: string, at = 0): number {
  const value = decoded[name]?.[at];
  if (value === undefined || !Number.isFinite(value)) {
    throw new MedleyError('STUDY_SUM_INVALID', `slot ${name} lacks element ${at}`);
  }
  return value;
}

/** A whole number of an opened sum in [low, high]. Throws STUDY_SUM_INVALID. */
export function readWhole(
  decoded: DecodedSlots,
  name: string,
  low: number,
  high: number,
  at = 0,
): number {
  const value = readAt(decoded, name, at);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new MedleyError(
      'STUDY_SUM_INVALID',
      `slot ${name}[${at}] is no count from ${low} to ${high}`,
    );
  }
  // Not −0, which canonical JSON and a second reader would write as 0.
  return value + 0;
}

/**
 * Greatest error of a mean over `count` rows that rounding n fine slots of bound 1 and scale
 * 1/weightCap can make.
 */
export function roundingOf(charter: Charter, count: number): number {
  const n = charter.roster.length;
  const step = 1 / (2 ** (finestBits(n) - 1) - 1);
  return (n * step * charter.secureAggregation.weightCap) / Math.max(1, count);
}

/** What a mean over rows is read with. */
export interface MeanOptions {
  readonly charter: Charter;
  /** Rows in the sum, at least 1. */
  readonly count: number;
  /** From {@link roundingOf}. */
  readonly rounding: number;
  /** −1 or 0: each row's term lies in [low, 1]. */
  readonly low?: -1 | 0;
  readonly at?: number;
}

/**
 * Mean per row from a slot that holds Σ terms / weightCap with every term in [low, 1], brought back
 * into that range where rounding left it. Throws STUDY_SUM_INVALID when it is outside by more.
 */
export function readMean(decoded: DecodedSlots, name: string, options: MeanOptions): number {
  const { charter, count, rounding, low = 0, at = 0 } = options;
  const mean = (readAt(decoded, name, at) * charter.secureAggregation.weightCap) / count;
  if (mean < low - rounding || mean > 1 + rounding) {
    throw new MedleyError(
      'STUDY_SUM_INVALID',
      `slot ${name}[${at}] is beyond what rows can add up to`,
    );
  }
  return Math.min(1, Math.max(low, mean)) + 0;
}
