import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, isMedleyError } from '@medley/kit';
import { epsilonFromRdp, rdpOf } from '@medley/privacy';
import fc from 'fast-check';
import type { Charter } from './charter.ts';
import { checkCharter, draftCharter, readCharter } from './draft.ts';
import { DEFAULT_FLOORS } from './floors.ts';
import { kindOfRound, lastRound, layoutFor, planDocument } from './plan.ts';
import { noiseTail, plannedCost, roundPrice } from './privacyTerms.ts';
import { CREATED_MS, MODEL_BYTES, pretendRoster, recurrence } from './recurrence.ts';
import { checkSpend, readSpend, spendStatement } from './spend.ts';
import { isTrained } from './split.ts';

const RECORD =
  'privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }';
const SILO = 'privacy: { level: silo, epsilon: 8, delta: 1e-5 }';

/** The example study with a privacy block, local steps and other texts replaced. */
function written(block: string, edits: readonly (readonly [string | RegExp, string])[] = []) {
  return recurrence((yaml) =>
    [['localEpochs: 2', 'localSteps: 5'] as const, ...edits].reduce(
      (text, [from, to]) => text.replace(from, to),
      `${yaml}${block}\n`,
    ),
  );
}

function charterOf(
  { study, studyBytes }: ReturnType<typeof recurrence>,
  { silos = 5, modelParameters = 7 } = {},
): Charter {
  return draftCharter({
    consortium: 'breast-cancer',
    ...{ study, studyBytes, modelParameters },
    modelBytes: MODEL_BYTES,
    roster: pretendRoster(silos),
    log: { origin: 'medley/breast-cancer', verifierKey: 'medley/breast-cancer+00000000+AAAA' },
    nowMs: CREATED_MS,
    floors: DEFAULT_FLOORS,
  });
}

function fault(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return `${caught.code} ${caught.message}`;
    throw caught;
  }
  return 'ok';
}

describe('the privacy of a study file', () => {
  test('is none unless the file says so', () => {
    const { study } = recurrence();
    expect(study.privacy).toBeUndefined();
    expect(study.split).toEqual({ train: 0.66, seed: 'medley-demo' });
  });

  test('of level record splits by patient and takes its rate from the expected batch', () => {
    const { study } = written(
      'privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, patientColumn: pid }',
      [['minPatients: 20', 'minPatients: 128']],
    );
    expect(study.privacy).toEqual({
      ...{ level: 'record', epsilon: 4, delta: 1e-5, clipNorm: 1 },
      ...{ samplingRate: 0.25, patientColumn: 'pid' },
    });
    expect(study.split.method).toBe('hash');
  });

  test.each<[string, string, readonly (readonly [string, string])[], RegExp]>([
    ['both epsilon and noise', RECORD.replace('epsilon', 'noiseMultiplier: 1, epsilon'), [], /study\.yaml:30: privacy needs exactly one/],
    ['no clip norm', RECORD.replace('clipNorm: 1,', ''), [], /study\.yaml:30: privacy of level record needs clipNorm/],
    ['epochs', RECORD, [['localSteps: 5', 'localEpochs: 2']], /study\.yaml:19: training .*localSteps/],
    ['a delta that hospitals are too large for', RECORD.replace('1e-5', '2e-4'), [], /study\.yaml:30: privacy\.delta must be below 1\/5000/],
    ['a shuffle as split', RECORD, [['seed: medley-demo', 'seed: s, method: shuffle']], /split\.method must be hash/],
    ['a feature that names patients', RECORD.replace('samplingRate', 'patientColumn: age, samplingRate'), [], /patientColumn must be no feature/],
    ['a lot above the cohort', RECORD.replace(', samplingRate: 0.1', ''), [], /needs a samplingRate/],
    ['an unknown key', RECORD.replace('clipNorm', 'clip'), [], /study\.yaml:30.*"clip"/],
    ['a sampling rate at level silo', SILO.replace('}', ', samplingRate: 0.1 }'), [], /privacy\.samplingRate belongs to level record/],
    ['federated statistics at level silo', SILO, [], /needs standardise: false/],
  ])('is refused with %s, and the line is named', (_, block, edits, message) => {
    expect(fault(() => written(block, edits))).toMatch(message);
    expect(fault(() => written(block, edits))).toMatch(/^STUDY_FILE_INVALID/);
  }); // prettier-ignore
});

