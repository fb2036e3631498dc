import { MedleyError } from '@medley/kit';
import { collectChunks, type AdminMethods, type BlobRef__Output, type Client } from '@medley/rpc';

/** Largest blob an operator's machine takes in, bytes: twice the largest model state. */
const LIMIT = 2 ** 31;

/** Fetches a blob of a study and checks its hash. Throws RPC_CHUNK_* and, without a name, RPC_MESSAGE_INVALID. */
export async function fetchBlob(
  admin: Client<AdminMethods>,
  blob: BlobRef__Output | null,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (!blob) throw new MedleyError('RPC_MESSAGE_INVALID', 'the aggregator named no blob');
  const { sha256, sizeBytes } = blob;
  const chunks = admin.fetchModel({ sha256, offset: '0' }, { signal });
  return collectChunks(chunks, { sha256, sizeBytes: Number(sizeBytes), limit: LIMIT });
}
