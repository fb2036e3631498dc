import { beforeAll, describe, expect, test } from '@jest/globals';
import { buildMlp, buildTraining, initialParameters, Trainer } from '@medley/autodiff';
import { seededRng, systemClock } from '@medley/kit';
import { epsilonLowerBound, epsilonOf, noiseFor } from '@medley/privacy';
import type { RecordTerms, TrainingPlan } from '@medley/study';
import { descendPrivately } from './privateDescent.ts';

// One-run audit (Steinke, Nasr, Jagielski 2023) of the very code that trains at a hospital: 1,000 canaries,
// each in the data with probability ½; a weight of its own tells of each. The auditor looks at the
// trained weights alone and guesses for the 100 highest "in", for the 100 lowest "out".
const CANARIES = 1000;
const GUESSES = 200;
const DELTA = 1e-5;
const RATE = 0.5;
const STEPS = 10;
const CLAIMED = 2;

const model = buildMlp({
  ...{ features: CANARIES, hidden: [], outputs: 1, activation: 'tanh', seed: 'canary' },
  ...{ inputName: 'input', outputName: 'logit' },
});
const terms: RecordTerms = {
  ...{ level: 'record', unit: 'record', adjacency: 'addRemove', accountant: 'rdp/1' },
  ...{
    epsilon: CLAIMED,
    delta: DELTA,
    clipNorm: 1,
    samplingRate: RATE,
    lotSize: 100,
    steps: STEPS,
  },
  noise: {
    training: noiseFor({ rate: RATE, steps: STEPS, epsilon: CLAIMED, delta: DELTA }),
    statistics: 0,
    evaluation: 1,
  },
};
const plan: TrainingPlan = {
  ...{ loss: 'bce_with_logits', optimizer: { kind: 'sgd', momentum: 0 }, learningRate: 0.01 },
  ...{ batchSize: 100, localSteps: STEPS, standardise: false },
};

let trainer: Trainer;
beforeAll(async () => {
  trainer = await Trainer.open(
    buildTraining(model, {
      loss: 'bce_with_logits',
      optimizer: { kind: 'sgd' },
      privacy: { clip: terms.clipNorm, lotSize: terms.lotSize },
    }),
  );
  return () => trainer.close();
});

/** Lower bound of ε that one training shows, under these terms and this seed. */
async function audit(used: RecordTerms, seed: string): Promise<number> {
  const rng = seededRng(seed);
  const coins = Array.from(rng.bytes(CANARIES), (byte) => byte % 2 === 1);
  const inside = [...coins.keys()].filter((canary) => coins[canary]);
  const inputs = new Float32Array(inside.length * CANARIES);
  // Far longer gradients than the clip norm, each along a weight of its own.
  inside.forEach((canary, row) => (inputs[row * CANARIES + canary] = 100));
  const start = initialParameters(model);
  const { parameters } = await descendPrivately(
    {
      ...{ trainer, plan, terms: used, start, rng },
      examples: { inputs, labels: new Float32Array(inside.length).fill(1) },
      patients: inside.map((_, row) => [row]),
    },
    { clock: systemClock },
  );
  const weights = trainer.manifest.parameters.find(({ count }) => count === CANARIES)!;
  const moved = (canary: number): number =>
    parameters[weights.offset + canary]! - start[weights.offset + canary]!;
  const order = [...coins.keys()].sort((a, b) => moved(b) - moved(a));
  const [high, low] = [order.slice(0, GUESSES / 2), order.slice(-GUESSES / 2)];
  const correct =
    high.filter((canary) => coins[canary]).length + low.filter((canary) => !coins[canary]).length;
  return epsilonLowerBound(
    { canaries: CANARIES, guesses: GUESSES, correct },
    { delta: DELTA, falseAlarm: 0.05 },
  );
}

describe('an audit by canaries', () => {
  const silent = { ...terms, noise: { ...terms.noise, training: 1e-9 } };

  // Under a true claim a bound above it comes once in twenty seeds at most; all three here are below.
  test('of the training as it is finds no more than was claimed', async () => {
    expect(
      epsilonOf({ rate: RATE, steps: STEPS, noiseMultiplier: terms.noise.training }, DELTA),
    ).toBeLessThanOrEqual(CLAIMED);
    const bounds = await Promise.all(['a', 'b', 'c'].map((seed) => audit(terms, seed)));
    for (const bound of bounds) expect(bound).toBeLessThanOrEqual(CLAIMED);
    // The audit has teeth: it sees the canaries through the noise.
    expect(Math.max(...bounds)).toBeGreaterThan(0.2);
  });

  test('refutes the claim when the noise is switched off', async () => {
    const bound = await audit(silent, 'a');
    expect(bound).toBeGreaterThan(CLAIMED);
    expect(bound).toBeGreaterThan(CLAIMED / 2);
  });

  test('refutes the claim when the noise is a tenth of what was accounted', async () => {
    const tenth = { ...terms, noise: { ...terms.noise, training: terms.noise.training / 10 } };
    expect(await audit(tenth, 'a')).toBeGreaterThan(CLAIMED);
  });
});
