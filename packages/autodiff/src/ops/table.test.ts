import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { SWEEP } from './sweep/index.ts';
import { countByOperator, operatorsMarkdown } from './table.ts';

test('docs/operators.md says what the registry says (npm run docs)', () => {
  const page = readFileSync(new URL('../../../../docs/operators.md', import.meta.url), 'utf8');
  expect(page).toBe(operatorsMarkdown(countByOperator(SWEEP)));
});

test('an operator appears once, with its kinks, limits and number of cases', () => {
  const page = operatorsMarkdown(new Map([['Relu', 3]]));
  expect(page).toContain('| Relu | 0 at 0 |  | 3 |');
  expect(page).toMatch(/## Refused[^]*\| GridSample \| sample at fixed places/);
  expect(page.match(/\| MaxPool \|/g)).toHaveLength(1);
});
