import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  HEADER,
  makeSite,
  PLAIN_COLUMNS,
  smallStudy,
  type TestSite,
} from '../../../tests/support/site.ts';
import type { LocatedRow } from './connector.ts';
import type { DataFault } from './fault.ts';
import { openConnectors } from './site.ts';
import { Tally } from './tally.ts';

let sites: TestSite[] = [];
afterEach(async () => {
  await Promise.all(sites.map((site) => site.remove()));
  sites = [];
});

interface Read {
  readonly rows: readonly LocatedRow[];
  readonly faults: readonly DataFault[];
  readonly tally: Tally;
}

async function read(content: string | Uint8Array, config: object = {}): Promise<Read> {
  const connector = { id: 'a', kind: 'csv', file: 'a.csv', columns: PLAIN_COLUMNS, ...config };
  const made = await makeSite({ 'a.csv': content }, [connector]);
  sites.push(made);
  const tally = new Tally();
  const rows: LocatedRow[] = [];
  for await (const row of openConnectors(made.site)[0]!.open(smallStudy(), tally)) rows.push(row);
  return { rows, faults: tally.faults.listed, tally };
}

const GOOD = { age: 50, stage: 'II', marker: 1.5, died: 1, days: 3 };

describe('a sound file', () => {
  test('gives typed rows and their lines', async () => {
    const { rows, faults } = await read(`${HEADER}50,II,1.5,1,3\n 60 , I , 2e2 ,0,20\n`);
    expect(faults).toEqual([]);
    expect(rows).toEqual([
      { line: 2, row: GOOD },
      { line: 3, row: { age: 60, stage: 'I', marker: 200, died: 0, days: 20 } },
    ]);
  });

  test('may have a byte order mark, CRLF, quoted cells, empty lines and columns beyond the study', async () => {
    const text = '\ufeffextra,age,stage,marker,died,days\r\n"a ""b"", c",50,"II",1.5,1,3\r\n\r\n';
    const { rows, faults } = await read(text);
    expect(faults).toEqual([]);
    expect(rows.map(({ row }) => row)).toEqual([GOOD]);
  });

  test('may be Windows-1252 or UTF-16, with semicolons and a decimal comma', async () => {
    const text = 'Alter;Größe;marker;died;days\n50;II;1,5;1;3\n';
    const columns = { ...PLAIN_COLUMNS, age: { from: 'Alter' }, stage: { from: 'Größe' } };
    const dialect = { delimiter: ';', decimal: ',', columns };
    const latin = await read(Buffer.from(text, 'latin1'), { ...dialect, encoding: 'windows-1252' });
    expect(latin.rows).toEqual([{ line: 2, row: GOOD }]);
    const wide = Buffer.from(`\ufeff${text}`, 'utf16le');
    const utf16 = await read(wide, { ...dialect, encoding: 'utf-16le' });
    expect(utf16.rows).toEqual([{ line: 2, row: GOOD }]);
  });

  test('is mapped by bins, maps, scale, max and choose', async () => {
    const columns = {
      age: { from: 'months', scale: 1 / 12, offset: 1 },
      stage: { from: 'mm', bin: { edges: [20, 50], labels: ['I', 'II', 'III'] } },
      marker: { from: 'ug', unit: 'ug/L', scale: 0.001 },
      died: { max: [{ from: 'relapse', map: { yes: 1, no: 0 } }, 'death'] },
      days: { choose: { when: 'death', then: 'dday', else: { from: 'weeks', scale: 7 } } },
    };
    const text =
      'months,mm,ug,relapse,death,dday,weeks\n240,20,5000,yes,0,99,2\n480,20.1,0,no,1,8,\n600,51,1,no,0,,1\n';
    const { rows, faults } = await read(text, { columns });
    expect(faults).toEqual([]);
    expect(rows.map(({ row }) => row)).toEqual([
      { age: 21, stage: 'I', marker: 5, died: 1, days: 14 },
      { age: 41, stage: 'II', marker: 0, died: 1, days: 8 },
      { age: 51, stage: 'III', marker: 0.001, died: 0, days: 7 },
    ]);
  });

  test('gives back any texts that a quoting writer wrote', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', ';', 'ß', ' ') });
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 5 }), async (cells) => {
        const quoted = cells.map((text) => `50,II,1.5,1,3,"${text.replaceAll('"', '""')}"\n`);
        const { rows } = await read(`age,stage,marker,died,days,note\n${quoted.join('')}`);
        return rows.length === cells.length;
      }),
      { numRuns: 25 },
    );
  });
});

