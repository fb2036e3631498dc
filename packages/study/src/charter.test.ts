import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, isMedleyError, toHex, sha256 } from '@medley/kit';
import fc from 'fast-check';
import { charterHash, rosterEntries, type Charter } from './charter.ts';
import { checkCharter, draftCharter, readCharter, type CharterDraft } from './draft.ts';
import { DEFAULT_FLOORS, finestBits } from './floors.ts';
import {
  CREATED_MS,
  MODEL_BYTES,
  pretendRoster,
  recurrence,
  recurrenceCharter,
} from './recurrence.ts';

const { study, studyBytes } = recurrence();
const base: CharterDraft = {
  consortium: 'breast-cancer',
  study,
  studyBytes,
  modelBytes: MODEL_BYTES,
  modelParameters: 7,
  roster: pretendRoster(5),
  log: { origin: 'medley/breast-cancer', verifierKey: 'key' },
  nowMs: CREATED_MS,
  floors: DEFAULT_FLOORS,
};
const CODES = [
  'CHARTER_INVALID',
  'CHARTER_ROSTER_INVALID',
  'CHARTER_FLOOR_TOO_WEAK',
  'CHARTER_OVERFLOW',
  'CHARTER_EXPIRED',
];

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}

function withLine(from: string | RegExp, to: string): Partial<CharterDraft> {
  return recurrence((yaml) => yaml.replace(from, to));
}

describe('drafting a charter', () => {
  test('takes the terms from the study and fills in safe floors', () => {
    const charter = draftCharter(base);
    expect(charter.secureAggregation).toEqual({
      suite: 1,
      protocolVersion: 2,
      ringBits: 32,
      rotation: false,
      threshold: 4,
      minSurvivors: 4,
      maxAttempts: 3,
      bits: 22,
      weightCap: 5000,
    });
    expect(charter.files).toEqual({
      study: toHex(sha256(studyBytes)),
      model: toHex(sha256(MODEL_BYTES)),
    });
    expect(charter.roster.map(({ index, silo }) => [index, silo])).toEqual([
      [1, 'hospital-1'],
      [2, 'hospital-2'],
      [3, 'hospital-3'],
      [4, 'hospital-4'],
      [5, 'hospital-5'],
    ]);
    expect(charter.created).toBe('2026-11-23T08:00:00.000Z');
  });

  test.each<[string, Partial<CharterDraft>, string]>([
    ['two silos', { roster: pretendRoster(2) }, 'CHARTER_ROSTER_INVALID'],
    [
      'fewer silos than the consortium wants',
      { floors: { ...DEFAULT_FLOORS, minSilos: 6 } },
      'CHARTER_ROSTER_INVALID',
    ],
    [
      'a silo twice',
      { roster: [...pretendRoster(3), pretendRoster(1)[0]!] },
      'CHARTER_ROSTER_INVALID',
    ],
    [
      'a key that is not 32 bytes',
      { roster: pretendRoster(3).map((m) => ({ ...m, identityKey: new Uint8Array(31) })) },
      'CHARTER_ROSTER_INVALID',
    ],
    [
      'a threshold of half',
      withLine('bits: 22', 'threshold: 2, minSurvivors: 3, bits: 22'),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'a threshold above the roster',
      withLine('bits: 22', 'threshold: 6, bits: 22'),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'survivors below the threshold',
      withLine('bits: 22', 'minSurvivors: 3, bits: 22'),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'survivors above the roster',
      withLine('bits: 22', 'minSurvivors: 6, bits: 22'),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'fewer survivors than the consortium wants',
      { floors: { ...DEFAULT_FLOORS, minSurvivors: 5 } },
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'fewer patients than the consortium wants',
      { floors: { ...DEFAULT_FLOORS, minPatients: 21 } },
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'bits that overflow for many silos',
      { ...withLine('bits: 22', 'bits: 28'), roster: pretendRoster(16) },
      'CHARTER_OVERFLOW',
    ],
    [
      'a cap that overflows for many silos',
      { ...withLine('weightCap: 5000', 'weightCap: 33554432'), roster: pretendRoster(64) },
      'CHARTER_OVERFLOW',
    ],
    ['a cap below the cohort', withLine('weightCap: 5000', 'weightCap: 19'), 'CHARTER_OVERFLOW'],
    ['a study that has expired', { nowMs: Date.parse('2028-01-01T00:00:00Z') }, 'CHARTER_EXPIRED'],
    ['a consortium that is no name', { consortium: 'Breast Cancer' }, 'CHARTER_INVALID'],
    ['a model without parameters', { modelParameters: 0 }, 'CHARTER_INVALID'],
  ])('refuses %s', (_, change, code) => {
    expect(codeOf(() => draftCharter({ ...base, ...change }))).toBe(code);
  });

  test('allows exactly 2t > n, and no fewer silos than three in a sum', () => {
    const drafted = draftCharter({
      ...base,
      ...withLine('bits: 22', 'threshold: 3, minSurvivors: 3, bits: 22'),
    });
    expect(drafted.secureAggregation.threshold).toBe(3);
    expect(draftCharter({ ...base, roster: pretendRoster(3) }).secureAggregation).toMatchObject({
      threshold: 3,
      minSurvivors: 3,
    });
  });

  test('leaves room in the ring for every roster', () => {
    for (let n = 3; n <= 200; n++) {
      expect(n * 2 ** (finestBits(n) - 1)).toBeLessThan(2 ** 31);
      expect(n * 2 ** finestBits(n)).toBeGreaterThanOrEqual(finestBits(n) === 30 ? 0 : 2 ** 31);
    }
  });
});

