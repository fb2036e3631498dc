import { describe, expect, test } from '@jest/globals';
import { documentHash } from '@medley/kit';
import fc from 'fast-check';
import { noiseFor } from '../accountant/calibrate.ts';
import { composeRdp, epsilonFromRdp, ORDERS, rdpOf } from '../accountant/rdp.ts';
import {
  arithmetic,
  decideDebit,
  epsilonFigure,
  left,
  protectedUnit,
  spent,
  studyShares,
  wouldSpend,
} from './budget.ts';
import { checkChain, gaussianPrice, nextEntry, type LedgerEntry, type Release } from './entry.ts';

const DELTA = 1e-5;
const STEPS = { rate: 0.04, noiseMultiplier: 1.5, steps: 225 };

function release(releaseId: string, change: Partial<Release> = {}): Release {
  const price = gaussianPrice(STEPS);
  return {
    ...{ releaseId, study: 'relapse', unit: 'patient', adjacency: 'addRemove' },
    ...price,
    ...change,
  };
}

function chain(...releases: readonly Release[]): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  for (const one of releases) entries.push(nextEntry('patients', entries, one, 1000));
  return entries;
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (caught) {
    return (caught as { code: string }).code;
  }
  return 'nothing thrown';
}

describe('what is spent', () => {
  test('ten tenths of a training are the whole of it (Opacus, accountants_test.py, 7.3291)', () => {
    const entries = chain(...Array.from({ length: 10 }, (_, i) => release(`r${i}`)));
    expect(spent(entries, DELTA).epsilon).toBeCloseTo(7.32911117143, 6);
  });

  test('an empty ledger has spent nothing and has all left', () => {
    expect(spent([], DELTA).epsilon).toBe(0);
    expect(left([], { epsilon: 3, delta: DELTA })).toBe(3);
    expect(studyShares([], DELTA)).toEqual([]);
    expect(protectedUnit([])).toBeUndefined();
  });

  test('orders add up and not epsilon, so the whole is below the sum of the studies', () => {
    const entries = chain(release('a'), release('b', { study: 'survival' }), release('c'));
    const shares = studyShares(entries, DELTA);
    expect(shares.map(({ study, releases }) => [study, releases])).toEqual([
      ['relapse', 2],
      ['survival', 1],
    ]);
    const sum = shares.reduce((total, { epsilon }) => total + epsilon, 0);
    const { epsilon } = spent(entries, DELTA);
    expect(epsilon).toBeLessThan(sum);
    expect(epsilon).toBeGreaterThan(Math.max(...shares.map((one) => one.epsilon)));
  });

  test('is never less after another release, and what is left never more', () => {
    const mechanism = fc.record({
      rate: fc.double({ min: 0, max: 1, noNaN: true }),
      noiseMultiplier: fc.double({ min: 0.3, max: 20, noNaN: true }),
      steps: fc.integer({ min: 0, max: 50 }),
    });
    fc.assert(
      fc.property(mechanism, (one) => {
        const entries = chain(release('a'));
        const limit = { epsilon: 5, delta: DELTA };
        const { curve } = gaussianPrice(one);
        const forecast = wouldSpend(entries, curve, limit);
        expect(forecast.after).toBeGreaterThanOrEqual(forecast.spent);
        const more = [...entries, nextEntry('patients', entries, release('b', { curve }), 0)];
        expect(spent(more, DELTA).epsilon).toBe(forecast.after);
        expect(left(more, limit)).toBeLessThanOrEqual(left(entries, limit));
      }),
      { numRuns: 25 },
    );
  });

  test('the finest unit is the one that is protected', () => {
    const unit = (one: Release['unit']) => release(one, { unit: one });
    expect(protectedUnit(chain(unit('silo'), unit('patient')))).toEqual({
      unit: 'patient',
      adjacency: 'addRemove',
    });
    expect(protectedUnit(chain(unit('silo'), unit('patient'), unit('record')))?.unit).toBe(
      'record',
    );
  });
});

