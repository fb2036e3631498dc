import { afterEach, describe, expect, test } from '@jest/globals';
import { seededRng, utf8 } from '@medley/kit';
import { encodeVector, packVector, unpackVector } from '@medley/secagg';
import {
  EXAMPLE_STUDY,
  layoutFor,
  noiseTail,
  quantisedNorm,
  readStudy,
  type Charter,
} from '@medley/study';
import { Federation } from '../../../tests/support/hospitals.ts';
import { noisedVector } from './siloNoise.ts';

const written = (ring: string): Uint8Array =>
  utf8(
    EXAMPLE_STUDY.replace('count: 30', 'count: 2')
      .replace('localEpochs: 2', 'localSteps: 5')
      .replace('standardise: true', 'standardise: false')
      .replace('bits: 22', ring)
      .concat('privacy: { level: silo, noiseMultiplier: 0.5, delta: 1e-5 }\n'),
  );

let open: Federation | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function federation(ring = 'bits: 12'): Promise<Federation> {
  open = await Federation.open(5, {
    studyBytes: written(ring),
    privacy: { dataset: 'patients', epsilon: 1000, delta: 1e-6 },
  });
  return open;
}

function termsOf(charter: Charter): { readonly variance: number; readonly honest: number } {
  if (charter.privacy?.level !== 'silo') throw new Error('level');
  return charter.privacy;
}

describe('noise that hides a hospital', () => {
  test('runs whole studies: training rounds only, each paid for as a silo’s', async () => {
    const fed = await federation();
    await fed.runRound(1);
    await fed.runRound(2);
    for (const { parts, withdrawn } of fed.members) {
      const entries = await parts.ledger.entries();
      expect(entries.map(({ unit, mechanism }) => [unit, mechanism.kind])).toEqual([
        ['silo', 'skellam'],
        ['silo', 'skellam'],
      ]);
      expect(withdrawn).toEqual([]);
    }
    expect(fed.spends).toHaveLength(10);
  });

  // 2,000 draws: the sample variance lies within five standard errors but for one seed in 1.7 million.
  test('has the charter’s variance at each silo, so that the honest ones bring what was accounted', async () => {
    const { charter, study } = await federation();
    const { variance, honest } = termsOf(charter);
    const wanted = (0.5 * quantisedNorm(charter).normL2) ** 2;
    expect(variance * honest).toBeGreaterThanOrEqual(wanted);
    expect(variance * honest).toBeLessThan(wanted + honest);
    const [update, ...rest] = layoutFor(study, charter, 'training');
    const layout = [{ ...update!, length: 2000 }, ...rest];
    const { weightCap } = charter.secureAggregation;
    const values = { update: new Float64Array(2000), weight: Float64Array.of(weightCap) };
    const words = noisedVector(charter, layout, values, seededRng('skellam'));
    expect(words.at(-1)).toBe(weightCap);
    const noise = Array.from(words.subarray(0, 2000), (word) => word | 0);
    const found = noise.reduce((sum, one) => sum + one ** 2, 0) / noise.length;
    expect(Math.abs(found / variance - 1)).toBeLessThan(5 * Math.sqrt(2 / noise.length));
  });

  test('bounds what is hidden: no rounding of a clipped update is longer than was accounted', async () => {
    // 4 bits: a norm of 14 steps over 7 numbers, which rounding lengthens up to 15.9.
    const fed = await federation('bits: 4');
    const { study } = fed;
    const { privacy, ...plain } = fed.charter;
    const clipping = { ...plain.clipping, normL2: 1 };
    const quiet = { ...plain, clipping, privacy: { ...privacy!, variance: 2 ** -20 } } as Charter;
    const { normL2 } = quantisedNorm(quiet);
    const layout = layoutFor(study, quiet, 'training');
    const d = quiet.modelParameters;
    const update = new Float64Array(d).fill(1 / Math.sqrt(d));
    const values = { update, weight: Float64Array.of(1) };
    const rng = seededRng('rounding');
    const lengths = (encode: typeof plainly): number[] =>
      Array.from({ length: 200 }, () =>
        Math.hypot(...Array.from(encode().subarray(0, d), (word) => word | 0)),
      );
    const plainly = (): Uint32Array => encodeVector(layout, values, rng);
    expect(Math.max(...lengths(plainly))).toBeGreaterThan(normL2);
    const bounded = lengths(() => noisedVector(quiet, layout, values, rng));
    expect(Math.max(...bounded)).toBeLessThanOrEqual(normL2);
  });

  test('travels in a short ring without wrapping: the sum is the updates and noise within the tail', async () => {
    const fed = await federation('bits: 8, ringBits: 16');
    const { charter, study } = fed;
    const layout = layoutFor(study, charter, 'training');
    const d = charter.modelParameters;
    const values = {
      update: new Float64Array(d).fill(charter.clipping.coordinate),
      weight: Float64Array.of(1),
    };
    const tail = noiseTail(charter);
    expect(5 * 2 ** 7 + tail).toBeLessThan(2 ** 15);
    const rng = seededRng('ring');
    for (let round = 0; round < 40; round++) {
      const sum = new Uint32Array(d + 1);
      for (let silo = 0; silo < 5; silo++) {
        const words = noisedVector(charter, layout, values, rng);
        words.forEach((word, i) => (sum[i]! += word));
      }
      const travelled = unpackVector(layout, packVector(layout, sum));
      for (let i = 0; i < d; i++)
        expect(Math.abs((travelled[i]! | 0) - 5 * 127)).toBeLessThan(tail);
    }
  });
});

test('a study without such noise encodes as ever', async () => {
  const study = readStudy(utf8(EXAMPLE_STUDY), 'study.yaml');
  const fed = await Federation.open(3);
  try {
    const layout = layoutFor(study, fed.charter, 'evaluation');
    const values = Object.fromEntries(
      layout.map(({ name, length }) => [name, new Float64Array(length)]),
    );
    expect(noisedVector(fed.charter, layout, values, seededRng('a'))).toEqual(
      encodeVector(layout, values, seededRng('a')),
    );
  } finally {
    await fed.close();
  }
});
