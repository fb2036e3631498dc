import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import fc from 'fast-check';
import { TestSession, signerOf, termsFor } from '../../../tests/support/secagg.ts';
import { chiSquareOneInAMillion, chiSquareUniform } from '../../../tests/support/statistics.ts';
import { addInto } from './arithmetic/ring.ts';
import { decodeSum, encodeVector, slotStep } from './arithmetic/quantize.ts';
import { planUnmask, removeMasks } from './coordinator/unmask.ts';
import { quorum, type SessionTerms } from './session.ts';
import { deliverables } from './coordinator/phase.ts';
import { mask } from './silo/mask.ts';
import { deserializeSilo, serializeSilo } from './silo/stored.ts';

interface Silos {
  readonly values: readonly Float64Array[];
  readonly vectors: readonly Uint32Array[];
}

function silosFor(terms: SessionTerms, seed: string): Silos {
  const rng = seededRng(seed);
  const values = terms.roster.map(() =>
    Float64Array.from({ length: 9 }, () => rng.bytes(1)[0]! / 256 - 0.5),
  );
  const vectors = values.map((update, i) =>
    encodeVector(terms.layout, { update, weight: Float64Array.of(100 + i) }, rng),
  );
  return { values, vectors };
}

/** What the drop-out table of the design says must come out. */
function expectedOutcome(terms: SessionTerms, stepsTaken: readonly number[]) {
  const reach = (step: number) => stepsTaken.flatMap((taken, i) => (taken >= step ? [i + 1] : []));
  const enough =
    reach(3).length >= quorum(terms) &&
    [4, 5].every((step) => reach(step).length >= terms.threshold);
  return { complete: enough, sharers: reach(2), survivors: reach(3) };
}

