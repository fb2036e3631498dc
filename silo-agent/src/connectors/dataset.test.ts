import { afterEach, describe, expect, test } from '@jest/globals';
import { HEADER, makeSite, smallStudy, type TestSite } from '../../../tests/support/site.ts';
import { checkData, reportText } from './check.ts';
import { labelsOf, openDataset, rowsOf } from './dataset.ts';
import { readSite, siteData } from './site.ts';

let sites: TestSite[] = [];
afterEach(async () => {
  await Promise.all(sites.map((site) => site.remove()));
  sites = [];
});

async function siteOf(files: Readonly<Record<string, string>>): Promise<TestSite['site']> {
  const made = await makeSite(files);
  sites.push(made);
  return made.site;
}

/** `n` sound rows with distinct ages from `start`; every second patient dies in time. */
function rows(start: number, n: number): string {
  const lines = Array.from(
    { length: n },
    (_, i) => `${start + i},II,0,${i % 2},${i % 2 ? 5 : 20}\n`,
  );
  return HEADER + lines.join('');
}

describe('openDataset', () => {
  test('encodes the rows, leaves censored ones out and splits the rest', async () => {
    const text = `${rows(20, 12)}99,III,1.7182818284590453,0,9\n`;
    const dataset = await openDataset(await siteOf({ 'a.csv': text }), smallStudy());
    expect(dataset).toMatchObject({ rows: 12, columns: 4, censored: 1, missing: 0 });
    expect([...dataset.values.slice(0, 8)]).toEqual([20, 1, 0, 0, 21, 1, 0, 0]);
    expect([...dataset.labels]).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    expect([dataset.train.length, dataset.test.length]).toEqual([6, 6]);
    expect([...dataset.train, ...dataset.test].sort((a, b) => a - b)).toEqual([
      ...Array(12).keys(),
    ]);
    expect(rowsOf(dataset, Int32Array.of(1))).toEqual([Float64Array.of(21, 1, 0, 0)]);
    expect(labelsOf(dataset, Int32Array.of(1, 2))).toEqual(Float32Array.of(1, 0));
  });

  test('keeps the same test patients when the same files are pooled', async () => {
    const [a, b] = [rows(20, 12), rows(40, 18)];
    const agesOf = (dataset: Awaited<ReturnType<typeof openDataset>>, part: number): number[] =>
      rowsOf(dataset, dataset.parts[part]!.test).map((row) => row[0]!);
    const study = smallStudy();
    const alone = [
      await openDataset(await siteOf({ 'a.csv': a }), study),
      await openDataset(await siteOf({ 'b.csv': b }), study),
    ];
    const pooled = await openDataset(await siteOf({ 'a.csv': a, 'b.csv': b }), study);
    expect(pooled.parts.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(agesOf(pooled, 0)).toEqual(agesOf(alone[0]!, 0));
    expect(agesOf(pooled, 1)).toEqual(agesOf(alone[1]!, 0));
    expect(pooled.train.length).toBe(alone[0]!.train.length + alone[1]!.train.length);
  });

  test('has a fingerprint that repeats and follows each value', async () => {
    const study = smallStudy();
    const first = await openDataset(await siteOf({ 'a.csv': rows(20, 12) }), study);
    const again = await openDataset(await siteOf({ 'a.csv': rows(20, 12) }), study);
    const other = await openDataset(await siteOf({ 'a.csv': rows(21, 12) }), study);
    expect(first.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(again.fingerprint).toBe(first.fingerprint);
    expect(other.fingerprint).not.toBe(first.fingerprint);
  });

  test('refuses faulty rows, listing them', async () => {
    const site = await siteOf({ 'a.csv': `${rows(20, 12)}17,II,0,0,20\n30,V,0,0,20\n` });
    await expect(openDataset(site, smallStudy())).rejects.toMatchObject({
      code: 'DATA_OUT_OF_RANGE',
      message: expect.stringMatching(/^a\.csv:14: .*\na\.csv:15: /),
    });
  });

  test('refuses fewer training rows than the study demands', async () => {
    const site = await siteOf({ 'a.csv': rows(20, 12) });
    const study = smallStudy((yaml) => yaml.replace('minPatients: 2', 'minPatients: 7'));
    await expect(openDataset(site, study)).rejects.toMatchObject({ code: 'DATA_TOO_FEW_ROWS' });
  });

  test('refuses data in which one outcome is absent', async () => {
    const site = await siteOf({ 'a.csv': rows(20, 12).replaceAll(',1,5', ',0,20') });
    await expect(openDataset(site, smallStudy())).rejects.toMatchObject({
      code: 'DATA_CLASS_EMPTY',
    });
  });
});

describe('checkData', () => {
  test('reports a usable site', async () => {
    const site = await siteOf({ 'a.csv': `${rows(20, 12)}99,III,1,0,9\n` });
    const report = await checkData(site, smallStudy());
    expect(report).toMatchObject({
      isUsable: true,
      rows: 13,
      usable: 12,
      leftOut: { censored: 1, missing: 0 },
      outcomeShare: '50 to 60 %',
      sources: [{ id: 'a', usable: 12 }],
      faults: [],
    });
    expect(report.columns[0]).toEqual({
      name: 'age',
      role: 'feature',
      allowed: '18 to 100 a',
      missing: 0,
      outOfRange: 0,
    });
    expect(reportText(report)).toContain('OK: this site can take part');
  });

  test('reports faults of rows and of the whole site instead of throwing', async () => {
    const site = await siteOf({ 'a.csv': `${HEADER}17,II,0,0,20\n30,,0,0,20\n` });
    const report = await checkData(site, smallStudy());
    expect(report).toMatchObject({ isUsable: false, usable: 0, outcomeShare: 'none' });
    expect(report.columns.map(({ missing, outOfRange }) => [missing, outOfRange])).toEqual([
      [0, 1],
      [1, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    const text = reportText(report);
    expect(text).toContain('a.csv:2: column "age": must lie between 18 and 100 a');
    expect(text).toContain('a.csv:3: column "stage": has no value');
    expect(text).toContain('0 usable training rows, the study demands 2');
    expect(text).toContain('DATA_OUT_OF_RANGE  a.csv:2');
    expect(text).toContain('Fix DATA_OUT_OF_RANGE: Check the unit of the column');
  });

  test('does not count what a file lacks that could not be read', async () => {
    const site = await siteOf({ 'a.csv': 'age,stage\n' });
    const { faults, faultCount } = await checkData(site, smallStudy());
    expect(faults.map(({ code }) => code)).toEqual(Array(3).fill('DATA_COLUMN_MISSING'));
    expect(faultCount).toBe(3);
  });
});

describe('the site file', () => {
  test('may not give one id twice', () => {
    const one = { id: 'a' } as Parameters<typeof siteData>[1][number];
    expect(() => siteData('/', [one, one])).toThrow(/two connectors have the id a/);
  });

  test('is read with defaults, and refused with file and line', async () => {
    const good =
      'connectors:\n  - id: a\n    kind: csv\n    file: a.csv\n    columns: { x: { from: x } }\n';
    const made = await makeSite({ 'good.yaml': good, 'bad.yaml': `${good}    delimeter: ';'\n` });
    sites.push(made);
    const site = await readSite(`${made.site.folder}/good.yaml`);
    expect(site.folder).toBe(made.site.folder);
    expect(site.connectors[0]).toMatchObject({
      delimiter: ',',
      encoding: 'utf-8',
      missing: { markers: ['', 'NA'], rows: 'refuse' },
    });
    await expect(readSite(`${made.site.folder}/bad.yaml`)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(
        'bad.yaml:6: unknown key "delimeter", did you mean "delimiter"?',
      ),
    });
  });
});
