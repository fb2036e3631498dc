import { describe, expect, test } from '@jest/globals';
import { beginningOf, endOf } from './period.ts';

describe('a period', () => {
  test.each([
    ['2026-11-30', '2026-11-30T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
    ['2026-11-30T18:00:00+02:00', '2026-11-30T16:00:00.000Z', '2026-11-30T16:00:00.000Z'],
    ['2026-11-30T23:59:59.5Z', '2026-11-30T23:59:59.500Z', '2026-11-30T23:59:59.500Z'],
  ])('from %s begins at %s; to it ends before %s', (text, beginning, end) => {
    expect([beginningOf(text), endOf(text)]).toEqual([beginning, end]);
  });

  test.each([
    '',
    'yesterday',
    '2026',
    '2026-02-30',
    '2026-11-30T18:00',
    '30.11.2026',
    '2026-13-01',
  ])('cannot be named %j', (text) => {
    expect(() => beginningOf(text)).toThrow('It must be a day');
    expect(() => endOf(text)).toThrow('It must be a day');
  });
});