describe('a whole session', () => {
  const cases = fc.integer({ min: 3, max: 7 }).chain((n) =>
    fc.record({
      n: fc.constant(n),
      stepsTaken: fc.array(
        fc.oneof({ weight: 4, arbitrary: fc.constant(5) }, { weight: 1, arbitrary: fc.nat(5) }),
        { minLength: n, maxLength: n },
      ),
      restart: fc.boolean(),
      seed: fc.string(),
    }),
  );

  test('gives exactly the sum of the survivors, or aborts, for drop-outs at any step', () => {
    const outcomes = { complete: 0, aborted: 0 };
    fc.assert(
      fc.property(cases, ({ n, stepsTaken, restart, seed }) => {
        const threshold = Math.floor(n / 2) + 1;
        const terms = termsFor(n, { threshold, minSurvivors: Math.max(3, threshold) });
        const { values, vectors } = silosFor(terms, seed);
        const session = new TestSession({ terms, vectors, stepsTaken, restart, seed });
        const { coordinator } = session.runThrough('release');
        const expected = expectedOutcome(terms, stepsTaken);
        outcomes[expected.complete ? 'complete' : 'aborted'] += 1;
        expect(coordinator.phase).toBe(expected.complete ? 'complete' : 'aborted');
        if (!expected.complete) {
          expect(coordinator.abort?.code).toBe('SECAGG_TOO_FEW');
          return;
        }
        const sum = session.maskedSum();
        const plan = planUnmask(terms, coordinator);
        removeMasks(sum, plan);
        expect([...plan.seedKeys.keys()]).toEqual(expected.survivors);
        expect(plan.blamed).toEqual([]);
        const plain = new Uint32Array(sum.length);
        for (const silo of expected.survivors) addInto(plain, vectors[silo - 1]!);
        expect(sum).toEqual(plain);
        const decoded = decodeSum(terms.layout, sum);
        const weights = expected.survivors.reduce((total, silo) => total + 99 + silo, 0);
        expect(decoded['weight']![0]).toBe(weights);
        decoded['update']!.forEach((value, i) => {
          const exact = expected.survivors.reduce(
            (total, silo) => total + values[silo - 1]![i]!,
            0,
          );
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(n * slotStep(terms.layout[0]!));
        });
      }),
      { numRuns: 60, seed: 20_17 },
    );
    expect(outcomes.complete).toBeGreaterThan(10);
    expect(outcomes.aborted).toBeGreaterThan(10);
  });

  test.each([
    ['before its shares are complete', 1, 4, 0],
    ['between shares and vector: its pair masks are taken out', 2, 4, 4],
    ['after its vector: it still counts', 3, 5, 0],
    ['after its confirmation: it still counts', 4, 5, 0],
  ])('goes on without a silo lost %s', (_title, taken, survivors, pairMasks) => {
    const terms = termsFor(5);
    const { vectors } = silosFor(terms, 'one lost');
    const session = new TestSession({ terms, vectors, stepsTaken: [5, taken, 5, 5, 5] });
    const plan = planUnmask(terms, session.runThrough('release').coordinator);
    expect(plan.seedKeys.size).toBe(survivors);
    expect(plan.pairMasks).toHaveLength(pairMasks);
  });

  test('removes the masks in pieces as it does at once', () => {
    const terms = termsFor(5);
    const { vectors } = silosFor(terms, 'pieces');
    const session = new TestSession({ terms, vectors, stepsTaken: [5, 2, 5, 5, 5] });
    const plan = planUnmask(terms, session.runThrough('release').coordinator);
    const whole = session.maskedSum();
    const pieces = whole.slice();
    removeMasks(whole, plan);
    removeMasks(pieces.subarray(0, 4), plan, 0);
    removeMasks(pieces.subarray(4), plan, 4);
    expect(pieces).toEqual(whole);
  });

  test('repeats bit for bit when every state is written and read after every step', () => {
    const terms = termsFor(4);
    const { vectors } = silosFor(terms, 'restart');
    const stepsTaken = [5, 5, 5, 1];
    const [live, restarted] = [false, true].map((restart) =>
      new TestSession({ terms, vectors, stepsTaken, restart }).runThrough('release'),
    );
    expect(restarted!.coordinator).toEqual(live!.coordinator);
    expect(restarted!.maskedSum()).toEqual(live!.maskedSum());
    for (const [index, state] of live!.silos) {
      expect(restarted!.state(index)).toEqual(state);
      expect(deserializeSilo(serializeSilo(state), terms)).toEqual(state);
    }
  });

  test('silos with different models share no mask: the sum is noise', () => {
    const honest = termsFor(3);
    const other = { ...honest, modelHash: 'f'.repeat(64) };
    const vectors = honest.roster.map(() => new Uint32Array(10));
    const [a, b] = [honest, other].map((terms) =>
      new TestSession({ terms, vectors }).runThrough('mask'),
    );
    const mixed = a!.masked.get(1)!.slice();
    addInto(mixed, b!.masked.get(2)!);
    addInto(mixed, a!.masked.get(3)!);
    expect(mixed).not.toEqual(a!.maskedSum());
  });
});

describe('a masked vector', () => {
  // n = 262,144 words of an all-zero update (the worst case), each of the four bytes in 256 cells,
  // and the sum of two neighbours' low bytes; chi-square, 255 degrees, false-alarm rate 10^-6 each.
  test('is uniform', () => {
    const length = 262_144;
    const terms = termsFor(3, { layout: [{ name: 'u', length, bound: 1, bits: 22 }] });
    const vectors = terms.roster.map(() => new Uint32Array(length));
    const session = new TestSession({ terms, vectors, seed: 'uniform' }).runThrough('mask');
    const masked = session.masked.get(2)!;
    const counts = (value: (i: number) => number) => {
      const cells = new Array<number>(256).fill(0);
      for (let i = 1; i < length; i++) cells[value(i) & 255]! += 1;
      return chiSquareUniform(cells);
    };
    const limit = chiSquareOneInAMillion(255);
    for (const shift of [0, 8, 16, 24]) {
      expect(counts((i) => masked[i]! >>> shift)).toBeLessThan(limit);
    }
    expect(counts((i) => masked[i]! + masked[i - 1]!)).toBeLessThan(limit);
  });

  test('leaves the vector of the caller as it was', () => {
    const terms = termsFor(3);
    const { vectors } = silosFor(terms, 'untouched');
    const session = new TestSession({ terms, vectors }).runThrough('share');
    const before = vectors[0]!.slice();
    const next = deliverables(session.coordinator, 1);
    if (next.step !== 'mask') throw new Error('no delivery');
    mask(session.state(1), next.delivery, vectors[0]!, signerOf(1));
    expect(vectors[0]).toEqual(before);
  });
});
