import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import { checkTerms, defaultThreshold, quorum } from '@medley/secagg';
import { termsFor } from '../support/secagg.ts';

const TEXT = readFileSync(new URL('../../docs/threat-model.md', import.meta.url), 'utf8');
const SIZES = Array.from({ length: 198 }, (_, i) => i + 3);

/** Keys are slow to make. */
const LARGEST = termsFor(200);

/** The terms that a roster of n has where the study file is silent. */
function termsOf(n: number) {
  const threshold = defaultThreshold(n);
  return {
    ...LARGEST,
    roster: LARGEST.roster.slice(0, n),
    threshold,
    minSurvivors: Math.max(3, threshold),
  };
}

/** The largest n_C with which two different survivor sets cannot both get t signatures. */
function mostColluders(n: number, t: number): number {
  let colluders = 0;
  // Honest silos sign one set each, colluders sign both.
  while (colluders < n && n - (colluders + 1) + 2 * (colluders + 1) < 2 * t) colluders += 1;
  return colluders;
}

/** n, t, n_C at most, drop-outs borne, honest silos in the smallest opened sum. */
function rowOf(n: number): readonly number[] {
  const terms = termsOf(n);
  const { threshold: t } = terms;
  const m = quorum(terms);
  const colluders = mostColluders(n, t);
  return [n, t, colluders, n - m, m - colluders];
}

/** Rows of the table in the threat model, the numbers that each cell begins with. */
function documented(): readonly (readonly number[])[] {
  const start = TEXT.indexOf('| n | t | n_C at most');
  const table = TEXT.slice(start, TEXT.indexOf('\n\n', start));
  return table
    .split('\n')
    .slice(2)
    .map((line) => Array.from(line.matchAll(/\|\s*(\d+)/g), ([, cell]) => Number(cell)));
}

describe('the collusion bound 2t > n + n_C', () => {
  test('is exactly where two survivor sets can no longer both be signed, for n = 3…200', () => {
    for (const n of SIZES) {
      const t = defaultThreshold(n);
      const most = mostColluders(n, t);
      expect([n, 2 * t > n + most, 2 * t > n + most + 1]).toEqual([n, true, false]);
      expect([n, most]).toEqual([n, 2 * t - n - 1]);
      expect(most).toBeLessThan(t);
    }
  });

  test('is tabulated in the threat model as the code has it', () => {
    const rows = documented();
    expect(rows.map(([n]) => n)).toEqual(expect.arrayContaining([3, 4, 5, 100, 200]));
    expect(rows).toEqual(rows.map(([n]) => rowOf(n!)));
  });

  test('every default charter of 3 to 200 silos is one that the agent’s own floors accept', () => {
    for (const n of SIZES) expect(() => checkTerms(termsOf(n))).not.toThrow();
  });

  test('the agent refuses every threshold that lets two sums be opened, for n = 3…200', () => {
    for (const n of SIZES) {
      const threshold = Math.floor(n / 2);
      const act = () => checkTerms({ ...termsOf(n), threshold, minSurvivors: n });
      expect(codeOf(act)).toBe('SECAGG_TERMS_THRESHOLD');
    }
  });
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}