describe('a faulty file', () => {
  const faulty: readonly [string, string, Partial<DataFault>, object][] = [
    ['a missing column', 'age,stage,marker,died\n', { code: 'DATA_COLUMN_MISSING', line: 1, column: 'days' }, {}],
    ['a column given twice', 'age,age,stage,marker,died,days\n', { code: 'DATA_DUPLICATE_COLUMN', line: 1, column: 'age' }, {}],
    ['a short row', `${HEADER}50,II,1.5,1,3\n50,II,1.5,1\n`, { code: 'DATA_ROW_RAGGED', line: 3 }, {}],
    ['a long row', `${HEADER}50,II,1.5,1,3,9\n`, { code: 'DATA_ROW_RAGGED', line: 2 }, {}],
    ['text for a number', `${HEADER}fifty,II,1.5,1,3\n`, { code: 'DATA_VALUE_INVALID', line: 2, column: 'age' }, {}],
    ['a thousands separator', `${HEADER}50,II,"1,500",1,3\n`, { code: 'DATA_VALUE_INVALID', column: 'marker' }, {}],
    ['a hexadecimal number', `${HEADER}0x32,II,1.5,1,3\n`, { code: 'DATA_VALUE_INVALID', column: 'age' }, {}],
    ['a decimal point where commas are used', `${HEADER}50,II,1.5,1,3\n`, { code: 'DATA_VALUE_INVALID', column: 'marker' }, { decimal: ',' }],
    ['an event that is neither 0 nor 1', `${HEADER}50,II,1.5,2,3\n`, { code: 'DATA_VALUE_INVALID', column: 'died' }, {}],
    ['NaN', `${HEADER}50,II,NaN,1,3\n`, { code: 'DATA_NOT_FINITE', column: 'marker' }, {}],
    ['infinity', `${HEADER}50,II,-inf,1,3\n`, { code: 'DATA_NOT_FINITE', column: 'marker' }, {}],
    ['a number beyond the double range', `${HEADER}50,II,1e999,1,3\n`, { code: 'DATA_NOT_FINITE', column: 'marker' }, {}],
    ['a value above the range', `${HEADER}173,II,1.5,1,3\n`, { code: 'DATA_OUT_OF_RANGE', column: 'age' }, {}],
    ['a negative time', `${HEADER}50,II,1.5,1,-3\n`, { code: 'DATA_OUT_OF_RANGE', column: 'days' }, {}],
    ['an unknown level', `${HEADER}50,IV,1.5,1,3\n`, { code: 'DATA_CATEGORY_UNKNOWN', column: 'stage' }, {}],
    ['an empty cell', `${HEADER}50,,1.5,1,3\n`, { code: 'DATA_MISSING_VALUE', line: 2, column: 'stage' }, {}],
    ['a marked gap', `${HEADER}50,II,unk,1,3\n`, { code: 'DATA_MISSING_VALUE', column: 'marker' }, { missing: { markers: ['unk'] } }],
    ['a quote that is never closed', `${HEADER}50,"II,1.5,1,3\n`, { code: 'DATA_FORMAT_INVALID' }, {}],
    ['text after a closing quote', `${HEADER}50,"II"x,1.5,1,3\n`, { code: 'DATA_FORMAT_INVALID' }, {}],
    ['a quote within a plain cell', `${HEADER}50,I"I,1.5,1,3\n`, { code: 'DATA_FORMAT_INVALID' }, {}],
    ['no content', '', { code: 'DATA_FORMAT_INVALID' }, {}],
  ]; // prettier-ignore

  test.each(faulty)('with %s is refused with code and place', async (_, text, fault, config) => {
    const { faults } = await read(text, config);
    expect(faults).toEqual([expect.objectContaining({ source: 'a.csv', ...fault })]);
  });

  test('never shows the cell that is at fault', async () => {
    const texts = faulty.map(([, text]) => text.replace(/^.*$/m, HEADER.trim()));
    for (const text of [...texts, `${HEADER}SECRET,"SECRET,SECRET"SECRET,SECRET,SECRET\n`]) {
      const { tally } = await read(text.replaceAll(/50|fifty|173|IV|II/g, 'SECRET'));
      expect(tally.faults.lines().join('\n')).not.toContain('SECRET');
    }
  });

  test('that is not in its encoding is refused', async () => {
    const { faults } = await read(Buffer.from('alter,größe\n', 'latin1'));
    expect(faults).toEqual([expect.objectContaining({ code: 'DATA_FORMAT_INVALID' })]);
  });

  test('names the line where the encoding or the quoting breaks', async () => {
    const good = '50,II,1.5,1,3\n'.repeat(9_000);
    const latin = Buffer.from(`${HEADER}${good}50,ä,1.5,1,3\n${good}`, 'latin1');
    const encoding = await read(latin);
    expect(encoding.faults[0]?.rule).toBe(
      'line 9002: is not in the encoding of its connector, utf-8',
    );
    const quoting = await read(`${HEADER}${good}50,"II,1.5,1,3\n${good}`);
    expect(quoting.faults[0]?.rule).toBe('line 9002: a quote is opened and never closed');
  });

  test('with a row of more than a megabyte is refused', async () => {
    const { faults } = await read(`${HEADER}50,"${'x'.repeat(1_100_000)}`);
    expect(faults[0]?.rule).toContain('1 MiB');
  });

  test('lists the first twenty faults and counts the others', async () => {
    const { tally } = await read(HEADER + '17,II,1.5,1,3\n'.repeat(30));
    expect(tally.faults.count).toBe(30);
    expect(tally.outOfRange('age')).toBe(30);
    expect(tally.faults.lines()).toHaveLength(21);
    expect(tally.faults.lines()[0]).toBe('a.csv:2: column "age": must lie between 18 and 100 a');
    expect(tally.faults.lines()[20]).toBe('and 10 more');
  });

  test('keeps its sound rows apart from the others', async () => {
    const { rows } = await read(`${HEADER}17,II,1.5,1,3\n50,II,1.5,1,3\n`);
    expect(rows).toEqual([{ line: 3, row: GOOD }]);
  });
});

