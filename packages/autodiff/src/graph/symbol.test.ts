import { expect, test } from '@jest/globals';
import { difference, product, quotient, sum } from './symbol.ts';

test('sizes that are known are computed', () => {
  expect(product([2, 3])).toBe(6);
  expect(product([])).toBe(1);
  expect(quotient(7, 2)).toBe(3);
  expect(sum(2, 3)).toBe(5);
  expect(difference(2, 3)).toBe(-1);
});

test('one formula has one symbol, in whatever order it is written', () => {
  expect(product(['b', product(['a', 2])])).toBe(product([2, 'a', 'b']));
  expect(sum(sum('a', 1), 'b')).toBe(sum('b', sum(1, 'a')));
  expect(sum('a', 'a')).toBe(product([2, 'a']));
  expect(product(['a', 1])).toBe('a');
  expect(product(['a', 'b'])).not.toBe(product(['a', 'c']));
});

test('what cancels goes away', () => {
  expect(quotient(product(['a', 12]), 3)).toBe(product(['a', 4]));
  expect(quotient(product(['a', 'b', 4]), product(['b', 4]))).toBe('a');
  expect(difference(sum('a', 2), 'a')).toBe(2);
  expect(difference(sum('a', 'b'), sum('a', 'b'))).toBe(0);
  expect(product(['a', 0])).toBe(0);
});

test('a division that leaves a rest keeps its formula, one by zero has none', () => {
  expect(quotient('a', 2)).toBe(quotient('a', 2));
  expect(quotient('a', 2)).not.toBe('a');
  expect(quotient('a', 0)).toBeUndefined();
});
