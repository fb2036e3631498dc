import { describe, expect, test } from '@jest/globals';
import { utf8 } from '@medley/kit';
import { encodedColumns, readStudy } from '@medley/study';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseDocument, type Document } from 'yaml';
import { demoCommand, type DemoOptions } from './options.ts';
import { makePrivate, makeTwin, privacyLines } from './private.ts';

const file = fileURLToPath(new URL('../study/study.yaml', import.meta.url));
const edited = async (edit: (study: Document) => void) => {
  const document = parseDocument(await readFile(file, 'utf8'));
  edit(document);
  return readStudy(utf8(document.toString()), 'study.yaml');
};
const options = (...args: string[]): DemoOptions =>
  demoCommand('1')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' })
    .opts<DemoOptions>();

describe('--dp', () => {
  test('takes epsilon, and delta where it is given', () => {
    expect(options('--dp', 'epsilon=4').dp).toEqual({ epsilon: 4, delta: 1e-5 });
    expect(options('--dp', 'epsilon=0.5,delta=1e-6').dp).toEqual({ epsilon: 0.5, delta: 1e-6 });
    expect(options().dp).toBeUndefined();
  });

  test.each(['4', 'epsilon=0', 'epsilon=4,delta=0.1', 'epsilon=-1', 'epsilon=x', ''])(
    'refuses %j',
    (text) => {
      expect(() => options('--dp', text)).toThrow(/epsilon=4/);
    },
  );

  test('makes a study that promises it, and a twin without on the same split and columns', async () => {
    const study = await edited((one) => makePrivate(one, { epsilon: 4, delta: 1e-5 }));
    const twin = await edited(makeTwin);
    expect(study.privacy).toMatchObject({ level: 'record', epsilon: 4, delta: 1e-5 });
    expect(twin.privacy).toBeUndefined();
    expect(twin.name).toBe(`${study.name}-plain`);
    expect(twin.split).toEqual(study.split);
    expect(encodedColumns(twin)).toEqual(encodedColumns(study));
  });

  test('prints what was promised, spent, lost in accuracy, and where it is proven', () => {
    const lines = privacyLines({
      ...{ study: 's', unit: 'record', adjacency: 'addRemove', accountant: 'rdp/1' },
      ...{ limit: 4, delta: 1e-5, planned: 3.999 },
      spent: [{ silo: 'a', epsilon: 3.9, siteLimit: 10 }],
      auc: { with: 0.7333, without: 0.7461 },
      leaf: {
        index: 107,
        statement: { round: 11, silo: 'a', mechanism: { kind: 'skellam' }, epsilon: 3.9 },
      },
    }).join('\n');
    for (const part of [
      'epsilon 4 at delta 0.00001',
      'a 3.900',
      'with it 0.733, without 0.746',
      'Audit leaf 107',
    ])
      expect(lines).toContain(part);
  });
});
