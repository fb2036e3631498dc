import { describe, expect, test } from '@jest/globals';
import { OPERATORS } from './registry.ts';
import { WIDE, widened } from './sweep/precision.ts';
import { SWEEP } from './sweep/index.ts';
import { checkCase } from './sweep/check.ts';

test('no differentiable operator is without a case', () => {
  const swept = new Set(SWEEP.map(({ op }) => op));
  const open = [...OPERATORS.values()].filter(
    ({ gradient: rule, lower }) => typeof rule === 'function' || lower !== undefined,
  );
  expect(open.map(({ op }) => op).filter((op) => !swept.has(op))).toEqual([]);
});

describe('gradients agree with finite differences', () => {
  const operators = [...new Set(SWEEP.map(({ op }) => op))];
  test.each(operators)('%s', async (op) => {
    for (const sweep of SWEEP.filter((entry) => entry.op === op)) await checkCase(sweep);
  });

  test.each([...WIDE])('%s in float64', async (op) => {
    const own = SWEEP.filter((entry) => entry.op === op && entry.dtype === undefined);
    for (const sweep of own) await checkCase(widened({ ...sweep, staticOnly: true }));
  });
});
