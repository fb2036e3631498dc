import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import fc from 'fast-check';
import { recurrence } from './recurrence.ts';
import { encodeRow, encodedRange, outcomeOf, type Row } from './feature.ts';

const { study } = recurrence();
const binary = recurrence((yaml) =>
  yaml.replace(/outcome: .*/, 'outcome: { kind: binary, column: diseased }'),
).study;
const sound: Row = { age: 50, menopause: 'post', grade: '3', nodes: 3, rfsEvent: 1, rfsDays: 100 };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return `${caught.code} ${caught.message}`;
    throw caught;
  }
  return 'ok';
}

describe('encoding a row', () => {
  test('transforms numbers and turns levels into indicators', () => {
    expect(Array.from(encodeRow(study, sound))).toEqual([50, 1, 0, 1, Math.log1p(3)]);
    expect(Array.from(encodeRow(study, { ...sound, menopause: 'pre', grade: '1' }))).toEqual([
      50,
      0,
      0,
      0,
      Math.log1p(3),
    ]);
  });

  test.each<[string, Row, string]>([
    [
      'a missing value',
      { ...sound, age: undefined },
      'DATA_MISSING_VALUE a.csv:7: age has no value',
    ],
    ['an empty one', { ...sound, grade: '' }, 'DATA_MISSING_VALUE a.csv:7: grade has no value'],
    [
      'text for a number',
      { ...sound, age: '50' },
      'DATA_VALUE_INVALID a.csv:7: age is not a number',
    ],
    ['NaN', { ...sound, age: NaN }, 'DATA_NOT_FINITE a.csv:7: age is not finite'],
    [
      'a number too high',
      { ...sound, age: 101 },
      'DATA_OUT_OF_RANGE a.csv:7: age is outside 18 to 100',
    ],
    [
      'another level',
      { ...sound, grade: '4' },
      'DATA_CATEGORY_UNKNOWN a.csv:7: grade is none of 1, 2, 3',
    ],
    [
      'a number for a level',
      { ...sound, grade: 3 },
      'DATA_CATEGORY_UNKNOWN a.csv:7: grade is none of 1, 2, 3',
    ],
  ])('refuses %s with the place and without the value', (_, row, message) => {
    expect(codeOf(() => encodeRow(study, row, 'a.csv:7'))).toBe(message);
  });

  test('reads own columns only', () => {
    expect(codeOf(() => encodeRow(study, Object.create(sound) as Row))).toMatch(
      /DATA_MISSING_VALUE/,
    );
  });

  test('stays within the encoded range for every admissible row', () => {
    const bounds = encodedRange(study);
    expect(bounds).toHaveLength(5);
    const rows = fc.record({
      age: fc.double({ min: 18, max: 100, noNaN: true }),
      menopause: fc.constantFrom('pre', 'post'),
      grade: fc.constantFrom('1', '2', '3'),
      nodes: fc.double({ min: 0, max: 60, noNaN: true }),
    });
    fc.assert(
      fc.property(rows, (row) => {
        encodeRow(study, row).forEach((value, c) => {
          expect(value).toBeGreaterThanOrEqual(bounds[c]!.low);
          expect(value).toBeLessThanOrEqual(bounds[c]!.high);
        });
      }),
    );
  });
});

describe('outcome of a row', () => {
  test.each<[string, number, number, 0 | 1 | undefined]>([
    ['an event before the horizon', 1, 1825, 1],
    ['an event on the last day', 1, 1826, 1],
    ['an event after it', 1, 1827, 0],
    ['follow-up to the horizon', 0, 1826, 0],
    ['follow-up beyond it', 0, 4000, 0],
    ['follow-up that ended before', 0, 1825, undefined],
  ])('%s', (_, rfsEvent, rfsDays, expected) => {
    expect(outcomeOf(study, { ...sound, rfsEvent, rfsDays })).toBe(expected);
  });

  test('takes 0 and 1 as numbers or text, and nothing else', () => {
    expect(outcomeOf(binary, { diseased: 1 })).toBe(1);
    expect(outcomeOf(binary, { diseased: '0' })).toBe(0);
    expect(codeOf(() => outcomeOf(binary, { diseased: 2 }, 'x'))).toMatch(
      /^DATA_VALUE_INVALID x: /,
    );
    expect(codeOf(() => outcomeOf(binary, {}))).toMatch(/^DATA_MISSING_VALUE/);
    expect(codeOf(() => outcomeOf(study, { ...sound, rfsDays: -1 }))).toMatch(
      /^DATA_VALUE_INVALID/,
    );
    expect(codeOf(() => outcomeOf(study, { ...sound, rfsDays: undefined }))).toMatch(
      /^DATA_MISSING_VALUE/,
    );
  });
});
