import { sha256, utf8 } from '@medley/kit';
import { epsilonFromLosses } from '@medley/privacy';
import { draftCharter } from './draft.ts';
import { plannedCost, type PlannedCost } from './privacyTerms.ts';
import type { PrivacyTerms } from './privacy.ts';
import type { Study } from './study.ts';

/** Privacy that a study would have, before anybody is asked. */
export interface PrivacyPreview {
  readonly terms: PrivacyTerms;
  readonly cost: PlannedCost;
}

/**
 * What a study's privacy will be for so many hospitals, undefined without one: the same numbers as in
 * the charter. Throws what {@link draftCharter} throws, such as CHARTER_PRIVACY_NOISE.
 */
export function previewPrivacy(
  study: Study,
  { silos, modelParameters }: { readonly silos: number; readonly modelParameters: number },
): PrivacyPreview | undefined {
  if (!study.privacy) return undefined;
  const charter = draftCharter({
    consortium: 'preview',
    ...{ study, modelParameters },
    studyBytes: new Uint8Array(),
    modelBytes: new Uint8Array(),
    roster: Array.from({ length: silos }, (_, i) => {
      const silo = `silo-${i + 1}`;
      return { silo, identityKey: sha256(utf8(silo)) };
    }),
    log: { origin: 'preview', verifierKey: 'preview' },
    nowMs: Date.parse(study.expires) - 1,
    floors: { minSilos: 3, minSurvivors: 3, minPatients: 1 },
  });
  const cost = plannedCost(charter);
  return charter.privacy && cost && { terms: charter.privacy, cost };
}

/**
 * ε of all training rounds alone by privacy losses (PLD): the tight figure, for comparison with the
 * ledger's. Takes about a second. Undefined at level silo.
 */
export function tightTrainingCost({ terms }: PrivacyPreview, study: Study): number | undefined {
  if (terms.level !== 'record') return undefined;
  const { samplingRate: rate, noise, steps, delta } = terms;
  const mechanism = { rate, noiseMultiplier: noise.training, steps: steps * study.rounds.count };
  return epsilonFromLosses(mechanism, delta);
}

/** One sentence for people: what is promised to whom, and by which noise. */
export function privacySentence({ terms, cost }: PrivacyPreview): string {
  const promise = `epsilon ${cost.limit} at delta ${cost.delta} for each ${terms.unit} (one more or less, ${terms.accountant})`;
  const planned = `all rounds take ${cost.epsilon.toFixed(3)}`;
  const noise =
    terms.level === 'silo'
      ? `Skellam noise of variance ${terms.variance} at every hospital, of which ${terms.honest} are honest for certain`
      : `noise ${terms.noise.training} of clip norm ${terms.clipNorm}, sampling rate ${terms.samplingRate}, ${terms.steps} steps a round`;
  return `${promise}; ${planned}; ${noise}`;
}