describe('a debit', () => {
  const wide = { site: { epsilon: 100, delta: DELTA } };

  test('that fits is new, and the same again is already paid', () => {
    const entries = chain(release('a', { round: 1 }));
    expect(decideDebit(entries, release('b'), wide)).toBeUndefined();
    expect(decideDebit(entries, release('a', { round: 1 }), wide)).toBe(entries[0]);
  });

  test('that is already paid needs no room', () => {
    const none = { site: { epsilon: 0, delta: DELTA } };
    const entries = chain(release('a'));
    expect(decideDebit(entries, release('a'), none)).toBe(entries[0]);
  });

  test('of another content under the same id is refused, whatever differs', () => {
    const entries = chain(release('a', { round: 1 }));
    const curve = rdpOf({ ...STEPS, steps: 1 });
    const changes: readonly Partial<Release>[] = [
      { round: 2 },
      {},
      { round: 1, study: 'survival' },
      { round: 1, unit: 'record' },
      { round: 1, adjacency: 'replaceOne' },
      { round: 1, curve },
      { round: 1, mechanism: { kind: 'skellam', parameters: {} } },
    ];
    for (const change of changes) {
      expect(codeOf(() => decideDebit(entries, release('a', change), wide))).toBe(
        'PRIVACY_RELEASE_REUSED',
      );
    }
  });

  test('above the limit is refused with the sum', () => {
    const entries = chain(release('a'));
    const site = { epsilon: 2.2, delta: DELTA };
    const { spent: before, asked, after } = wouldSpend(entries, release('b').curve, site);
    expect(() => decideDebit(entries, release('b'), { site })).toThrow(
      expect.objectContaining({
        code: 'PRIVACY_BUDGET_EXCEEDED',
        message:
          `epsilon ${epsilonFigure(before)} spent and ${epsilonFigure(asked)} asked make ` +
          `${epsilonFigure(after)}, above 2.2 at delta 0.00001, the site's limit`,
      }),
    );
  });

  test('stops at the limit of the site or of the charter, whichever is lower', () => {
    const low = { epsilon: 0.5, delta: DELTA };
    const high = { epsilon: 50, delta: DELTA };
    const refused = (site: typeof low, charter: typeof low) =>
      codeOf(() => decideDebit([], release('a'), { site, charter }));
    expect(refused(low, high)).toBe('PRIVACY_BUDGET_EXCEEDED');
    expect(refused(high, low)).toBe('PRIVACY_BUDGET_EXCEEDED');
    expect(refused(high, high)).toBe('nothing thrown');
  });

  test("the charter's limit counts its own study, the site's counts all", () => {
    const entries = chain(release('a'), release('b'));
    const own = epsilonFromRdp(release('c').curve, DELTA).epsilon;
    const charter = { epsilon: own, delta: DELTA };
    const other = release('c', { study: 'survival' });
    expect(decideDebit(entries, other, { ...wide, charter })).toBeUndefined();
    expect(codeOf(() => decideDebit(entries, release('c'), { ...wide, charter }))).toBe(
      'PRIVACY_BUDGET_EXCEEDED',
    );
    expect(codeOf(() => decideDebit(entries, other, { site: charter }))).toBe(
      'PRIVACY_BUDGET_EXCEEDED',
    );
  });

  test('noise calibrated for the limit just fits, in one piece and in rounds', () => {
    const rounds = 20;
    const target = { rate: 0.02, epsilon: 4, delta: DELTA };
    const noiseMultiplier = noiseFor({ ...target, steps: rounds * 10 });
    const price = gaussianPrice({ rate: 0.02, noiseMultiplier, steps: 10 });
    const limits = { site: { epsilon: 4, delta: DELTA } };
    const entries: LedgerEntry[] = [];
    for (let round = 0; round < rounds; round++) {
      const one = release(`r${round}`, { ...price, round });
      expect(decideDebit(entries, one, limits)).toBeUndefined();
      entries.push(nextEntry('patients', entries, one, 0));
    }
    expect(codeOf(() => decideDebit(entries, release('more', price), limits))).toBe(
      'PRIVACY_BUDGET_EXCEEDED',
    );
  });

  test('without noise has no bound and is refused by any limit', () => {
    const bare = gaussianPrice({ ...STEPS, noiseMultiplier: 0 });
    const site = { epsilon: 1e9, delta: DELTA };
    expect(() => decideDebit([], release('a', bare), { site })).toThrow('without bound');
  });

  test('an order without bound leaves the others in force', () => {
    const curve = rdpOf(STEPS).map((value, i) => (i === ORDERS.length - 1 ? Infinity : value));
    const entries = chain(release('a', { curve }), release('b', { curve }));
    expect(checkChain('patients', JSON.parse(JSON.stringify(entries)) as unknown[])).toEqual(
      entries,
    );
    const finite = composeRdp([rdpOf(STEPS), rdpOf(STEPS)]);
    expect(spent(entries, DELTA)).toEqual(epsilonFromRdp(finite, DELTA));
  });

  test('that is no price at all is refused before anything is counted', () => {
    const wrong: readonly Partial<Release>[] = [
      { curve: [] },
      { curve: rdpOf(STEPS).map(() => NaN) },
      { curve: rdpOf(STEPS).map(() => -1) },
      { study: '' },
      { round: -1 },
      { mechanism: { kind: 'Not a name', parameters: {} } },
    ];
    for (const change of wrong) {
      expect(codeOf(() => decideDebit([], release('a', change), wide))).toBe(
        'PRIVACY_PARAMETERS_INVALID',
      );
    }
  });

  test('of another adjacency than the ledger is refused', () => {
    const other = release('b', { adjacency: 'replaceOne' });
    expect(codeOf(() => decideDebit(chain(release('a')), other, wide))).toBe(
      'PRIVACY_ADJACENCY_MIXED',
    );
  });
});

