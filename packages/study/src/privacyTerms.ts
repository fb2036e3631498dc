import { MedleyError } from '@medley/kit';
import {
  composeRdp,
  epsilonFromRdp,
  leastNoise,
  localVariance,
  noiseFor,
  noiseInMean,
  rdpOf,
  roundedNorm,
  skellamRdp,
  type PrivacyUnit,
  type Release,
} from '@medley/privacy';
import type { Charter } from './charter.ts';
import type { PrivacyTerms, RecordTerms, SiloTerms } from './privacy.ts';
import { rotatedLength } from './rotation.ts';
import type { Study } from './study.ts';

/** Shares of the study's privacy that one release of test figures and of statistics may take. */
const EVALUATION_SHARE = 0.1;
const STATISTICS_SHARE = 0.05;
/** The sampler's table ends here. */
const LARGEST_VARIANCE = 2e9;
/** Chance that noise leaves the ring in any coordinate of any round: e^−28 is below 10^−12. */
const OVERFLOW_NATS = 28;

/** Up to the next ten-thousandth, as people read it. */
const roundUp = (value: number): number => Number((Math.ceil(value * 1e4) / 1e4).toFixed(4));

/** A charter whose privacy is still to be found. */
type Unfinished = Omit<Charter, 'privacy'>;

/**
 * The terms that a study's privacy makes, undefined without one: noise calibrated to the target ε over
 * all rounds and local steps. `given` has the noise already, as a signed charter has; then nothing is
 * calibrated and only the rest is derived. Throws PRIVACY_TARGET_OUT_OF_REACH,
 * PRIVACY_PARAMETERS_INVALID.
 */
export function draftPrivacy(
  study: Study,
  charter: Unfinished,
  given?: PrivacyTerms,
): PrivacyTerms | undefined {
  const plan = study.privacy;
  if (!plan) return undefined;
  const common = { adjacency: 'addRemove', accountant: 'rdp/1', delta: plan.delta } as const;
  const finish = (terms: PrivacyTerms): PrivacyTerms => {
    if (plan.epsilon !== undefined) return terms;
    return {
      ...terms,
      epsilon: cents(epsilonOfCurve(plannedCurve({ ...charter, privacy: terms }), plan.delta)),
    };
  };
  if (plan.level === 'silo') {
    const { minSurvivors } = charter.secureAggregation;
    const honest = minSurvivors - colluding(charter);
    const base = {
      ...common,
      level: 'silo',
      unit: 'silo',
      honest,
      epsilon: plan.epsilon ?? 0,
    } as const;
    if (given?.level === 'silo') return finish({ ...base, variance: given.variance });
    const variance = siloVariance(charter, plan, honest);
    return finish({ ...base, variance });
  }
  const base = {
    ...common,
    level: 'record',
    unit: plan.patientColumn === undefined ? 'record' : 'patient',
    clipNorm: plan.clipNorm,
    samplingRate: plan.samplingRate,
    lotSize: study.training.batchSize,
    steps: study.training.localSteps ?? 1,
    epsilon: plan.epsilon ?? 0,
  } as const;
  if (given?.level === 'record') return finish({ ...base, noise: given.noise });
  return finish({ ...base, noise: recordNoise(study, charter, base) });
}

function recordNoise(
  study: Study,
  charter: Unfinished,
  base: Omit<RecordTerms, 'noise'>,
): RecordTerms['noise'] {
  const { delta, samplingRate: rate } = base;
  const steps = charter.rounds.count * base.steps;
  const multiplier = study.privacy?.noiseMultiplier;
  const target =
    study.privacy?.epsilon ??
    epsilonOfCurve(rdpOf({ rate, noiseMultiplier: multiplier ?? 1, steps }), delta);
  // One Gaussian release that costs all of the target; one of √(1/share) times its noise costs a share.
  const whole = noiseFor({ rate: 1, steps: 1, epsilon: target, delta });
  const evaluation = roundUp(whole / Math.sqrt(EVALUATION_SHARE));
  const statistics = study.training.standardise ? roundUp(whole / Math.sqrt(STATISTICS_SHARE)) : 0;
  if (multiplier !== undefined) return { training: multiplier, statistics, evaluation };
  const spends = (training: number): number => {
    const terms: RecordTerms = { ...base, noise: { training, statistics, evaluation } };
    return epsilonOfCurve(plannedCurve({ ...charter, privacy: terms }), delta);
  };
  return { training: roundUp(leastNoise(spends, target)), statistics, evaluation };
}

