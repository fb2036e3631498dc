import { documentHash, MedleyError } from '@medley/kit';
import { composeRdp, epsilonFromRdp, type RdpEpsilon } from '../accountant/rdp.ts';
import {
  contentOf,
  UNITS,
  type Adjacency,
  type LedgerEntry,
  type PrivacyUnit,
  type Release,
} from './entry.ts';

/** The most that may be spent: ε, from 0, at δ in (0, 1). */
export interface PrivacyLimit {
  readonly epsilon: number;
  readonly delta: number;
}

/** What a release would do to a limit; every ε at the limit's δ. */
export interface Forecast {
  readonly limit: PrivacyLimit;
  /** Before. */
  readonly spent: number;
  /** The release on its own. */
  readonly asked: number;
  /** Both together; at most their sum, because orders add up and not ε. */
  readonly after: number;
  readonly fits: boolean;
}

/** What one study took. */
export interface StudyShare {
  readonly study: string;
  readonly releases: number;
  /** ε of the study's releases on their own. */
  readonly epsilon: number;
  /** Time of its last release. */
  readonly last: string;
}

/** What a debit is held against. */
export interface BudgetLimits {
  /** Of the site: for all releases of the data set. */
  readonly site: PrivacyLimit;
  /** Of the charter: for the releases of its study. */
  readonly charter?: PrivacyLimit;
}

/** ε of all entries at `delta`; 0 for none. Throws PRIVACY_PARAMETERS_INVALID. */
export function spent(entries: readonly LedgerEntry[], delta: number): RdpEpsilon {
  return epsilonFromRdp(composeRdp(entries.map(({ curve }) => curve)), delta);
}

/** ε between what is spent and the limit, from 0. What a study may still take, `wouldSpend` says. */
export function left(entries: readonly LedgerEntry[], limit: PrivacyLimit): number {
  return Math.max(0, limit.epsilon - spent(entries, limit.delta).epsilon);
}

/** What-if: the limit after a release of that curve. Nothing is debited. */
export function wouldSpend(
  entries: readonly LedgerEntry[],
  curve: ArrayLike<number>,
  limit: PrivacyLimit,
): Forecast {
  const before = composeRdp(entries.map((entry) => entry.curve));
  const after = epsilonFromRdp(composeRdp([before, curve]), limit.delta).epsilon;
  return {
    limit,
    spent: epsilonFromRdp(before, limit.delta).epsilon,
    asked: epsilonFromRdp(curve, limit.delta).epsilon,
    after,
    fits: after <= limit.epsilon,
  };
}

/** What each study took, in the order in which they came. */
export function studyShares(entries: readonly LedgerEntry[], delta: number): readonly StudyShare[] {
  const byStudy = new Map<string, LedgerEntry[]>();
  for (const entry of entries) {
    const own = byStudy.get(entry.study);
    if (own) own.push(entry);
    else byStudy.set(entry.study, [entry]);
  }
  return [...byStudy].map(([study, own]) => ({
    study,
    releases: own.length,
    epsilon: spent(own, delta).epsilon,
    last: own.at(-1)!.time,
  }));
}

/**
 * Whom the sum protects, undefined for an empty ledger: the finest unit of any entry, because what
 * hides a whole silo hides each of its patients, and what hides a patient each of their records.
 */
export function protectedUnit(
  entries: readonly LedgerEntry[],
): { readonly unit: PrivacyUnit; readonly adjacency: Adjacency } | undefined {
  const [first] = entries;
  const unit = UNITS.find((one) => entries.some((entry) => entry.unit === one));
  return first && unit && { unit, adjacency: first.adjacency };
}

/**
 * Decides on a debit. The entry that paid for it when the release was debited before with the same
 * content; undefined when it is new and within every limit, to be appended.
 *
 * Throws PRIVACY_BUDGET_EXCEEDED with the arithmetic, PRIVACY_RELEASE_REUSED for another content under
 * the same id, PRIVACY_ADJACENCY_MIXED, PRIVACY_PARAMETERS_INVALID.
 */
export function decideDebit(
  entries: readonly LedgerEntry[],
  release: Release,
  limits: BudgetLimits,
): LedgerEntry | undefined {
  const content = contentOf(release);
  const paid = entries.find(({ id }) => id === content.id);
  if (paid) {
    if (documentHash(contentOfEntry(paid)) === documentHash(content)) return paid;
    throw new MedleyError(
      'PRIVACY_RELEASE_REUSED',
      `release ${content.id} was debited as entry ${paid.sequence} for study ${paid.study}`,
    );
  }
  const { adjacency = content.adjacency } = entries[0] ?? {};
  if (adjacency !== content.adjacency) {
    throw new MedleyError(
      'PRIVACY_ADJACENCY_MIXED',
      `release ${content.id} is counted as ${content.adjacency}, the ledger as ${adjacency}`,
    );
  }
  demandRoom(entries, content.curve, limits.site, "the site's limit");
  if (limits.charter) {
    const own = entries.filter(({ study }) => study === content.study);
    demandRoom(own, content.curve, limits.charter, `the limit of study ${content.study}'s charter`);
  }
  return undefined;
}

function demandRoom(
  entries: readonly LedgerEntry[],
  curve: readonly number[],
  limit: PrivacyLimit,
  whose: string,
): void {
  const forecast = wouldSpend(entries, curve, limit);
  // Not `after > limit`: whatever is not a number is refused too.
  if (forecast.fits) return;
  throw new MedleyError('PRIVACY_BUDGET_EXCEEDED', `${arithmetic(forecast)}, ${whose}`);
}

/** The sum of a forecast in words: spent, asked, together, limit. */
export function arithmetic({ spent: before, asked, after, limit, fits }: Forecast): string {
  const together = `epsilon ${epsilonFigure(before)} spent and ${epsilonFigure(asked)} asked make ${epsilonFigure(after)}`;
  return `${together}, ${fits ? 'within' : 'above'} ${limit.epsilon} at delta ${limit.delta}`;
}

/** ε for people: four significant digits, rounded up, so that it never looks like less. */
export function epsilonFigure(epsilon: number): string {
  if (!Number.isFinite(epsilon) || epsilon > 1e15) return 'without bound';
  if (epsilon === 0) return '0';
  const unit = 10 ** (Math.floor(Math.log10(epsilon)) - 3);
  return String(Number((Math.ceil(epsilon / unit - 1e-9) * unit).toPrecision(4)));
}

function contentOfEntry(entry: LedgerEntry): unknown {
  const { id, study, round, mechanism, unit, adjacency, curve } = entry;
  const rest = { id, study, mechanism, unit, adjacency, curve };
  return round === undefined ? rest : { ...rest, round };
}
