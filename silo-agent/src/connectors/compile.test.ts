import { describe, expect, test } from '@jest/globals';
import { parseYaml } from '@medley/kit';
import { PLAIN_COLUMNS, smallStudy } from '../../../tests/support/site.ts';
import { compileMapping } from './compile.ts';
import { MAPPING_SCHEMA, type Mapping } from './mapping.ts';
import { Tally } from './tally.ts';

function compile(change: object): {
  readonly compiled: ReturnType<typeof compileMapping>;
  readonly faults: readonly { readonly code: string; readonly rule: string }[];
} {
  const tally = new Tally();
  const mapping = { ...PLAIN_COLUMNS, ...change } as Mapping;
  const compiled = compileMapping(smallStudy(), mapping, 'connector a', tally);
  return { compiled, faults: tally.faults.listed };
}

test('a mapping that serves the study names the source columns of every study column', () => {
  const { compiled, faults } = compile({
    days: { choose: { when: 'died', then: 'a', else: 'a' } },
    unused: { from: 'nowhere' },
  });
  expect(faults).toEqual([]);
  expect(compiled?.map(({ target, reads }) => [target.name, reads])).toEqual([
    ['age', ['age']],
    ['stage', ['stage']],
    ['marker', ['marker']],
    ['died', ['died']],
    ['days', ['died', 'a']],
  ]);
});

test('a study column without a rule is a fault', () => {
  const { age, stage, died, days } = PLAIN_COLUMNS;
  const columns = { age, stage, died, days };
  const tally = new Tally();
  expect(compileMapping(smallStudy(), columns, 'connector a', tally)).toBeUndefined();
  expect(tally.faults.lines()).toEqual(['connector a: column "marker": the mapping has no rule']);
  expect(tally.faults.listed[0]?.code).toBe('DATA_COLUMN_UNMAPPED');
});

describe('a rule is refused', () => {
  test.each([
    ['with two ways at once', { age: { from: 'age', max: ['a', 'b'] } }, 'exactly one of'],
    ['with map and bin', { stage: { from: 's', map: { a: 'I' }, bin: { edges: [1], labels: ['I', 'II'] } } }, 'exclude each other'],
    ['with a level that the study lacks', { stage: { from: 's', map: { a: 'IV' } } }, '"IV" is no level'],
    ['with a bin label that the study lacks', { stage: { from: 's', bin: { edges: [1], labels: ['I', 'V'] } } }, '"V" is no level'],
    ['with as many labels as edges', { stage: { from: 's', bin: { edges: [1, 2], labels: ['I', 'II'] } } }, 'one label more'],
    ['with edges that fall', { stage: { from: 's', bin: { edges: [2, 1], labels: ['I', 'II', 'III'] } } }, 'must rise'],
    ['that gives a text where a number is needed', { died: { from: 'd', map: { yes: 'yes' } } }, 'gives a text'],
    ['that gives a number where a level is needed', { stage: { max: ['a', 'b'] } }, 'is a category'],
    ['that scales a text', { stage: { from: 's', scale: 2 } }, 'belong to numbers'],
    ['in another unit without a scale', { marker: { from: 'm', unit: 'ug/L' } }, 'scale is missing'],
    ['with a faulty operand', { died: { max: ['a', { from: 'd', map: { yes: 'yes' } }] } }, 'gives a text'],
  ])('%s', (_, change, rule) => {
    const { compiled, faults } = compile(change);
    expect(compiled).toBeUndefined();
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ code: 'DATA_MAPPING_INVALID' });
    expect(faults[0]?.rule).toContain(rule);
  }); // prettier-ignore
});

test('the schema refuses keys that it does not know, with file and line', () => {
  const read = (text: string): unknown => parseYaml(text, 'site.yaml', MAPPING_SCHEMA);
  expect(() => read('age: { from: a }\nstage: { form: b }\n')).toThrow(
    /site\.yaml:2: unknown key "form"/,
  );
  expect(() => read('died: { max: [a, { from: b, bim: 1 }] }\n')).toThrow(/site\.yaml:1/);
  expect(() => read('{}')).toThrow();
});