describe('the chain', () => {
  const entries = chain(release('a', { round: 1 }), release('b'), release('c'));
  const damaged = (values: readonly unknown[], dataset = 'patients') =>
    codeOf(() => checkChain(dataset, values));

  test('comes back from JSON as it was written', () => {
    expect(checkChain('patients', JSON.parse(JSON.stringify(entries)) as unknown[])).toEqual(
      entries,
    );
  });

  test('shows a change of any field of any entry', () => {
    const paths = Object.keys(entries[0]!);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.nat(2), (key, i) => {
        const changed = JSON.parse(JSON.stringify(entries)) as Record<string, unknown>[];
        const value = changed[i]![key];
        changed[i]![key] = Array.isArray(value)
          ? value.map((n) => (n as number) / 2)
          : typeof value === 'number'
            ? value + 1
            : 'other';
        expect(damaged(changed)).toBe('PRIVACY_LEDGER_DAMAGED');
      }),
    );
  });

  test('shows an entry left out, put twice, out of order, or of another data set', () => {
    const [a, b, c] = entries;
    for (const values of [
      [b, c],
      [a, c],
      [a, a],
      [b, a, c],
      [a, b, b, c],
    ]) {
      expect(damaged(values)).toBe('PRIVACY_LEDGER_DAMAGED');
    }
    expect(damaged(entries, 'others')).toBe('PRIVACY_LEDGER_DAMAGED');
    expect(damaged([null])).toBe('PRIVACY_LEDGER_DAMAGED');
  });

  test('shows one release paid twice, though each hash is right', () => {
    const body: Record<string, unknown> = { ...entries[0]!, sequence: 1 };
    body['previous'] = body['hash'];
    delete body['hash'];
    expect(damaged([entries[0], { ...body, hash: documentHash(body) }])).toBe(
      'PRIVACY_LEDGER_DAMAGED',
    );
  });
});

test('figures for people are rounded up and never look like less', () => {
  expect(epsilonFigure(0)).toBe('0');
  expect(epsilonFigure(1.23401)).toBe('1.235');
  expect(epsilonFigure(2)).toBe('2');
  expect(epsilonFigure(Infinity)).toBe('without bound');
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (epsilon) => {
      expect(Number(epsilonFigure(epsilon))).toBeGreaterThanOrEqual(epsilon * (1 - 1e-9));
    }),
  );
  const limit = { epsilon: 4, delta: DELTA };
  expect(arithmetic({ limit, spent: 1, asked: 2, after: 2.5, fits: true })).toBe(
    'epsilon 1 spent and 2 asked make 2.5, within 4 at delta 0.00001',
  );
});