describe('a charter with privacy of level record', () => {
  const files = written(RECORD);
  const charter = charterOf(files);
  const terms = charter.privacy!;

  test('has noise for which all rounds together cost just the target', () => {
    const cost = plannedCost(charter)!;
    expect(cost.epsilon).toBeLessThanOrEqual(4);
    expect(cost.epsilon).toBeGreaterThan(3.99);
    expect(terms).toMatchObject({ level: 'record', unit: 'record', steps: 5, lotSize: 32 });
  });

  test('costs what the accountant says of each mechanism by itself, added up by order', () => {
    if (terms.level !== 'record') throw new Error('level');
    const { training, statistics, evaluation } = terms.noise;
    const curves = [
      rdpOf({ rate: 0.1, noiseMultiplier: training, steps: 150 }),
      rdpOf({ rate: 1, noiseMultiplier: statistics, steps: 1 }),
      rdpOf({ rate: 1, noiseMultiplier: evaluation, steps: 1 }),
    ];
    const sum = curves[0]!.map((value, i) => value + curves[1]![i]! + curves[2]![i]!);
    expect(plannedCost(charter)!.epsilon).toBeCloseTo(epsilonFromRdp(sum, 1e-5).epsilon, 10);
  });

  test('is read back, agreed to by who recomputes it, and part of every round’s plan', () => {
    expect(readCharter(canonicalBytes(charter))).toEqual(charter);
    checkCharter(charter, files.study, files.studyBytes, MODEL_BYTES, { modelParameters: 7 });
    expect(planDocument(files.study, charter, 'training')).toHaveProperty('privacy');
  });

  test('with less noise than the target needs is refused by everyone who reads it', () => {
    if (terms.level !== 'record') throw new Error('level');
    const noise = { ...terms.noise, training: terms.noise.training * 0.98 };
    const weaker = { ...charter, privacy: { ...terms, noise } };
    expect(fault(() => readCharter(canonicalBytes(weaker)))).toMatch(
      /^CHARTER_PRIVACY_COST all rounds cost epsilon 4\./,
    );
  });

  test.each([
    ['a larger limit', { epsilon: 40 }],
    ['a larger delta', { delta: 1e-4 }],
    ['a larger clip norm', { clipNorm: 2 }],
    ['a lower rate on paper', { samplingRate: 0.01 }],
    ['fewer steps on paper', { steps: 1 }],
    ['another unit', { unit: 'patient' as const }],
  ])('that says %s than the study file is no match', (_, change) => {
    const other = { ...charter, privacy: { ...terms, ...change } as Charter['privacy'] & object };
    const check = (): void =>
      checkCharter(other, files.study, files.studyBytes, MODEL_BYTES, { modelParameters: 7 });
    expect(fault(check)).toMatch(/^CHARTER_(MISMATCH privacy|PRIVACY_COST)/);
  });

  test('sums only what has noise: no losses, no exact counts, one weight for all', () => {
    const names = (kind: 'statistics' | 'training' | 'evaluation'): string[] =>
      layoutFor(files.study, charter, kind).map(({ name }) => name);
    expect(names('statistics')).toEqual(['count', 'sum', 'squares']);
    expect(names('training')).toEqual(['update', 'weight']);
    expect(names('evaluation')).toEqual(['positives', 'negatives']);
  });

  test('with given noise states the epsilon that follows', () => {
    const given = charterOf(written(RECORD.replace('epsilon: 4', 'noiseMultiplier: 1.5')));
    expect(given.privacy).toMatchObject({ noise: { training: 1.5 } });
    const { epsilon, limit } = plannedCost(given)!;
    expect(limit - epsilon).toBeGreaterThanOrEqual(0);
    expect(limit - epsilon).toBeLessThan(0.0011);
  });

  test('without one has the hash and layout that it always had', () => {
    const plain = charterOf(recurrence());
    expect('privacy' in plain).toBe(false);
    expect(roundPrice(plain, 'training')).toBeUndefined();
    expect(planDocument(recurrence().study, plain, 'training')).not.toHaveProperty('privacy');
  });
});

