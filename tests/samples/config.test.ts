import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { AGGREGATOR_SCHEMA } from '@medley/aggregator';
import { AUDIT_SCHEMA } from '@medley/audit';
import { readYaml, type JsonSchema } from '@medley/kit';
import { OPERATOR_SCHEMA } from '@medley/operator';

const folder = fileURLToPath(new URL('../../deploy/config/', import.meta.url));
const samples = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  Aggregator: AGGREGATOR_SCHEMA,
  Audit: AUDIT_SCHEMA,
  Operator: OPERATOR_SCHEMA,
};

interface Node {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
}

function read(name: string): Readonly<Record<string, unknown>> {
  return parse(readFileSync(folder + name, 'utf8')) as Record<string, unknown>;
}

/** Every setting that has a default, as a dotted path, and that default. */
function defaultsOf(node: Node, prefix = ''): (readonly [string, unknown])[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    if (child.properties) return defaultsOf(child, `${prefix}${key}.`);
    return 'default' in child ? [[prefix + key, child.default] as const] : [];
  });
}

function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], value);
}

test('every process with a configuration has a basic and a full sample', () => {
  const names = ['aggregator', 'audit', 'operator'];
  expect(samples.sort()).toEqual(names.flatMap((n) => [`${n}.basic.yaml`, `${n}.full.yaml`]));
});

test.each(samples)('%s is read by its process', async (name) => {
  const schema = SCHEMAS[String(read(name)['kind'])];
  expect(schema).toBeDefined();
  await readYaml(folder + name, schema!);
});

describe('a full sample', () => {
  /** These have no useful value that holds everywhere. */
  const LOCAL = ['listen', 'listen.enrolment', 'listen.rounds', 'publicHost'];

  test.each(samples.filter((name) => name.includes('.full.')))(
    '%s names every setting with its default',
    (name) => {
      const sample = read(name);
      const defaults = defaultsOf(SCHEMAS[String(sample['kind'])] as Node);
      for (const [path, value] of defaults) {
        expect([path, at(sample, path)]).toEqual([
          path,
          LOCAL.includes(path) ? expect.anything() : value,
        ]);
      }
    },
  );
});
