import { MedleyError, type Json } from '@medley/kit';
import { arithmetic, wouldSpend, type Forecast } from '@medley/privacy';
import { plannedCost, plannedCurve, type Charter, type PrivacyTerms } from '@medley/study';
import type { BudgetLedger } from '../budget/ledger.ts';

/** What a study would do to this hospital's budget; undefined without differential privacy. */
export async function forecastOf(
  ledger: BudgetLedger,
  charter: Charter,
): Promise<Forecast | undefined> {
  if (!charter.privacy) return undefined;
  return wouldSpend(await ledger.entries(), plannedCurve(charter), ledger.limit);
}

/**
 * Refuses a study whose rounds together would pass this hospital's limit, before anybody signs. Throws
 * PRIVACY_BUDGET_EXCEEDED with the arithmetic.
 */
export function checkForecast(forecast: Forecast | undefined): void {
  if (!forecast || forecast.fits) return;
  throw new MedleyError('PRIVACY_BUDGET_EXCEEDED', `${arithmetic(forecast)}, the site's limit`);
}

/** Privacy of a study for machines; null without. */
export function privacyDocument(charter: Charter): Json {
  const cost = plannedCost(charter);
  if (!charter.privacy || !cost) return null;
  return { ...charter.privacy, planned: cost.epsilon };
}

/** The same for people, one fact a line. */
export function privacyLines(charter: Charter): readonly string[] {
  const { privacy } = charter;
  const cost = plannedCost(charter);
  if (!privacy || !cost) return ['none: sums of all hospitals are exact'];
  return [
    `epsilon ${String(cost.limit)} at delta ${String(cost.delta)} for each ${privacy.unit}; all rounds take ${cost.epsilon.toFixed(3)}`,
    mechanismText(privacy),
  ];
}

function mechanismText(privacy: PrivacyTerms): string {
  if (privacy.level === 'silo') {
    return `every hospital adds Skellam noise of variance ${String(privacy.variance)}; ${String(privacy.honest)} honest ones suffice`;
  }
  const { clipNorm, samplingRate, steps, noise } = privacy;
  return `${String(steps)} steps a round, each patient drawn at ${String(samplingRate)}, gradients clipped to ${String(clipNorm)}, noise ${String(noise.training)}`;
}
