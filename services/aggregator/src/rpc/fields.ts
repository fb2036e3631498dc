import { MedleyError } from '@medley/kit';
import type { CallContext, Chunk__Output, RoundKey__Output } from '@medley/rpc';
import type { BlobName, RoundId } from '../store/rows.ts';
import { hashBytes } from '../rounds/task.ts';

/** The round that a message is about. Throws RPC_MESSAGE_INVALID. */
export function roundIdOf(key: RoundKey__Output | null | undefined): RoundId {
  const { study, round, attempt } = needed(key, 'key');
  return { study, round, attempt };
}

/** A field that must be there. Throws RPC_MESSAGE_INVALID. */
export function needed<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) {
    throw new MedleyError('RPC_MESSAGE_INVALID', `${what} is missing`);
  }
  return value;
}

/** Name of the operator who calls. Throws RPC_MESSAGE_INVALID without one. */
export function operatorOf(context: CallContext): string {
  return needed(context.peer, 'certificate').name;
}

/** A 64-bit field as a number. Throws RPC_MESSAGE_INVALID beyond 2^53. */
export function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new MedleyError('RPC_MESSAGE_INVALID', `${what} is no whole number below 2^53`);
  }
  return value;
}

/** A blob's name as it is sent. */
export function blobRef({ hash, sizeBytes }: BlobName): { sha256: Uint8Array; sizeBytes: string } {
  return { sha256: hashBytes(hash), sizeBytes: String(sizeBytes) };
}

/** The data of chunks that follow each other without a gap. Throws RPC_CHUNK_ORDER. */
export async function* inOrder(chunks: AsyncIterable<Chunk__Output>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const { offset, data } of chunks) {
    if (offset !== String(at)) {
      throw new MedleyError('RPC_CHUNK_ORDER', `piece at ${offset.slice(0, 20)}, expected ${at}`);
    }
    at += data.length;
    yield data;
  }
}

/** Stored pieces as they are sent, from `offset` on. */
export async function* asChunks(
  pieces: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<{ offset: string; data: Uint8Array }> {
  let at = offset;
  for await (const data of pieces) {
    yield { offset: String(at), data };
    at += data.length;
  }
}

/**
 * Takes the head off a stream whose first message is special. Gives it with the rest, which can be
 * read once. Throws RPC_MESSAGE_INVALID for an empty stream.
 */
export async function splitHead<T>(
  messages: AsyncIterable<T>,
): Promise<{ readonly head: T; readonly rest: AsyncIterable<T> }> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new MedleyError('RPC_MESSAGE_INVALID', 'the stream is empty');
  return { head: first.value, rest: { [Symbol.asyncIterator]: () => iterator } };
}
