import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import {
  addInto,
  checkTerms,
  decodeSum,
  packVector,
  reduceVector,
  slotStep,
  unpackVector,
  type VectorLayout,
} from '@medley/secagg';
import fc from 'fast-check';
import type { Charter } from './charter.ts';
import { checkInvariants, finestBits } from './floors.ts';
import { layoutFor, roundTerms } from './plan.ts';
import { pretendRoster, recurrence, recurrenceCharter } from './recurrence.ts';

const { study } = recurrence();
const base = recurrenceCharter();
const RINGS = [32, 16, 12] as const;
const NO_HASH = 'ab'.repeat(32);

type Aggregation = Charter['secureAggregation'];

function charterOf(n: number, change: Partial<Aggregation>): Charter {
  const roster = pretendRoster(n).map(({ silo, identityKey }, i) => ({
    ...{ index: i + 1, silo },
    identityKey: Buffer.from(identityKey).toString('base64'),
  }));
  const threshold = Math.floor((2 * n) / 3) + 1;
  const minSurvivors = Math.max(3, threshold);
  return {
    ...base,
    roster,
    secureAggregation: { ...base.secureAggregation, threshold, minSurvivors, ...change },
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}

/** The most bits with n·2^(b−1) < 2^(R−1), found by trying. */
function mostBits(n: number, ringBits: number): number {
  let bits = 1;
  while (n * 2 ** bits < 2 ** (ringBits - 1)) bits += 1;
  return bits;
}

describe('the sum of a round cannot overflow its ring', () => {
  test('planning admits the last quantiser that fits and refuses the next, for 3 to 200 silos', () => {
    for (let n = 3; n <= 200; n++) {
      for (const ringBits of RINGS) {
        const bits = mostBits(n, ringBits);
        const at = (b: number) =>
          codeOf(() => checkInvariants(charterOf(n, { ringBits, bits: b, weightCap: 1000 })));
        expect([n, ringBits, at(bits), at(bits + 1)]).toEqual([
          ...[n, ringBits],
          'ok',
          'CHARTER_OVERFLOW',
        ]);
      }
    }
  });

  test('planning admits the largest weight cap that stays exact and refuses the next', () => {
    for (let n = 3; n <= 200; n++) {
      const top = 2 ** (finestBits(n) - 1) - 1;
      const at = (weightCap: number) =>
        codeOf(() => checkInvariants(charterOf(n, { weightCap, bits: 20 })));
      expect([n, at(top), at(top + 1)]).toEqual([n, 'ok', 'CHARTER_OVERFLOW']);
    }
  });

  test('the session refuses what planning refuses', () => {
    for (const [n, ringBits] of [
      [3, 12],
      [17, 16],
      [200, 16],
      [200, 32],
    ] as const) {
      const bits = mostBits(n, ringBits);
      const terms = (b: number) =>
        roundTerms({
          ...{ charter: charterOf(n, { ringBits, bits: b }), study, kind: 'training' },
          ...{ round: 1, attempt: 1, modelHash: NO_HASH },
        });
      expect(codeOf(() => checkTerms(terms(bits)))).toBe('ok');
      expect(codeOf(() => checkTerms(terms(bits + 1)))).toBe('SECAGG_TERMS_OVERFLOW');
    }
  });

  test('at the exact boundary the sum of n extreme vectors decodes to n times the extreme', () => {
    const cases = fc.record({
      n: fc.integer({ min: 3, max: 200 }),
      ringBits: fc.constantFrom(...RINGS),
      kind: fc.constantFrom('statistics', 'training', 'evaluation'),
      isLow: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ n, ringBits, kind, isLow }) => {
        const bits = mostBits(n, ringBits);
        const weightCap = 2 ** (finestBits(n) - 1) - 1;
        const charter = charterOf(n, { ringBits, bits, weightCap });
        checkInvariants(charter);
        const layout = layoutFor(study, charter, kind);
        const extreme = extremes(layout, isLow ? -1 : 1);
        const sum = new Uint32Array(extreme.length);
        for (let silo = 0; silo < n; silo++) addInto(sum, extreme);
        reduceVector(layout, sum);
        const opened = decodeSum(layout, unpackVector(layout, packVector(layout, sum)));
        for (const slot of layout) {
          const top = 2 ** (slot.bits - 1) - 1;
          const expected = n * (isLow ? -top : top) * slotStep(slot);
          expect(new Set(opened[slot.name])).toEqual(new Set([expected]));
        }
      }),
      { numRuns: 150 },
    );
  });

  test('one bit more would wrap: the bound is not merely cautious', () => {
    const n = 5;
    const bits = mostBits(n, 12) + 1;
    const layout: VectorLayout = [{ name: 'x', length: 1, bound: 1, bits, ringBits: 12 }];
    const sum = new Uint32Array(1);
    for (let silo = 0; silo < n; silo++) addInto(sum, extremes(layout, 1, 0));
    reduceVector(layout, sum);
    expect(decodeSum(layout, sum)['x']![0]).toBeLessThan(0);
  });
});

/** ±(2^(b−1) − 1 + beyond) in every coordinate, two's complement. */
function extremes(layout: VectorLayout, sign: 1 | -1, beyond = 0): Uint32Array {
  return Uint32Array.from(
    layout.flatMap(({ bits, length }) =>
      Array.from({ length }, () => sign * (2 ** (bits - 1) - 1 + beyond)),
    ),
  );
}
