import { InvalidArgumentError } from 'commander';
import { timestamp } from '@medley/kit';

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Reads `--from`: a day in UTC begins at midnight, a time (RFC 3339) is itself. Gives RFC 3339 in UTC with
 * milliseconds. A fault of usage otherwise.
 */
export function beginningOf(text: string): string {
  return timestamp(instantOf(text));
}

/** Reads `--to`, which is not part of the period: a day counts as a whole, up to the next midnight. */
export function endOf(text: string): string {
  return timestamp(instantOf(text) + (DATE.test(text) ? DAY_MS : 0));
}

function instantOf(text: string): number {
  const ms = DATE.test(text) || TIME.test(text) ? Date.parse(text) : NaN;
  // Days that do not exist roll over to the next month elsewhere; here they are faults.
  const isDay = Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text.slice(0, 10));
  if (Number.isFinite(ms) && (isDay || !DATE.test(text))) return ms;
  throw new InvalidArgumentError(
    'It must be a day (2026-11-30) or a time with zone (2026-11-30T18:00:00Z).',
  );
}
