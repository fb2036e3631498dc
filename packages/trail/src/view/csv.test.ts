import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sampleEvent, sampleEvents } from '../../../../tests/support/sampleEvent.ts';
import { sealed, STUDY, wholeStudy } from '../../../../tests/support/trail.ts';
import type { TrailEvent } from '../event.ts';
import { csvDictionary, csvRows, dictionaryMarkdown } from './csv.ts';
import { viewLines } from './line.ts';

const tableOf = (events: readonly TrailEvent[]): string =>
  [...csvRows(viewLines(sealed(events).entries))].join('');

/** An independent reader of RFC 4180: every row ends in CRLF. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let at = 0;
  while (at < text.length) {
    const row: string[] = [];
    for (;;) {
      const cell = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(text.slice(at));
      if (!cell) throw new Error(`no cell at ${at}`);
      row.push(cell[1]?.replaceAll('""', '"') ?? cell[2] ?? '');
      at += cell[0].length;
      if (cell[3] === '\r\n') break;
    }
    rows.push(row);
  }
  return rows;
}

const cellsOf = (text: string, row = 1): Record<string, string> => {
  const [head, ...rows] = parse(text);
  return Object.fromEntries(head!.map((name, i) => [name, rows[row - 1]![i]!]));
};

describe('the table', () => {
  test('has the columns in the order that was promised', () => {
    expect(parse(tableOf([]))).toEqual([
      [
        ...['index', 'leaf_hash', 'recorded_at', 'consortium', 'type', 'title', 'action'],
        ...['outcome', 'actor_kind', 'actor_id', 'study', 'round', 'attempt', 'silo'],
        ...['charter_hash', 'model_hash', 'next_model_hash', 'code', 'reason', 'steward'],
        ...['signature_meaning', 'signed_at', 'epsilon', 'delta', 'epsilon_limit', 'details'],
      ],
    ]);
  });

  test('has one row for every entry, all of one width', () => {
    const events = [...wholeStudy(), ...sampleEvents()];
    const rows = parse(tableOf(events));
    expect(rows).toHaveLength(events.length + 1);
    expect(new Set(rows.map((row) => row.length)).size).toBe(1);
    expect(rows.slice(1).map(([index]) => index)).toEqual(events.map((_, i) => String(i)));
  });

  test('shows who signed, what it means, and when', () => {
    const signed = wholeStudy().find(({ type }) => type === 'charter.signed')!;
    expect(cellsOf(tableOf([signed]))).toMatchObject({
      recorded_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      steward: 'Steward of silo-1',
      signature_meaning: expect.stringContaining('approve'),
      signed_at: '2026-11-23T08:00:00.000Z',
    });
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1'])(
    'lets no spreadsheet take %j for a formula',
    (reason) => {
      const event = sampleEvent('study.paused', { data: { reason } });
      expect(cellsOf(tableOf([event]))['reason']).toBe(`'${reason}`);
    },
  );

  test('gives any other text back as it was', () => {
    const text = fc
      .string({
        minLength: 1,
        maxLength: 40,
        unit: fc.constantFrom('a', '"', ',', ';', '\r', '\n', '\t', '=', "'", 'é'),
      })
      .filter((one) => !/^[=+\-@\t\r\n]/.test(one));
    fc.assert(
      fc.property(text, (reason) => {
        const event = sampleEvent('study.paused', { data: { reason } });
        expect(cellsOf(tableOf([event]))['reason']).toBe(reason);
      }),
      { numRuns: 60 },
    );
  });

  test('leaves out what is not in scope', () => {
    const { entries } = sealed(wholeStudy());
    const day = Date.parse('2026-11-23T08:00:00.000Z');
    const rows = (scope: Parameters<typeof viewLines>[1]) =>
      parse([...csvRows(viewLines(entries, scope))].join('')).slice(1);
    expect(rows({ toMs: day })).toEqual([]);
    expect(rows({ fromMs: day, toMs: day + 3000 }).map(([index]) => index)).toEqual([
      '0',
      '1',
      '2',
    ]);
    expect(rows({ study: 'another' })).toEqual([]);
    const study = rows({ study: STUDY.name });
    expect(study[0]![4]).toBe('study.proposed');
    expect(study.length).toBeLessThan(entries.length);
  });
});

test('the dictionary explains every column', () => {
  const [head, ...rows] = parse(csvDictionary());
  expect(head).toEqual(['column', 'position', 'form', 'meaning']);
  expect(rows.map(([name]) => name)).toEqual(parse(tableOf([]))[0]);
  expect(rows.every((row) => row.length === 4 && row.every((cell) => cell !== ''))).toBe(true);
});

test('docs/audit/data-dictionary.md is what the code says', () => {
  const published = new URL('../../../../docs/audit/data-dictionary.md', import.meta.url);
  expect(readFileSync(published, 'utf8')).toBe(dictionaryMarkdown());
});
