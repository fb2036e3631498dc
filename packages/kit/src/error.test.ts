import { describe, expect, test } from '@jest/globals';
import { CATALOGUE, SECTIONS } from './catalogue/index.ts';
import { isMedleyError, MedleyError } from './error.ts';
import { ManualClock, timestamp } from './clock.ts';

describe('the catalogue', () => {
  test('holds every code in exactly one section', () => {
    const codes = Object.values(SECTIONS).flatMap((section) => Object.keys(section));
    expect(codes.sort()).toEqual(Object.keys(CATALOGUE).sort());
    expect(new Set(codes).size).toBe(codes.length);
  });

  test.each(Object.entries(CATALOGUE))('%s says what happened and what to do', (code, entry) => {
    expect(code).toMatch(/^[A-Z0-9_]+$/);
    expect(entry.sentence).toMatch(/^[A-Z].*\.$/s);
    expect(entry.remedy).toMatch(/^[A-Z].*\.$/s);
    expect(entry.exit).toBeGreaterThan(0);
  });
});

describe('MedleyError', () => {
  test('keeps its cause and knows its catalogue entry', () => {
    const cause = new Error('inner');
    const error = new MedleyError('CONFIG_INVALID', 'x.yaml:3', { cause });
    expect(error.cause).toBe(cause);
    expect(error.entry.exit).toBe(3);
  });

  test('turns anything caught into one, without losing what it was', () => {
    const known = new MedleyError('USAGE', 'x');
    expect(MedleyError.from(known)).toBe(known);
    const unknown = MedleyError.from('boom');
    expect(unknown.code).toBe('INTERNAL');
    expect(unknown.cause).toBe('boom');
  });

  test('is recognised across copies of the module, and strangers are not', () => {
    const twin = Object.assign(new Error('x'), { name: 'MedleyError', code: 'USAGE' });
    expect(isMedleyError(twin)).toBe(true);
    expect(
      isMedleyError(Object.assign(new Error('x'), { name: 'MedleyError', code: 'NOPE' })),
    ).toBe(false);
    expect(isMedleyError(new Error('x'))).toBe(false);
  });
});

describe('ManualClock', () => {
  test('wakes sleepers in the order of their due times', async () => {
    const clock = new ManualClock(1000);
    const woken: string[] = [];
    const late = clock.sleep(20).then(() => woken.push('late'));
    const early = clock.sleep(10).then(() => woken.push('early'));
    clock.advance(25);
    await Promise.all([late, early]);
    expect(woken).toEqual(['early', 'late']);
    expect(clock.nowMs()).toBe(1025);
  });

  test('lets go of an aborted sleeper', async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const asleep = clock.sleep(10, abort.signal);
    abort.abort(new Error('stop'));
    await expect(asleep).rejects.toThrow('stop');
  });

  test('timestamps are RFC 3339 in UTC', () => {
    expect(timestamp(0)).toBe('1970-01-01T00:00:00.000Z');
  });
});
