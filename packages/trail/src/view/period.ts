import { MedleyError } from '@medley/kit';
import type { ViewScope } from './line.ts';

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;
const DAY_MS = 86_400_000;

/**
 * A period as people write it: days (`2026-11-24`, in UTC) or instants with an offset
 * (`2026-11-24T08:00Z`). The day or instant `from` is the first that belongs to it; the day `to` is the
 * last that does, and the instant `to` the first that does not. Throws AUDIT_PERIOD for any other text
 * and for an end before the beginning.
 */
export function readPeriod(from?: string, to?: string): Pick<ViewScope, 'fromMs' | 'toMs'> {
  const fromMs = from === undefined ? undefined : instantOf(from);
  const toMs = to === undefined ? undefined : instantOf(to) + (DAY.test(to) ? DAY_MS : 0);
  // An empty period of two instants is one; a last day before the first is a slip.
  const least = to !== undefined && DAY.test(to) ? 1 : 0;
  if (fromMs !== undefined && toMs !== undefined && toMs < fromMs + least) {
    throw new MedleyError('AUDIT_PERIOD', `it ends (${to}) before it begins (${from})`);
  }
  return { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) };
}

function instantOf(text: string): number {
  const ms = DAY.test(text) || INSTANT.test(text) ? Date.parse(text) : NaN;
  // Date.parse rolls 30 February over in some forms; a day must come back as it was.
  const isSame =
    !DAY.test(text) || (!Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text));
  if (Number.isNaN(ms) || !isSame)
    throw new MedleyError('AUDIT_PERIOD', `no day or instant: ${text}`);
  return ms;
}
