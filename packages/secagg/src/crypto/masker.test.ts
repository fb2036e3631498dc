import { afterAll, describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { TestSession, codeOf, signerOf, termsFor } from '../../../../tests/support/secagg.ts';
import { deliverables } from '../coordinator/phase.ts';
import { mask, maskWith } from '../silo/mask.ts';
import { threadMasker } from './masker.ts';
import { applyMasks, type Mask } from './masks.ts';
import { MaskPool, createMasker } from './pool.ts';

// What production loads; `npm test` compiles it first.
const ENTRY = new URL('../../dist/crypto/maskWorker.js', import.meta.url);
const pool = new MaskPool(2, ENTRY, threadMasker);
afterAll(() => pool.close());

const rng = seededRng('masker');
const masksOf = (count: number): Mask[] =>
  Array.from({ length: count }, (_, i) => ({ key: rng.bytes(32), sign: i % 2 === 0 ? 1 : -1 }));

describe.each([
  ['the calling thread', threadMasker],
  ['two worker threads', pool],
])('masks applied in %s', (_title, masker) => {
  // 300 masks are more than are open at a time; 60,000 words are no whole number of pieces, and
  // with 300 masks enough work for threads.
  test.each([
    [100, 5],
    [60_001, 300],
  ])('to %i words, %i masks, are those of applyMasks', async (length, count) => {
    const masks = masksOf(count);
    const expected = new Uint32Array(length).fill(7);
    applyMasks(expected, masks);
    const target = masker.vector(length).fill(7);
    await masker.apply(target, masks);
    expect(target).toEqual(expected);
  });

  test('give the same masked vector and header as in one go', async () => {
    const terms = termsFor(4);
    const vectors = terms.roster.map(() => new Uint32Array(10).fill(1));
    const session = new TestSession({ terms, vectors }).runThrough('share');
    const next = deliverables(session.coordinator, 2);
    if (next.step !== 'mask') throw new Error('no delivery');
    const { delivery } = next;
    const state = session.state(2);
    const here = mask(state, delivery, vectors[1]!, signerOf(2));
    const there = await maskWith(masker, state, delivery, vectors[1]!, signerOf(2));
    expect(there).toEqual(here);
    const again = await maskWith(masker, there.state, delivery, vectors[1]!, signerOf(2));
    expect(again.masked).toEqual(here.masked);
  });
});

test('a thread that cannot start fails the work, and later work is refused after close', async () => {
  const broken = new MaskPool(2, new URL('./absent.js', import.meta.url), threadMasker);
  const masks = masksOf(300);
  const failed = await broken.apply(broken.vector(60_000), masks).catch((error: unknown) => error);
  expect(
    codeOf(() => {
      throw failed;
    }),
  ).toBe('INTERNAL');
  await broken.close();
  const closed = await broken.apply(broken.vector(4), masks).catch((error: unknown) => error);
  expect(
    codeOf(() => {
      throw closed;
    }),
  ).toBe('INTERRUPTED');
});

test('from sources, or on one core, everything is done in the calling thread', () => {
  expect(createMasker({ threads: 4 })).toBe(threadMasker);
});
