import { sha256 } from '@medley/kit';
import { collectChunks, type AdminMethods, type BlobRef__Output, type Client } from '@medley/rpc';

/** Largest blob an operator's machine takes in, bytes; protobuf itself ends at 2 GiB. */
const LIMIT = 2 ** 31;

/** Fetches a blob of a study and checks its hash. Throws RPC_CHUNK_*. */
export async function fetchBlob(
  admin: Client<AdminMethods>,
  blob: BlobRef__Output | null,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const sizeBytes = Number(blob?.sizeBytes ?? 0);
  const hash = blob?.sha256 ?? sha256();
  const chunks = admin.fetchModel({ sha256: hash, offset: '0' }, { signal });
  return collectChunks(chunks, { sha256: hash, sizeBytes, limit: LIMIT });
}