function siloVariance(
  charter: Unfinished,
  plan: { readonly epsilon?: number; readonly noiseMultiplier?: number; readonly delta: number },
  honest: number,
): number {
  const { normL2 } = quantisedNorm(charter);
  const local = (multiplier: number): number =>
    Math.ceil(localVariance((multiplier * normL2) ** 2, honest, 0));
  if (plan.noiseMultiplier !== undefined) return local(plan.noiseMultiplier);
  const spends = (multiplier: number): number => {
    const curve = skellamRdp(quantisedNorm(charter), local(multiplier) * honest);
    return epsilonOfCurve(
      curve.map((value) => value * charter.rounds.count),
      plan.delta,
    );
  };
  return local(leastNoise(spends, plan.epsilon ?? 0));
}

/** Bound of an update's norm in quantisation steps, after rounding. */
export function quantisedNorm(charter: Unfinished): {
  readonly normL2: number;
  readonly dimension: number;
} {
  const { rotation } = charter.secureAggregation;
  const dimension = rotation ? rotatedLength(charter.modelParameters) : charter.modelParameters;
  return {
    normL2: roundedNorm(charter.clipping.normL2 / updateStep(charter), dimension),
    dimension,
  };
}

/** What one unit of an update's integers stands for. */
export function updateStep({ clipping, secureAggregation }: Unfinished): number {
  return clipping.coordinate / (2 ** (secureAggregation.bits - 1) - 1);
}

/** Silos that may collude with the aggregator: the largest n_C with 2t > n + n_C. */
export function colluding({ roster, secureAggregation }: Unfinished): number {
  return Math.max(0, 2 * secureAggregation.threshold - roster.length - 1);
}

/** ε of a Rényi curve at δ. */
function epsilonOfCurve(curve: ArrayLike<number>, delta: number): number {
  return epsilonFromRdp(curve, delta).epsilon;
}

/** Up to the next thousandth, with room for the last bits of another machine's logarithms. */
function cents(epsilon: number): number {
  return Number((Math.ceil(epsilon * 1000 + 1e-6) / 1000).toFixed(3));
}

/** Curves of single steps: a charter's are asked for with every message of its rounds. */
const curves = new Map<string, Float64Array>();
const MOST_CURVES = 64;

function curveOf(rate: number, noiseMultiplier: number): Float64Array {
  const key = `${rate} ${noiseMultiplier}`;
  const curve = curves.get(key) ?? rdpOf({ rate, noiseMultiplier, steps: 1 });
  if (curves.size >= MOST_CURVES) curves.clear();
  curves.set(key, curve);
  return curve.slice();
}

/** What a round takes from the budget of every hospital in it; undefined where it takes nothing. */
export function roundPrice(
  charter: Charter,
  kind: 'statistics' | 'training' | 'evaluation',
): Pick<Release, 'mechanism' | 'curve' | 'unit' | 'adjacency'> | undefined {
  const { privacy } = charter;
  if (!privacy) return undefined;
  const { adjacency } = privacy;
  const unit: PrivacyUnit = privacy.unit;
  if (privacy.level === 'silo') {
    if (kind !== 'training') return undefined;
    const sum = quantisedNorm(charter);
    const { honest, variance } = privacy;
    const parameters = { honest, variance, dimension: sum.dimension };
    const curve = skellamRdp(sum, honest * variance);
    return { mechanism: { kind: 'skellam', parameters }, curve, unit, adjacency };
  }
  if (kind === 'training') {
    const { samplingRate: rate, steps, noise, clipNorm } = privacy;
    const noiseMultiplier = noise.training;
    const parameters = { rate, noiseMultiplier, steps, clipNorm };
    const curve = curveOf(rate, noiseMultiplier).map((value) => steps * value);
    return { mechanism: { kind: 'sampledGaussian', parameters }, curve, unit, adjacency };
  }
  const noiseMultiplier = privacy.noise[kind];
  if (noiseMultiplier === 0) return undefined;
  const curve = curveOf(1, noiseMultiplier);
  const mechanism = { kind: 'discreteGaussian', parameters: { noiseMultiplier } };
  return { mechanism, curve, unit, adjacency };
}

