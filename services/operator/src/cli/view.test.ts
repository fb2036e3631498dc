import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toHex } from '@medley/kit';
import { leafHash } from '@medley/merkle';
import { startTestConsortium, type TestConsortium } from '../../../../tests/support/operator.ts';
import { sealed, STUDY, wholeStudy } from '../../../../tests/support/trail.ts';

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
});
afterAll(() => consortium.close());

const { entries } = sealed(wholeStudy());
const view = (...args: readonly string[]) => consortium.run(['audit', 'view', ...args]);
const written = (name: string): Promise<string> => readFile(join(consortium.folder, name), 'utf8');

describe('audit view', () => {
  test('writes FHIR, a resource a line, each tied to its entry', async () => {
    const { code, out } = await view('--format', 'fhir', '--out', 'all.ndjson', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ...{ format: 'fhir', entries: entries.length, of: entries.length, verified: true },
      files: [join(consortium.folder, 'all.ndjson')],
    });
    const lines = (await written('all.ndjson')).trimEnd().split('\n');
    expect(lines).toHaveLength(entries.length);
    lines.forEach((line, i) => expect(line).toContain(toHex(leafHash(entries[i]!))));
  });

  test('writes a table and its dictionary', async () => {
    const args = ['--format', 'csv', '--out', 'new/all.csv', '--study', STUDY.name];
    expect((await view(...args)).code).toBe(0);
    expect(await written('new/all.csv')).toMatch(/^index,leaf_hash,recorded_at,/);
    expect(await written('new/all.dictionary.csv')).toMatch(/^column,position,form,meaning\r\n/);
    expect(await readdir(join(consortium.folder, 'new'))).toHaveLength(2);
  });

  test.each([
    ['syslog', /^<\d+>1 .*leafHash="[0-9a-f]{64}"/],
    ['cef', /^CEF:0\|Medley\|Medley\|0\.0\.0-test\|/],
  ] as const)('writes %s, a line an entry', async (format, form) => {
    expect((await view('--format', format, '--out', `all.${format}`)).code).toBe(0);
    const lines = (await written(`all.${format}`)).trimEnd().split('\n');
    expect(lines).toHaveLength(entries.length);
    for (const line of lines) expect(line).toMatch(form);
  });

  test('shows an empty period as such', async () => {
    const args = [
      '--format',
      'csv',
      '--out',
      'none.csv',
      '--from',
      '2001-01-01',
      '--to',
      '2001-12-31',
    ];
    const { code, out } = await view(...args);
    expect([code, out]).toEqual([0, expect.stringContaining(`0 of ${entries.length} entries`)]);
    expect((await written('none.csv')).split('\r\n')).toHaveLength(2);
  });

  test('reads a kept log, and says 8 of one that was changed, which is shown all the same', async () => {
    await consortium.run(['audit', 'verify', '--out', 'kept']);
    const args = ['--format', 'csv', '--log', 'kept', '--out', 'kept.csv', '--json'];
    expect((await view(...args)).code).toBe(0);
    const bundle = join(consortium.folder, 'kept/tile/entries/000.p', String(entries.length));
    const text = await readFile(bundle, 'latin1');
    await writeFile(bundle, text.replace('"recipient":"ada"', '"recipient":"bob"'), 'latin1');
    const { code, out, err } = await view(...args);
    expect(code).toBe(8);
    expect(JSON.parse(out)).toMatchObject({ verified: false });
    expect(err).toMatch(/AUDIT_FAILED[\s\S]*roots/);
    expect(await written('kept.csv')).toContain('bob');
  });

  test.each([
    ['no format', ['--out', 'x'], 2],
    ['a format that is none', ['--format', 'xls', '--out', 'x'], 2],
    ['a period that is none', ['--format', 'csv', '--out', 'x', '--from', 'monday'], 2],
    ['a place that cannot be written', ['--format', 'csv', '--out', 'ca.pass/x'], 75],
  ])('refuses %s and leaves nothing', async (_, args, exit) => {
    const { code } = await view(...args);
    expect(code).toBe(exit);
    expect((await readdir(consortium.folder)).filter((name) => name.startsWith('x'))).toEqual([]);
  });
});
