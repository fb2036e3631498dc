import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { MedleyError } from '@medley/kit';
import { isMedleyError, utf8 } from '@medley/kit';
import fc from 'fast-check';
import { EXAMPLE_STUDY } from './example.ts';
import { recurrence } from './recurrence.ts';
import { readStudy } from './reader.ts';
import { STUDY_SCHEMA } from './schema.ts';
import { encodedColumns, featureCount, outcomeColumns, touchedColumns } from './study.ts';

const published = new URL('../../../docs/schemas/study.schema.json', import.meta.url);

function faultOf(run: () => unknown): MedleyError {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught;
    throw caught;
  }
  throw new Error('nothing was thrown');
}

describe('study file', () => {
  test('reads the example with defaults filled in', () => {
    const { study } = recurrence((yaml) =>
      yaml
        .replace('secureAggregation: { bits: 22, weightCap: 5000 }\n', '')
        .replace('evaluation: { scoreBins: 50 }\n', '')
        .replace('maxAttempts: 3, stepSeconds: 30, trainingSeconds: 120', '')
        .replace('  standardise: true\n', '')
        .replace(', momentum: 0.9', ''),
    );
    expect(study.secureAggregation).toEqual({
      bits: 22,
      ringBits: 32,
      rotation: false,
      weightCap: 5000,
    });
    expect(study.evaluation).toEqual({ scoreBins: 200 });
    expect(study.rounds).toEqual({
      count: 30,
      maxAttempts: 3,
      stepSeconds: 30,
      trainingSeconds: 600,
    });
    expect(study.training.standardise).toBe(true);
    expect(study.training.optimizer).toEqual({ kind: 'sgd', momentum: 0 });
    expect(study.expires).toBe('2027-12-31T00:00:00.000Z');
    expect(study.features[0]).toEqual({
      name: 'age',
      type: 'number',
      unit: 'a',
      range: [18, 100],
      transform: 'none',
    });
  });

  test('names input columns in order, the reference level left out', () => {
    const { study } = recurrence();
    expect(encodedColumns(study)).toEqual([
      { name: 'age', feature: 'age', standardise: true },
      { name: 'menopause=post', feature: 'menopause', category: 'post', standardise: false },
      { name: 'grade=2', feature: 'grade', category: '2', standardise: false },
      { name: 'grade=3', feature: 'grade', category: '3', standardise: false },
      { name: 'nodes', feature: 'nodes', standardise: true },
    ]);
    expect(featureCount(study)).toBe(5);
    expect(outcomeColumns(study)).toEqual(['rfsEvent', 'rfsDays']);
    expect(touchedColumns(study)).toEqual([
      'age',
      'menopause',
      'grade',
      'nodes',
      'rfsEvent',
      'rfsDays',
    ]);
  });

  test.each([
    [
      'an unknown key',
      'split: { train',
      'split: { trian: 1, train',
      /study\.yaml:16: unknown key "trian"/,
    ],
    ['a range upside down', 'range: [18, 100]', 'range: [100, 18]', /study\.yaml:11: .*lower end/],
    [
      'a number without range',
      ', range: [18, 100]',
      '',
      /study\.yaml:11: features\.0 .*needs a range/,
    ],
    ['log1p of a range below -1', 'range: [0, 60]', 'range: [-1, 60]', /study\.yaml:14: .*log1p/],
    [
      'a category with a range',
      'type: category, ',
      'type: category, range: [0, 1], ',
      /:12: .*category/,
    ],
    ['a category without levels', ', categories: [pre, post]', '', /:12: .*needs categories/],
    ['levels that are numbers', "['1', '2', '3']", '[1, 2, 3]', /:13: .*string/],
    ['a column twice', 'name: nodes', 'name: age', /:14: .*names a column twice/],
    ['an outcome that is a feature', 'event: rfsEvent', 'event: nodes', /:15: .*also a feature/],
    ['event and time in one column', 'time: rfsDays', 'time: rfsEvent', /:15: .*another column/],
    ['an outcome without its horizon', ', horizonDays: 1826', '', /:15: .*needs horizonDays/],
    [
      'a key of the other outcome',
      'time: rfsDays',
      'time: rfsDays, column: x',
      /:15: .*does not belong/,
    ],
    ['no local work', '  localEpochs: 2\n', '', /:19: training needs exactly one/],
    ['two kinds of local work', 'localEpochs: 2', 'localEpochs: 2\n  localSteps: 3', /exactly one/],
    ['momentum for adam', 'kind: sgd', 'kind: adam', /:20: .*belongs to sgd/],
    ['no such day', '2027-12-31', '2027-13-31', /:8: expires is not a date/],
    ['a coordinate above the norm', 'coordinate: 0.5', 'coordinate: 3', /:27: .*normL2/],
    ['an upper-case name', 'name: recurrence-5y', 'name: Recurrence', /:3: name/],
    ['another strategy', 'kind: fedavg', 'kind: fedprox', /:25: .*fedavg/],
  ])('refuses %s with the line', (_, from, to, message) => {
    expect(EXAMPLE_STUDY).toContain(from);
    const fault = faultOf(() => recurrence((yaml) => yaml.replace(from, to)));
    expect(fault.code).toBe('STUDY_FILE_INVALID');
    expect(fault.message).toMatch(message);
  });

  test('lists every fault at once', () => {
    const fault = faultOf(() =>
      recurrence((yaml) =>
        yaml.replace('[18, 100]', '[100, 18]').replace('name: nodes', 'name: age'),
      ),
    );
    expect(fault.message).toMatch(/lower end.*; .*twice/);
  });

  test('refuses bytes that are no text, too deep or too many', () => {
    expect(faultOf(() => readStudy(Uint8Array.of(0xff, 0xfe), 's')).code).toBe(
      'STUDY_FILE_INVALID',
    );
    expect(faultOf(() => readStudy(utf8('['.repeat(20_000)), 's')).code).toBe('STUDY_FILE_INVALID');
    expect(faultOf(() => readStudy(utf8('- a\n'.repeat(300_000)), 's')).code).toBe(
      'STUDY_FILE_INVALID',
    );
    expect(faultOf(() => readStudy(utf8('a: &x [1]\nb: *x'), 's')).code).toBe('STUDY_FILE_INVALID');
  });

  test('answers mutated files with its own code only', () => {
    const bytes = utf8(EXAMPLE_STUDY);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, value, cut) => {
        const hostile = bytes.slice(0, cut < at ? bytes.length : cut);
        hostile[at] = value;
        try {
          readStudy(hostile, 'study.yaml');
        } catch (caught) {
          if (!isMedleyError(caught) || caught.code !== 'STUDY_FILE_INVALID') throw caught;
        }
      }),
      { numRuns: 150 },
    );
  });

  test('is published as docs/schemas/study.schema.json', () => {
    expect(JSON.parse(readFileSync(published, 'utf8'))).toEqual(STUDY_SCHEMA);
  });
});
