import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { copyStudy, fillConnectors, findSilos } from './silos.ts';

const source = fileURLToPath(new URL('..', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-silos-'));
  for (const part of ['sites', 'study']) {
    await cp(join(source, part), join(folder, part), { recursive: true });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a folder of silos', () => {
  test('has one hospital a file, titled for people, and one for the pooled model', async () => {
    const { silos, pooled } = await findSilos(folder);
    expect(silos.map(({ name }) => name)).toEqual([
      'gbsg',
      'rotterdam-a',
      'rotterdam-b',
      'rotterdam-c',
      'rotterdam-d',
    ]);
    expect(silos[0]?.title).toBe('German study group');
    expect(pooled).toBe(join(folder, 'sites', 'pooled.yaml'));
  });

  test('is refused with what it holds when it is none', async () => {
    await expect(findSilos(join(folder, 'study'))).rejects.toMatchObject({
      code: 'DEMO_SILOS_INVALID',
    });
    const few = await mkdtemp(join(folder, 'few-'));
    await cp(join(folder, 'sites', 'gbsg.yaml'), join(few, 'sites', 'gbsg.yaml'), {
      recursive: true,
    });
    await expect(findSilos(few)).rejects.toThrow('gbsg.yaml');
  });

  test('gives an agent its connectors with absolute paths, and leaves the rest of the file alone', async () => {
    const agent = join(folder, 'agent.yaml');
    await writeFile(agent, '# ours\nkind: Agent\nconnectors: []\n');
    await fillConnectors(agent, join(folder, 'sites', 'gbsg.yaml'));
    const text = await readFile(agent, 'utf8');
    expect(text).toContain('# ours');
    const { connectors } = parse(text) as { connectors: { id: string; file: string }[] };
    expect(connectors).toHaveLength(1);
    expect(connectors[0]?.id).toBe('gbsg');
    expect(isAbsolute(connectors[0]?.file ?? '')).toBe(true);
  });

  test('lends its study with another number of rounds', async () => {
    const copy = join(folder, 'copy', 'study.yaml');
    await copyStudy(join(folder, 'study', 'study.yaml'), copy, 7);
    expect(parse(await readFile(copy, 'utf8'))).toMatchObject({ rounds: { count: 7 } });
    await copyStudy(join(folder, 'study', 'study.yaml'), copy, null);
    expect(parse(await readFile(copy, 'utf8'))).toMatchObject({ rounds: { count: 30 } });
  });
});
