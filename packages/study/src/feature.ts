import { MedleyError } from '@medley/kit';
import { featureCount, type Feature, type Study } from './study.ts';

/** One patient as a connector gives it: column name to value. Values never go into a message. */
export type Row = Readonly<Record<string, number | string | undefined>>;

/** Inclusive bounds of one encoded column, after transform and before standardisation. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/**
 * Checks one value against its feature. `where` (a file and line, say) starts the message. Throws
 * DATA_MISSING_VALUE, DATA_VALUE_INVALID, DATA_NOT_FINITE, DATA_CATEGORY_UNKNOWN or
 * DATA_OUT_OF_RANGE, naming column and place only.
 */
export function checkValue(
  feature: Feature,
  value: number | string | undefined,
  where: string,
): void {
  if (value === undefined || value === '') {
    throw new MedleyError('DATA_MISSING_VALUE', `${where}: ${feature.name} has no value`);
  }
  if (feature.type === 'category') {
    if (typeof value !== 'string' || !feature.categories.includes(value)) {
      throw new MedleyError(
        'DATA_CATEGORY_UNKNOWN',
        `${where}: ${feature.name} is none of ${feature.categories.join(', ')}`,
      );
    }
    return;
  }
  if (typeof value !== 'number') {
    throw new MedleyError('DATA_VALUE_INVALID', `${where}: ${feature.name} is not a number`);
  }
  if (!Number.isFinite(value)) {
    throw new MedleyError('DATA_NOT_FINITE', `${where}: ${feature.name} is not finite`);
  }
  const [low, high] = feature.range;
  if (value < low || value > high) {
    throw new MedleyError(
      'DATA_OUT_OF_RANGE',
      `${where}: ${feature.name} is outside ${low} to ${high}`,
    );
  }
}

/**
 * One row as model input before standardisation, `[featureCount]`, owned by the caller: numbers
 * transformed, categories as k−1 indicators. Throws as {@link checkValue} does.
 */
export function encodeRow(study: Study, row: Row, where = 'row'): Float64Array {
  const encoded = new Float64Array(featureCount(study));
  let at = 0;
  for (const feature of study.features) {
    const value = Object.hasOwn(row, feature.name) ? row[feature.name] : undefined;
    checkValue(feature, value, where);
    if (feature.type === 'number') {
      // checkValue admits only numbers for a number feature.
      encoded[at++] = transformed(feature.transform, value as number);
    } else {
      for (const category of feature.categories.slice(1))
        encoded[at++] = value === category ? 1 : 0;
    }
  }
  return encoded;
}

/** Bounds of every encoded column in order; they scale the federated statistics. */
export function encodedRange(study: Study): readonly Bounds[] {
  return study.features.flatMap((feature): Bounds[] =>
    feature.type === 'number'
      ? [
          {
            low: transformed(feature.transform, feature.range[0]),
            high: transformed(feature.transform, feature.range[1]),
          },
        ]
      : feature.categories.slice(1).map(() => ({ low: 0, high: 1 })),
  );
}

function transformed(transform: 'none' | 'log1p', value: number): number {
  return transform === 'log1p' ? Math.log1p(value) : value;
}

/**
 * The answer of one row, or undefined when it is not known: follow-up ended before the horizon
 * without the event. An event at exactly the horizon counts as within. Throws DATA_MISSING_VALUE or
 * DATA_VALUE_INVALID.
 */
export function outcomeOf(study: Study, row: Row, where = 'row'): 0 | 1 | undefined {
  const { outcome } = study;
  if (outcome.kind === 'binary') return flag(row, outcome.column, where);
  const event = flag(row, outcome.event, where);
  const days = Object.hasOwn(row, outcome.time) ? row[outcome.time] : undefined;
  if (days === undefined || days === '') {
    throw new MedleyError('DATA_MISSING_VALUE', `${where}: ${outcome.time} has no value`);
  }
  if (typeof days !== 'number' || !Number.isFinite(days) || days < 0) {
    throw new MedleyError('DATA_VALUE_INVALID', `${where}: ${outcome.time} is not a count of days`);
  }
  if (event === 1 && days <= outcome.horizonDays) return 1;
  return days >= outcome.horizonDays ? 0 : undefined;
}

function flag(row: Row, column: string, where: string): 0 | 1 {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  if (value === undefined || value === '') {
    throw new MedleyError('DATA_MISSING_VALUE', `${where}: ${column} has no value`);
  }
  if (value === 0 || value === '0') return 0;
  if (value === 1 || value === '1') return 1;
  throw new MedleyError('DATA_VALUE_INVALID', `${where}: ${column} is neither 0 nor 1`);
}
