import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parseYaml, readText } from '@medley/kit';
import { AGGREGATOR_SCHEMA, readAggregatorConfig, type AggregatorConfig } from './config.ts';

const sample = (name: string): string =>
  fileURLToPath(new URL(`../../../deploy/config/aggregator.${name}.yaml`, import.meta.url));

describe('the aggregator configuration', () => {
  test('the full sample says what the basic one leaves to the defaults', async () => {
    expect(await readAggregatorConfig(sample('basic'))).toEqual(
      await readAggregatorConfig(sample('full')),
    );
  });

  test('the full sample writes every setting out', async () => {
    const text = await readText(sample('full'));
    const { value } = parseYaml<object>(text, 'full', { type: 'object' });
    expect(leaves(value)).toEqual(leaves(await readAggregatorConfig(sample('full'))));
  });

  test('refuses unknown keys and floors below the secure minimum, naming the line', () => {
    const head = 'apiVersion: medley/v1\nkind: Aggregator\nconsortium: c\n';
    const read = (text: string) => () =>
      parseYaml<AggregatorConfig>(head + text, 'a.yaml', AGGREGATOR_SCHEMA);
    expect(read('dataBase: x')).toThrow(
      /a.yaml:4: unknown key "dataBase", did you mean "database"/,
    );
    expect(read('floors: { minSurvivors: 2 }')).toThrow(
      /a.yaml:4: floors.minSurvivors must be >= 3/,
    );
  });
});

/** Names of all settings, groups taken apart. */
function leaves(value: object, path = ''): string[] {
  return Object.entries(value)
    .flatMap(([key, inner]: [string, unknown]) =>
      typeof inner === 'object' && inner !== null
        ? leaves(inner, `${path}${key}.`)
        : [`${path}${key}`],
    )
    .sort();
}
