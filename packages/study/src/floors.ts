import { MedleyError, fromBase64 } from '@medley/kit';
import type { Charter } from './charter.ts';
import { checkPrivacy, noiseTail } from './privacyTerms.ts';

/** What a consortium refuses to go below, whatever a study asks for. */
export interface Floors {
  /** Silos in a roster; never less than 3. */
  readonly minSilos: number;
  /** Silos whose updates are in a sum that is opened; never less than 3. */
  readonly minSurvivors: number;
  /** Training rows that a silo must have. */
  readonly minPatients: number;
}

/** Floors where a consortium states none: 11 is the usual small-cell limit of health statistics. */
export const DEFAULT_FLOORS: Floors = { minSilos: 3, minSurvivors: 3, minPatients: 11 };

/**
 * Bits of a slot that carries a bounded sum exactly as finely as the ring allows: the largest b with
 * n·2^(b−1) < 2^31, at most 30. Depends on the size of the roster alone.
 */
export function finestBits(silos: number): number {
  let bits = 30;
  while (silos * 2 ** (bits - 1) >= 2 ** 31) bits--;
  return bits;
}

/**
 * What holds for every charter, of any consortium: a roster of distinct silos and keys, a safe
 * threshold, no overflow, privacy at the cost it states, a life that ends after it begins. Throws CHARTER_ROSTER_INVALID,
 * CHARTER_FLOOR_TOO_WEAK, CHARTER_OVERFLOW, CHARTER_PRIVACY_COST, CHARTER_PRIVACY_NOISE or
 * CHARTER_EXPIRED.
 */
export function checkInvariants(charter: Charter): void {
  checkRoster(charter);
  const n = charter.roster.length;
  const { threshold, minSurvivors, bits, ringBits, weightCap } = charter.secureAggregation;
  weak(
    2 * threshold <= n,
    `threshold ${threshold} of ${n} silos lets the aggregator open two sums`,
  );
  weak(threshold > n, `threshold ${threshold} cannot be met by ${n} silos`);
  weak(
    minSurvivors < Math.max(3, threshold),
    `minSurvivors ${minSurvivors} is below 3 or threshold`,
  );
  weak(minSurvivors > n, `minSurvivors ${minSurvivors} cannot be met by ${n} silos`);
  checkPrivacy(charter);
  // A sum of n signed b-bit words and their noise must stay in the ring's signed half.
  const tail = noiseTail(charter);
  if (n * 2 ** (bits - 1) + tail >= 2 ** (ringBits - 1)) {
    const noise = tail > 0 ? ` and noise of up to ${tail}` : '';
    throw new MedleyError(
      'CHARTER_OVERFLOW',
      `${n} silos of ${bits} bits${noise} overflow ${ringBits} bits`,
    );
  }
  if (weightCap > 2 ** (finestBits(n) - 1) - 1) {
    throw new MedleyError('CHARTER_OVERFLOW', `weightCap ${weightCap} does not fit for ${n} silos`);
  }
  if (charter.cohort.minPatients > weightCap) {
    throw new MedleyError('CHARTER_OVERFLOW', 'cohort.minPatients is above weightCap');
  }
  // NaN on either side (no such day) fails the comparison as well.
  if (!(Date.parse(charter.expires) > Date.parse(charter.created))) {
    throw new MedleyError('CHARTER_EXPIRED', 'the study expires before its charter begins');
  }
}

/** Throws CHARTER_ROSTER_INVALID or CHARTER_FLOOR_TOO_WEAK where a charter is below `floors`. */
export function checkFloors(charter: Charter, floors: Floors): void {
  if (charter.roster.length < floors.minSilos) {
    throw new MedleyError('CHARTER_ROSTER_INVALID', `a roster needs ${floors.minSilos} silos`);
  }
  const { minSurvivors } = charter.secureAggregation;
  weak(minSurvivors < floors.minSurvivors, `minSurvivors must be at least ${floors.minSurvivors}`);
  weak(
    charter.cohort.minPatients < floors.minPatients,
    `cohort.minPatients must be at least ${floors.minPatients}`,
  );
}

function checkRoster({ roster }: Charter): void {
  const fault = (what: string): never => {
    throw new MedleyError('CHARTER_ROSTER_INVALID', what);
  };
  if (roster.length < 3)
    fault(`a roster of ${roster.length} hides nobody in the sum; 3 are needed`);
  if (roster.length > 200) fault('a roster has at most 200 silos');
  roster.forEach((member, i) => {
    if (member.index !== i + 1) fault(`index ${member.index} stands at place ${i + 1}`);
    if (fromBase64(member.identityKey)?.length !== 32)
      fault(`key of ${member.silo} is not 32 bytes`);
  });
  if (new Set(roster.map(({ silo }) => silo)).size < roster.length) fault('a silo stands twice');
  if (new Set(roster.map(({ identityKey }) => identityKey)).size < roster.length) {
    fault('an identity key stands twice');
  }
}

function weak(isWeak: boolean, what: string): void {
  if (isWeak) throw new MedleyError('CHARTER_FLOOR_TOO_WEAK', what);
}