test('rows with a missing value are left out and counted where the site says so', async () => {
  const { rows, faults, tally } = await read(`${HEADER},,1.5,1,3\n50,II,1.5,1,3\n`, {
    missing: { rows: 'leaveOut' },
  });
  expect(faults).toEqual([]);
  expect(rows).toHaveLength(1);
  expect(tally.missingRows).toBe(1);
  expect([tally.missing('age'), tally.missing('stage'), tally.missing('marker')]).toEqual([
    1, 1, 0,
  ]);
});

describe('a connector', () => {
  test('describes its header, and says when there is none or no file', async () => {
    const made = await makeSite({ 'a.csv': HEADER, 'empty.csv': '' });
    sites.push(made);
    const [full, empty] = openConnectors(made.site);
    expect(await full!.describe()).toEqual({
      id: 'a',
      kind: 'csv',
      source: 'a.csv',
      columns: ['age', 'stage', 'marker', 'died', 'days'],
    });
    await expect(empty!.describe()).rejects.toMatchObject({ code: 'DATA_FORMAT_INVALID' });
    await made.remove();
    await expect(full!.describe()).rejects.toMatchObject({ code: 'DATA_FILE_UNREADABLE' });
    await expect(full!.fingerprint()).rejects.toMatchObject({ code: 'DATA_FILE_UNREADABLE' });
    const tally = new Tally();
    await full!.validate(smallStudy(), tally);
    expect(tally.faults.listed).toEqual([
      expect.objectContaining({ code: 'DATA_FILE_UNREADABLE' }),
    ]);
  });

  test('has a fingerprint that follows every byte of its file', async () => {
    const made = await makeSite({ 'a.csv': HEADER, 'b.csv': HEADER, 'c.csv': `${HEADER}\n` });
    sites.push(made);
    const [a, b, c] = await Promise.all(openConnectors(made.site).map((one) => one.fingerprint()));
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });
});
