import { describe, expect, test } from '@jest/globals';
import { codeOf, termsFor } from '../../../tests/support/secagg.ts';
import { checkTerms, defaultThreshold, sessionId, type SessionTerms } from './session.ts';

const good = termsFor(5);

describe('checkTerms accepts', () => {
  test.each([3, 4, 5, 50, 200])('%i silos with the default threshold', (n) => {
    expect(codeOf(() => checkTerms(termsFor(n)))).toBeUndefined();
  });

  test('1,023 silos would fit 22 bits in the ring, and 23 bits do for 200', () => {
    const layout = [{ name: 'u', length: 1, bound: 1, bits: 23 }];
    expect(codeOf(() => checkTerms(termsFor(200, { layout })))).toBeUndefined();
  });
});

describe('checkTerms refuses', () => {
  const slot = good.layout[0]!;
  const entry = good.roster[0]!;
  const cases: [string, Partial<Record<keyof SessionTerms, unknown>>, string][] = [
    ['another protocol version', { protocolVersion: 1 }, 'SECAGG_TERMS_VERSION'],
    ['another suite', { suite: 0 }, 'SECAGG_TERMS_VERSION'],
    ['another ring', { ringBits: 64 }, 'SECAGG_TERMS_VERSION'],
    ['a model hash that is no hash', { modelHash: 'abc' }, 'SECAGG_TERMS_FIELD'],
    ['a negative round', { round: -1 }, 'SECAGG_TERMS_FIELD'],
    ['an attempt zero', { attempt: 0 }, 'SECAGG_TERMS_FIELD'],
    ['an infinite clipping norm', { clipNormL2: Infinity }, 'SECAGG_TERMS_FIELD'],
    ['a weight cap of zero', { weightCap: 0 }, 'SECAGG_TERMS_FIELD'],
    ['a study without a name', { study: '' }, 'SECAGG_TERMS_FIELD'],
    ['two silos', { roster: good.roster.slice(0, 2) }, 'SECAGG_TERMS_ROSTER'],
    ['a roster out of order', { roster: good.roster.toReversed() }, 'SECAGG_TERMS_ROSTER'],
    ['an index that stands twice', { roster: [entry, ...good.roster] }, 'SECAGG_TERMS_ROSTER'],
    [
      'one identity key for two silos',
      { roster: [...good.roster, { ...entry, index: 6, silo: 'other' }] },
      'SECAGG_TERMS_ROSTER',
    ],
    [
      'one name for two silos',
      { roster: [...good.roster, { index: 6, silo: 'silo-1', identityKey: new Uint8Array(32) }] },
      'SECAGG_TERMS_ROSTER',
    ],
    [
      'a short identity key',
      { roster: [{ ...entry, identityKey: new Uint8Array(31) }, ...good.roster.slice(1)] },
      'SECAGG_TERMS_ROSTER',
    ],
    [
      'a threshold of exactly half',
      { threshold: 2, roster: termsFor(4).roster },
      'SECAGG_TERMS_THRESHOLD',
    ],
    ['a threshold above the roster', { threshold: 6 }, 'SECAGG_TERMS_THRESHOLD'],
    ['two survivors', { threshold: 3, minSurvivors: 2 }, 'SECAGG_TERMS_SURVIVORS'],
    ['fewer survivors than the threshold', { minSurvivors: 3 }, 'SECAGG_TERMS_SURVIVORS'],
    ['more survivors than silos', { minSurvivors: 6 }, 'SECAGG_TERMS_SURVIVORS'],
    ['an empty layout', { layout: [] }, 'SECAGG_TERMS_LAYOUT'],
    ['a slot that stands twice', { layout: [slot, slot] }, 'SECAGG_TERMS_LAYOUT'],
    ['a slot of no length', { layout: [{ ...slot, length: 0 }] }, 'SECAGG_TERMS_LAYOUT'],
    ['a bound that is not finite', { layout: [{ ...slot, bound: NaN }] }, 'SECAGG_TERMS_LAYOUT'],
    ['one bit', { layout: [{ ...slot, bits: 1 }] }, 'SECAGG_TERMS_LAYOUT'],
    [
      'a slot name out of the alphabet',
      { layout: [{ ...slot, name: '__proto__' }] },
      'SECAGG_TERMS_LAYOUT',
    ],
    [
      'a vector over a gibibyte',
      { layout: [{ ...slot, length: 2 ** 28 + 1 }] },
      'SECAGG_TERMS_LAYOUT',
    ],
    ['a sum that could wrap', { layout: [{ ...slot, bits: 30 }] }, 'SECAGG_TERMS_OVERFLOW'],
  ];
  test.each(cases)('%s', (_title, change, code) => {
    const terms = { ...good, ...change } as SessionTerms;
    expect(codeOf(() => checkTerms(terms))).toBe(code);
  });

  test('bits at the very edge: 8 silos times 2^28 is exactly half of the ring', () => {
    const edge = (bits: number) => termsFor(8, { layout: [{ ...slot, bits }] });
    expect(codeOf(() => checkTerms(edge(29)))).toBe('SECAGG_TERMS_OVERFLOW');
    expect(codeOf(() => checkTerms(edge(28)))).toBeUndefined();
  });
});

describe('sessionId', () => {
  test('changes with every single term', () => {
    const other = termsFor(6).roster;
    const changes: Partial<SessionTerms>[] = [
      { federation: 'x' },
      { study: 'x' },
      { charterHash: '0'.repeat(64) },
      { round: 4 },
      { attempt: 2 },
      { kind: 'x' },
      { roster: other },
      { roster: good.roster.map((entry) => ({ ...entry, identityKey: other[5]!.identityKey })) },
      { threshold: 5 },
      { minSurvivors: 5 },
      { layout: good.layout.map((slot) => ({ ...slot, bits: 21 })) },
      { layout: good.layout.map((slot) => ({ ...slot, bound: 0.25 })) },
      { layout: good.layout.toReversed() },
      { clipNormL2: 3 },
      { weightCap: 5001 },
      { modelHash: '0'.repeat(64) },
      { planHash: '0'.repeat(64) },
    ];
    const ids = [good, ...changes.map((change) => ({ ...good, ...change }))].map((terms) =>
      Buffer.from(sessionId(terms)).toString('hex'),
    );
    expect(new Set(ids).size).toBe(changes.length + 1);
  });

  test('does not depend on the order in which fields were written', () => {
    const reversed = Object.fromEntries(Object.entries(good).reverse()) as unknown as SessionTerms;
    expect(sessionId(reversed)).toEqual(sessionId(good));
  });
});

test('the default threshold is above two thirds', () => {
  expect([3, 4, 5, 6, 7, 10, 200].map(defaultThreshold)).toEqual([3, 3, 4, 5, 5, 7, 134]);
});