describe('a charter with privacy of level silo', () => {
  const edits = [
    ['standardise: true', 'standardise: false'],
    ['bits: 22', 'bits: 14'],
  ] as const;
  const files = written(SILO, edits);
  const large = { silos: 60, modelParameters: 50 };

  test('is calibrated to the survivors that are honest for certain', () => {
    const charter = charterOf(files, large);
    // n = 60: t = minSurvivors = 41, so that 2t > n + 21: 20 of any 41 survivors are honest.
    expect(charter.privacy).toMatchObject({ level: 'silo', unit: 'silo', honest: 20 });
    const { epsilon } = plannedCost(charter)!;
    expect(epsilon).toBeLessThanOrEqual(8);
    expect(epsilon).toBeGreaterThan(7.9);
    if (charter.privacy?.level !== 'silo') throw new Error('level');
    const fewer = { ...charter, privacy: { ...charter.privacy, honest: 41 } };
    expect(fault(() => readCharter(canonicalBytes(fewer)))).toMatch(
      /CHARTER_PRIVACY_NOISE 41 survivors of which 21 may collude leave 20 honest, not 41/,
    );
  });

  test('has no rounds but training rounds', () => {
    const { study } = files;
    expect(lastRound(study)).toBe(30);
    expect([0, 1, 30, 31].map((round) => kindOfRound(study, round))).toEqual([
      ...[undefined, 'training', 'training', undefined],
    ]);
  });

  test('is refused where noise drowns the update, with the arithmetic: 3 silos, a million numbers', () => {
    expect(fault(() => charterOf(files, { silos: 3, modelParameters: 1_000_000 }))).toMatch(
      /^CHARTER_PRIVACY_NOISE noise of [\d.]+ clip norms in the sum of 3 silos and 1000000 coordinates has length [\d.]+·√1000000\/3 = [\d.]+ clip norms in the mean, above 1/,
    );
  });

  test('is refused where noise is finer than the sampler reaches', () => {
    const fine = written(SILO, [edits[0]]);
    expect(fault(() => charterOf(fine, large))).toMatch(/fewer secureAggregation\.bits than 22/);
  });

  test('leaves room for the noise in the ring: refused where words alone would fit', () => {
    const narrow = written(SILO, [edits[0], ['bits: 22', 'bits: 7, ringBits: 16']]);
    const charter = charterOf(narrow, large);
    const bits = charter.secureAggregation.bits;
    expect(60 * 2 ** (bits - 1) + noiseTail(charter)).toBeLessThan(2 ** 15);
    const wider = written(SILO, [edits[0], ['bits: 22', 'bits: 8, ringBits: 16']]);
    expect(60 * 2 ** 7).toBeLessThan(2 ** 15);
    expect(fault(() => charterOf(wider, large))).toMatch(
      /^CHARTER_OVERFLOW 60 silos of 8 bits and noise of up to \d+ overflow 16 bits/,
    );
  });
});

describe('a statement of what was spent', () => {
  const charter = charterOf(written(RECORD));
  const draft = {
    charter,
    silo: 'hospital-2',
    round: 3,
    kind: 'training',
    entry: 'ab'.repeat(32),
  } as const;
  const statement = spendStatement({ ...draft, epsilon: 1.25 });

  test('is read back from its bytes and holds for its own round alone', () => {
    expect(readSpend(canonicalBytes(statement))).toEqual(statement);
    checkSpend(statement, charter, draft);
    for (const other of [
      { ...draft, round: 4 },
      { ...draft, silo: 'hospital-1' },
    ]) {
      expect(fault(() => checkSpend(statement, charter, other))).toMatch(
        /^PRIVACY_STATEMENT_INVALID/,
      );
    }
  });

  test.each([
    ['more than the limit', { epsilon: 4.1 }],
    ['another mechanism', { mechanism: { kind: 'sampledGaussian', parameters: { rate: 0.01 } } }],
    ['another limit', { limit: 400 }],
  ])('with %s is refused', (_, change) => {
    const other = { ...statement, ...change };
    expect(fault(() => checkSpend(other, charter, draft))).toMatch(/^PRIVACY_STATEMENT_INVALID/);
  });

  test('is one byte form of closed keys', () => {
    for (const text of [
      `${JSON.stringify(statement)} `,
      JSON.stringify({ ...statement, patients: 3 }),
      '[]',
      '\u00ff',
    ]) {
      expect(fault(() => readSpend(Buffer.from(text)))).toMatch(/^PRIVACY_STATEMENT_INVALID/);
    }
  });
});

describe('the split by patient', () => {
  test('gives each one a part that hangs on nobody else, in the share that is asked for', () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => `p${i}`);
    const trained = ids.filter((id) => isTrained(id, 0.66, 'seed', 'site')).length;
    // Binomial: five deviations are a false alarm of one in two million seeds.
    expect(Math.abs(trained - 13_200)).toBeLessThan(5 * Math.sqrt(20_000 * 0.66 * 0.34));
    fc.assert(
      fc.property(fc.string(), fc.string(), (id, salt) => {
        expect(isTrained(id, 0.5, 's', salt)).toBe(isTrained(id, 0.5, 's', salt));
      }),
    );
  });

  // A hospital that updates Medley in mid-study must not train on yesterday's test patients.
  test('is the same in every release', () => {
    const parts = Array.from({ length: 12 }, (_, i) => Number(isTrained(`${i}`, 0.5, 's', 'a')));
    expect(parts.join('')).toBe('100001000110');
  });
});
