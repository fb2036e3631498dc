import { MedleyError, documentHash, type Json } from '@medley/kit';
import type { SessionTerms, Slot, VectorLayout } from '@medley/secagg';
import { charterHash, rosterEntries, type Charter } from './charter.ts';
import { finestBits } from './floors.ts';
import { rotatedLength } from './rotation.ts';
import { encodedColumns, featureCount, type Study } from './study.ts';

/**
 * What a round adds up. Round 0 is `statistics` where the study standardises and is left out where it
 * does not; rounds 1…R are `training`; round R+1 is `evaluation` of the final model.
 */
export type RoundKind = 'statistics' | 'training' | 'evaluation';

/** What one silo hands to the encoder: slot name to values. */
export type SlotValues = Readonly<Record<string, Float64Array>>;

/** What the decoder gives for an opened sum: slot name to sums over the survivors. */
export type DecodedSlots = Readonly<Record<string, Float64Array>>;

/**
 * A row's loss counts as at most this, so that its sum has a bound. A row costs more only where the
 * model gave the truth a probability below e^−20, about 2·10⁻⁹.
 */
export const LOSS_CAP = 20;

/** Number of the study's first round: 0 where it standardises, else 1. */
export function firstRound(study: Study): number {
  return study.training.standardise ? 0 : 1;
}

/**
 * Number of the study's last round, the evaluation. With privacy of whole silos there is none: test
 * figures would need noise that hides a hospital.
 */
export function lastRound(study: Study): number {
  return study.rounds.count + (study.privacy?.level === 'silo' ? 0 : 1);
}

/** Kind of round number `round`, undefined where the study has no such round. */
export function kindOfRound(study: Study, round: number): RoundKind | undefined {
  if (!Number.isInteger(round) || round < firstRound(study) || round > lastRound(study)) {
    return undefined;
  }
  if (round === 0) return 'statistics';
  return round > study.rounds.count ? 'evaluation' : 'training';
}

/**
 * Slots of a round's vector in order. Sums of rows are divided by weightCap, so that every slot but
 * the counts and the update has bound 1; counts have step 1 and are exact. All but the update take
 * the finest quantiser that the roster allows.
 */
export function layoutFor(study: Study, charter: Charter, kind: RoundKind): VectorLayout {
  const fine = finestBits(charter.roster.length);
  const whole = (name: string, length = 1): Slot => ({
    name,
    length,
    bound: 2 ** (fine - 1) - 1,
    bits: fine,
  });
  const unit = (name: string, length = 1): Slot => ({ name, length, bound: 1, bits: fine });
  const { scoreBins } = study.evaluation;
  const { ringBits, rotation } = charter.secureAggregation;
  const histograms = [whole('positives', scoreBins), whole('negatives', scoreBins)];
  const evaluation = charter.privacy
    ? histograms
    : [whole('testCount'), unit('testLoss'), unit('brier'), ...histograms];
  switch (kind) {
    case 'statistics': {
      const columns = featureCount(study);
      return [whole('count'), unit('sum', columns), unit('squares', columns)];
    }
    case 'training':
      return [
        {
          name: 'update',
          length: rotation ? rotatedLength(charter.modelParameters) : charter.modelParameters,
          bound: charter.clipping.coordinate,
          bits: charter.secureAggregation.bits,
          ...(ringBits !== 32 && { ringBits }),
        },
        whole('weight'),
        // What has no noise of its own is left out of a private study's sums.
        ...(charter.privacy ? [] : [unit('trainLoss'), ...evaluation]),
      ];
    case 'evaluation':
      return evaluation;
  }
}

/** What every silo computes in a round of this kind, as one canonical document. */
export function planDocument(study: Study, charter: Charter, kind: RoundKind): Json {
  return {
    medley: 'plan/v1',
    kind,
    columns: encodedColumns(study).map(({ name, standardise }) => ({ name, standardise })),
    outcome: { ...study.outcome },
    split: { ...study.split },
    minPatients: charter.cohort.minPatients,
    training: { ...study.training, optimizer: { ...study.training.optimizer } },
    strategy: study.strategy.kind,
    clipping: { ...charter.clipping },
    lossCap: LOSS_CAP,
    ...(charter.privacy && { privacy: { ...charter.privacy } as Json }),
    layout: layoutFor(study, charter, kind).map((slot) => ({ ...slot })),
  };
}

/** What a round's session is bound to beside the charter. */
export interface RoundRequest {
  readonly charter: Charter;
  readonly study: Study;
  readonly kind: RoundKind;
  readonly round: number;
  /** From 1. */
  readonly attempt: number;
  /** Hash of the model state that the round starts from, hex. */
  readonly modelHash: string;
}

/**
 * Terms of one attempt of one round, derived on both sides and never taken from the wire. Throws
 * STUDY_ROUND_INVALID when the charter knows no such round, kind or attempt, CHARTER_MISMATCH when the
 * study is not the charter's.
 */
export function roundTerms(request: RoundRequest): SessionTerms {
  const { charter, study, kind, round, attempt, modelHash } = request;
  const { secureAggregation } = charter;
  if (charter.study !== study.name || charter.rounds.count !== study.rounds.count) {
    throw new MedleyError('CHARTER_MISMATCH', 'the charter belongs to another study');
  }
  if (kindOfRound(study, round) !== kind) {
    throw new MedleyError('STUDY_ROUND_INVALID', `round ${round} is not a ${kind} round`);
  }
  if (!Number.isInteger(attempt) || attempt < 1 || attempt > secureAggregation.maxAttempts) {
    throw new MedleyError('STUDY_ROUND_INVALID', `attempt ${attempt} of round ${round}`);
  }
  return {
    protocolVersion: secureAggregation.protocolVersion,
    suite: secureAggregation.suite,
    federation: charter.consortium,
    study: charter.study,
    charterHash: charterHash(charter),
    round,
    attempt,
    kind,
    roster: rosterEntries(charter),
    threshold: secureAggregation.threshold,
    minSurvivors: secureAggregation.minSurvivors,
    ringBits: 32,
    layout: layoutFor(study, charter, kind),
    clipNormL2: charter.clipping.normL2,
    weightCap: secureAggregation.weightCap,
    modelHash,
    planHash: documentHash(planDocument(study, charter, kind)),
  };
}
