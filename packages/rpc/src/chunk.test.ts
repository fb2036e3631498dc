import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { equalBytes, sha256 } from '@medley/kit';
import { CHUNK_BYTES, collectChunks, toChunks } from './chunk.ts';
import type { Chunk__Output } from './generated/medley/v1/Chunk.ts';

const content = Uint8Array.from({ length: 2 * CHUNK_BYTES + 5 }, (_, i) => i % 251);
const whole = { sha256: sha256(content), sizeBytes: content.length, limit: content.length };

function arrived(bytes: Uint8Array, offset = 0): Chunk__Output[] {
  return [...toChunks(bytes, offset)].map((chunk) => ({ ...chunk, data: Buffer.from(chunk.data) }));
}

describe('chunks', () => {
  test('a transfer of any length comes together again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
        const announced = { sha256: sha256(bytes), sizeBytes: bytes.length, limit: 3000 };
        expect(await collectChunks(arrived(bytes), announced)).toEqual(bytes);
      }),
      { numRuns: 30 },
    );
  });

  test('pieces have 1 MiB except the last', () => {
    expect(arrived(content).map(({ offset, data }) => [offset, data.length])).toEqual([
      ['0', CHUNK_BYTES],
      [String(CHUNK_BYTES), CHUNK_BYTES],
      [String(2 * CHUNK_BYTES), 5],
    ]);
  });

  test('a transfer goes on from an offset', async () => {
    const head = arrived(content).slice(0, 1);
    const joined = await collectChunks([...head, ...arrived(content, CHUNK_BYTES)], whole);
    expect(equalBytes(joined, content)).toBe(true);
  });

  test.each([
    ['swapped pieces', () => arrived(content).toReversed(), 'RPC_CHUNK_ORDER'],
    ['a repeated piece', () => [arrived(content)[0]!, ...arrived(content)], 'RPC_CHUNK_ORDER'],
    ['a missing end', () => arrived(content).slice(0, 2), 'RPC_CHUNK_SIZE'],
    [
      'a piece too many',
      () => [...arrived(content), { offset: String(content.length), data: Buffer.from([1]) }],
      'RPC_CHUNK_SIZE',
    ],
    ['an empty piece', () => [{ offset: '0', data: Buffer.alloc(0) }], 'RPC_CHUNK_SIZE'],
    [
      'an oversized piece',
      () => [{ offset: '0', data: Buffer.alloc(CHUNK_BYTES + 1) }],
      'RPC_CHUNK_SIZE',
    ],
    ['a changed byte', () => arrived(content.with(9, 0)), 'RPC_CHUNK_HASH'],
  ])('refuses %s', async (_what, chunks, code) => {
    await expect(collectChunks(chunks(), whole)).rejects.toMatchObject({ code });
  });

  test.each([-1, 1.5, Number.NaN, content.length + 1])(
    'refuses the announced size %d',
    async (sizeBytes) => {
      await expect(collectChunks([], { ...whole, sizeBytes })).rejects.toMatchObject({
        code: 'RPC_CHUNK_SIZE',
      });
    },
  );
});