describe('reading a charter', () => {
  const charter = recurrenceCharter();
  const bytes = canonicalBytes(charter);

  test('gives back what was written, under one hash', () => {
    expect(readCharter(bytes)).toEqual(charter);
    expect(charterHash(charter)).toBe(toHex(sha256(bytes)));
    expect(rosterEntries(charter)).toEqual(
      pretendRoster(5).map((member, i) => ({ index: i + 1, ...member })),
    );
  });

  test.each<[string, (charter: Charter) => object, string]>([
    ['an unknown key', (c) => ({ ...c, extra: 1 }), 'CHARTER_INVALID'],
    ['another version', (c) => ({ ...c, version: 2 }), 'CHARTER_INVALID'],
    [
      'another suite',
      (c) => ({ ...c, secureAggregation: { ...c.secureAggregation, suite: 2 } }),
      'CHARTER_INVALID',
    ],
    [
      'indices out of order',
      (c) => ({ ...c, roster: [...c.roster].reverse() }),
      'CHARTER_ROSTER_INVALID',
    ],
    [
      'a weaker threshold',
      (c) => ({ ...c, secureAggregation: { ...c.secureAggregation, threshold: 2 } }),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'one survivor',
      (c) => ({ ...c, secureAggregation: { ...c.secureAggregation, minSurvivors: 1 } }),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    ['no such day', (c) => ({ ...c, created: '2026-99-23T08:00:00.000Z' }), 'CHARTER_EXPIRED'],
    [
      'a doubled key',
      (c) => ({
        ...c,
        roster: c.roster.map((m) => ({ ...m, identityKey: c.roster[0]!.identityKey })),
      }),
      'CHARTER_ROSTER_INVALID',
    ],
  ])('refuses %s', (_, change, code) => {
    expect(codeOf(() => readCharter(canonicalBytes(change(charter))))).toBe(code);
  });

  test('refuses another byte form of the same charter', () => {
    const text = new TextDecoder().decode(bytes);
    expect(codeOf(() => readCharter(new TextEncoder().encode(` ${text}`)))).toBe('CHARTER_INVALID');
    expect(codeOf(() => readCharter(new Uint8Array(70_000)))).toBe('CHARTER_INVALID');
    expect(codeOf(() => readCharter(new TextEncoder().encode('['.repeat(50_000))))).toBe(
      'CHARTER_INVALID',
    );
  });

  test('answers truncated and mutated bytes with its own codes only', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, value, cut) => {
        const hostile = bytes.slice(0, cut > at ? cut : bytes.length);
        const same = hostile.length === bytes.length && hostile[at] === value;
        hostile[at] = value;
        const code = codeOf(() => readCharter(hostile));
        if (code === 'ok') {
          // What is still a charter is another one.
          expect(same || charterHash(readCharter(hostile)) !== charterHash(charter)).toBe(true);
        } else {
          expect(CODES).toContain(code);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('checking a charter against the files', () => {
  const charter = recurrenceCharter();

  test('accepts the files it was drafted from', () => {
    expect(() =>
      checkCharter(charter, study, studyBytes, MODEL_BYTES, { modelParameters: 7 }),
    ).not.toThrow();
  });

  test.each<[string, (c: Charter) => Charter]>([
    ['title', (c) => ({ ...c, title: 'Another' })],
    ['expires', (c) => ({ ...c, expires: '2030-01-01T00:00:00.000Z' })],
    ['clipping', (c) => ({ ...c, clipping: { normL2: 9, coordinate: 0.5 } })],
    ['rounds', (c) => ({ ...c, rounds: { ...c.rounds, count: 31 } })],
    ['cohort', (c) => ({ ...c, cohort: { minPatients: 1 } })],
    [
      'secureAggregation',
      (c) => ({ ...c, secureAggregation: { ...c.secureAggregation, maxAttempts: 99 } }),
    ],
    ['files.study', (c) => ({ ...c, files: { ...c.files, study: '0'.repeat(64) } })],
    ['files.model', (c) => ({ ...c, files: { ...c.files, model: '0'.repeat(64) } })],
    ['modelParameters', (c) => ({ ...c, modelParameters: 8 })],
  ])('refuses a charter with another %s', (field, change) => {
    const run = () =>
      checkCharter(change(charter), study, studyBytes, MODEL_BYTES, { modelParameters: 7 });
    expect(codeOf(run)).toBe('CHARTER_MISMATCH');
    expect(run).toThrow(field);
  });
});