/** Rényi curve of all that the study will release of one hospital. */
export function plannedCurve(charter: Charter): Float64Array {
  const prices = (['statistics', 'evaluation'] as const).map((kind) => roundPrice(charter, kind));
  const training = roundPrice(charter, 'training');
  const { count } = charter.rounds;
  return composeRdp(
    [...prices.flatMap((price) => price ?? []), ...(training ? [training] : [])].map((price) =>
      Float64Array.from(price.curve, (value) => (price === training ? count * value : value)),
    ),
  );
}

/** What a study will have cost a hospital at its end. */
export interface PlannedCost {
  /** At `delta`, by the ledger's accountant. */
  readonly epsilon: number;
  readonly delta: number;
  readonly limit: number;
}

/** Cost of the whole study as planned; undefined without privacy. */
export function plannedCost(charter: Charter): PlannedCost | undefined {
  const { privacy } = charter;
  if (!privacy) return undefined;
  const { delta, epsilon: limit } = privacy;
  return { epsilon: epsilonOfCurve(plannedCurve(charter), delta), delta, limit };
}

/**
 * Largest absolute value that the noise of all silos together has in any coordinate of any round, but
 * for a chance of e^−28: Bernstein's bound of a sum of Skellam variables. 0 without such noise.
 */
export function noiseTail(charter: Charter): number {
  if (charter.privacy?.level !== 'silo') return 0;
  const variance = charter.roster.length * charter.privacy.variance;
  const { dimension } = quantisedNorm(charter);
  const nats = OVERFLOW_NATS + Math.log(2 * dimension * charter.rounds.count);
  return Math.ceil(nats / 3 + Math.sqrt((nats / 3) ** 2 + 2 * variance * nats));
}

/**
 * What holds of every charter's privacy: the planned cost is within its limit, noise is left by honest
 * survivors, it fits the sampler, and it does not drown the update. Throws CHARTER_PRIVACY_COST,
 * CHARTER_PRIVACY_NOISE with the arithmetic.
 */
export function checkPrivacy(charter: Charter): void {
  const { privacy } = charter;
  if (!privacy) return;
  if (privacy.level === 'silo') checkNoise(charter, privacy);
  const planned = epsilonOfCurve(plannedCurve(charter), privacy.delta);
  // One part in a million: another machine's logarithms may differ in their last bits.
  if (!(planned <= privacy.epsilon * (1 + 1e-6))) {
    throw new MedleyError(
      'CHARTER_PRIVACY_COST',
      `all rounds cost epsilon ${planned.toFixed(4)} at delta ${privacy.delta}, the limit is ${privacy.epsilon}`,
    );
  }
}

function checkNoise(charter: Charter, { honest, variance }: SiloTerms): void {
  const refuse = (what: string): never => {
    throw new MedleyError('CHARTER_PRIVACY_NOISE', what);
  };
  const { roster, secureAggregation, clipping } = charter;
  const n = roster.length;
  const may = colluding(charter);
  if (honest < 1 || honest > secureAggregation.minSurvivors - may) {
    refuse(
      `${secureAggregation.minSurvivors} survivors of which ${may} may collude leave ${secureAggregation.minSurvivors - may} honest, not ${honest}`,
    );
  }
  const { dimension } = quantisedNorm(charter);
  const sigma = (Math.sqrt(n * variance) * updateStep(charter)) / clipping.normL2;
  const ratio = noiseInMean(sigma, dimension, n);
  if (ratio > 1) {
    refuse(
      `noise of ${sigma.toFixed(2)} clip norms in the sum of ${n} silos and ${dimension} coordinates has length ` +
        `${sigma.toFixed(2)}·√${dimension}/${n} = ${ratio.toFixed(1)} clip norms in the mean, above 1: it drowns every update`,
    );
  }
  if (!(variance > 0 && variance <= LARGEST_VARIANCE)) {
    refuse(
      `noise of variance ${variance} in squared steps is above ${LARGEST_VARIANCE}: take fewer secureAggregation.bits than ${secureAggregation.bits}`,
    );
  }
}
