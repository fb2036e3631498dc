import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemRng } from '@medley/kit';
import { advertise } from '@medley/secagg';
import { signerOf, termsFor } from '../../../tests/support/secagg.ts';
import { Sessions } from './session.ts';

let folder: string;
const terms = termsFor(3);
const id = { round: terms.round, attempt: terms.attempt };
const state = advertise(terms, 1, signerOf(1), systemRng).state;

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'medley-sessions-')), 'rounds');
});

afterEach(() => rm(join(folder, '..'), { recursive: true }));

describe('single-use states', () => {
  test('come back as they were, private to this user', async () => {
    await new Sessions(folder).save(state);
    expect(await new Sessions(folder).load(terms)).toEqual(state);
    const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
    expect(await mode(join(folder, '3-1.json'))).toBe(0o600);
    expect(await mode(folder)).toBe(0o700);
  });

  test('an attempt belongs to one model', async () => {
    const sessions = new Sessions(folder);
    await sessions.save(state);
    await expect(sessions.load({ ...terms, modelHash: 'ab'.repeat(32) })).rejects.toMatchObject({
      code: 'SECAGG_EQUIVOCATION',
    });
  });

  test('an ended attempt keeps no secret and stays ended', async () => {
    const sessions = new Sessions(folder);
    await sessions.save(state);
    await sessions.saveVector(id, Uint8Array.of(1, 2));
    await sessions.end(id, terms.modelHash, 'SECAGG_BOX_INVALID');
    expect(await sessions.load(terms)).toBe('ended');
    expect(await sessions.loadVector(id)).toBeUndefined();
    expect(await readFile(join(folder, '3-1.json'), 'utf8')).not.toMatch(/"state"/);
  });

  test('an ended attempt keeps the code under which it was given up first', async () => {
    const sessions = new Sessions(folder);
    await sessions.save(state);
    await sessions.end(id, terms.modelHash, 'SECAGG_BOX_INVALID');
    await sessions.end(id, terms.modelHash, 'SECAGG_TOO_FEW');
    expect(await sessions.list()).toMatchObject([{ phase: 'ended', code: 'SECAGG_BOX_INVALID' }]);
  });

  test('lists attempts in order and forgets whole rounds', async () => {
    const sessions = new Sessions(folder);
    for (const attempt of [10, 2, 1]) {
      await sessions.save({ ...state, terms: { ...terms, attempt } });
    }
    await sessions.saveVector({ round: 3, attempt: 2 }, Uint8Array.of(1));
    await sessions.save({ ...state, terms: { ...terms, round: 4 } });
    expect((await sessions.list()).map(({ round, attempt }) => [round, attempt])).toEqual([
      [3, 1],
      [3, 2],
      [3, 10],
      [4, 1],
    ]);
    await sessions.forget(3);
    expect(await readdir(folder)).toEqual(['4-1.json']);
  });

  test.each(['', '{}', '{"medley":"session/v1"}', 'null'])(
    'damage (%j) is named, not guessed around',
    async (text) => {
      const sessions = new Sessions(folder);
      await sessions.save(state);
      await writeFile(join(folder, '3-1.json'), text);
      const later = new Sessions(folder);
      await expect(later.load(terms)).rejects.toMatchObject({ code: 'AGENT_STATE_INVALID' });
    },
  );

  test('nothing was ever kept', async () => {
    expect(await new Sessions(folder).list()).toEqual([]);
    expect(await new Sessions(folder).load(terms)).toBeUndefined();
  });
});
