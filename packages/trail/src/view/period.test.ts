import { expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import { readPeriod } from './period.ts';

const ms = (text: string): number => Date.parse(text);

test.each([
  ['nothing', undefined, undefined, {}],
  ['one day', '2026-11-24', '2026-11-24', [ms('2026-11-24T00:00Z'), ms('2026-11-25T00:00Z')]],
  [
    'instants',
    '2026-11-24T08:00Z',
    '2026-11-24T09:00:00+01:00',
    [ms('2026-11-24T08:00Z'), ms('2026-11-24T08:00Z')],
  ],
  ['an open end', '2026-11-24', undefined, [ms('2026-11-24T00:00Z')]],
])('reads %s', (_, from, to, wanted) => {
  const [fromMs, toMs] = Array.isArray(wanted) ? wanted : [];
  expect(readPeriod(from, to)).toEqual({
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
  });
});

test.each([
  ['2026-02-30', undefined],
  ['24.11.2026', undefined],
  ['2026-11-24T08:00', undefined],
  ['yesterday', undefined],
  [undefined, ''],
  ['2026-11-24', '2026-11-23'],
])('refuses from %j to %j', (from, to) => {
  let code = 'none';
  try {
    readPeriod(from, to);
  } catch (caught) {
    if (isMedleyError(caught)) code = caught.code;
  }
  expect(code).toBe('AUDIT_PERIOD');
});
