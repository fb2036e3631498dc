import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseYaml, readYaml } from './config.ts';
import { isMedleyError, type MedleyError } from './error.ts';
import { writeDurably } from './file.ts';

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string' },
    limits: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { rounds: { type: 'integer', minimum: 1, default: 30 } },
    },
  },
} as const;

interface Settings {
  readonly name: string;
  readonly limits: { readonly rounds: number };
}

function fault(run: () => unknown): MedleyError {
  try {
    run();
  } catch (error) {
    if (isMedleyError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parseYaml', () => {
  test('fills in defaults, nested ones too', () => {
    expect(parseYaml<Settings>('name: a', 'x.yaml', SCHEMA).value).toEqual({
      name: 'a',
      limits: { rounds: 30 },
    });
  });

  test('names file, line and the nearest known key for an unknown one', () => {
    const error = fault(() => parseYaml('name: a\nlimits:\n  round: 3\n', 'x.yaml', SCHEMA));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('x.yaml:3: unknown key "round", did you mean "rounds"?');
  });

  test('reports every fault at once', () => {
    const error = fault(() => parseYaml('nam: a\nlimits: { rounds: 0 }\n', 'x.yaml', SCHEMA));
    expect(error.message).toContain('x.yaml:1: unknown key "nam"');
    expect(error.message).toContain('x.yaml:2: limits.rounds must be >= 1');
    expect(error.message).toContain("must have required property 'name'");
  });

  test('refuses duplicate keys, broken syntax and aliases', () => {
    expect(fault(() => parseYaml('name: a\nname: b', 'x.yaml', SCHEMA)).message).toContain(
      'x.yaml:2',
    );
    expect(fault(() => parseYaml('name: [', 'x.yaml', SCHEMA)).code).toBe('CONFIG_INVALID');
    expect(fault(() => parseYaml('name: &a x\nlimits: *a', 'x.yaml', SCHEMA)).message).toContain(
      'aliases',
    );
  });

  test('gives a coded error or a value for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseYaml(text, 'x.yaml', SCHEMA);
        } catch (error) {
          expect(isMedleyError(error)).toBe(true);
        }
      }),
    );
  });

  test('finds the line of a value for later refusals', () => {
    expect(
      parseYaml('name: a\nlimits:\n  rounds: 5\n', 'x.yaml', SCHEMA).lineOf(['limits', 'rounds']),
    ).toBe(3);
  });
});

test('readYaml names a missing file', async () => {
  await expect(readYaml('/nowhere/x.yaml', SCHEMA)).rejects.toMatchObject({
    code: 'CONFIG_UNREADABLE',
  });
});

describe('writeDurably', () => {
  test('replaces the content, keeps the mode private and leaves no temporary file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'medley-kit-'));
    const file = join(folder, 'deep', 'state.json');
    await writeDurably(file, 'one');
    await writeDurably(file, 'two');
    expect(await readFile(file, 'utf8')).toBe('two');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('says which file could not be written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'medley-kit-'));
    await writeFile(join(folder, 'plain'), '');
    await expect(writeDurably(join(folder, 'plain', 'x'), 'y')).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
  });
});
