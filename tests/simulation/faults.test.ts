import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { FAULTS } from './fault.ts';
import { totalsOf } from './matrix.ts';
import type { CaseResult } from './plan.ts';
import { revealed } from './reveal.ts';
import { simulate } from './run.ts';

const CASES = 24;
/** In memory where there is such a folder: every case writes databases. */
const WORK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

let results: readonly CaseResult[];
beforeAll(async () => {
  results = await simulate({
    seed: 'test',
    cases: CASES,
    sizes: [3],
    work: WORK,
    part: 0,
    of: 1,
  });
});

describe('a round that is disturbed', () => {
  test('has the bytes of the undisturbed one, or ends with nothing revealed and is repeated', () => {
    const failed = results.filter(({ verdict }) => verdict?.kind === 'failed');
    expect(failed).toEqual([]);
    const { cases, identical, cleanlyAborted } = totalsOf(results);
    expect(cases).toBeGreaterThan(CASES * 0.75);
    expect(identical + cleanlyAborted).toBe(cases);
  });

  test('is disturbed by many kinds of faults', () => {
    const faults = new Set(results.map(({ fault }) => fault));
    expect(faults.size).toBeGreaterThan(FAULTS.length / 3);
  });
});

describe('the check of what left', () => {
  const key = { study: 's', round: 1, attempt: 1 };
  const of = (silo: string, message: object) => ({
    ...{ silo, method: '', bytes: new Uint8Array() },
    message: { key, ...message },
  });
  const released = (seed: number[], keys: number[]) => ({
    seedShares: seed.map((silo) => ({ of: silo })),
    keyShares: keys.map((silo) => ({ of: silo })),
  });
  const header = (byte: number) => ({
    key: null,
    header: { key, header: { vectorHash: Uint8Array.of(byte) } },
  });
  const chunk = (byte: number) => ({
    key: null,
    chunk: { offset: '0', data: Uint8Array.of(byte) },
  });

  test('sees both shares of one silo, whoever released them', () => {
    const tape = [of('a', released([1, 2], [3])), of('b', released([1, 3], [2]))];
    expect(revealed(tape).faults).toEqual([
      'both shares of silo 2 in 1 1',
      'both shares of silo 3 in 1 1',
    ]);
    expect(revealed(tape).releases).toEqual(new Map([['1 1', 2]]));
  });

  test('sees a second masked vector, a second set of survivors and a key again', () => {
    const advert = { advert: { channelKey: Uint8Array.of(1), maskKey: Uint8Array.of(2) } };
    const confirmation = (byte: number) => ({
      confirmation: { survivorsHash: Uint8Array.of(byte) },
    });
    const tape = [
      ...[of('a', header(1)), of('a', chunk(1)), of('a', header(1)), of('a', chunk(2))],
      ...[of('b', header(1)), of('b', header(2))],
      ...[of('c', confirmation(1)), of('c', confirmation(2))],
      ...[of('d', advert), of('d', { ...advert, key: { ...key, attempt: 2 } })],
    ];
    expect(revealed(tape).faults).toEqual([
      'other bytes of the masked vector of a in 1 1',
      'a second masked vector of b in 1 1',
      'a second set of survivors of c in 1 1',
      'a key of d in 1 1 again of d in 1 2',
    ]);
  });
});
