import { isMedleyError, type ErrorCode, type MedleyError } from '@medley/kit';
import {
  collectChunks,
  toChunks,
  type Chunk__Output,
  type Client,
  type RoundsMethods,
  type SubmitRequest,
} from '@medley/rpc';
import {
  type Advert,
  type Complaint,
  type Confirmation,
  type MaskedHeader,
  type Release,
  type SharesMessage,
} from '@medley/secagg';
import type { SpendBytes } from '@medley/study';
import type { BlobName, RoundId } from './task.ts';

/** What a runner says to the aggregator. A message said twice counts once. */
export interface RoundMessages {
  /** Content of the announced hash and size. Throws RPC_CHUNK_* and what the aggregator refuses with. */
  fetchBlob(blob: BlobName, limitBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  advertise(id: RoundId, advert: Advert, signal: AbortSignal): Promise<void>;
  share(id: RoundId, shares: SharesMessage, signal: AbortSignal): Promise<void>;
  submit(
    id: RoundId,
    submission: {
      readonly header: MaskedHeader;
      /** The masked vector as it travels. */
      readonly wire: Uint8Array;
      /** What the round cost this hospital, in a private study. */
      readonly spend: SpendBytes | undefined;
    },
    signal: AbortSignal,
  ): Promise<void>;
  /** In the place of `submit`. */
  complain(id: RoundId, complaint: Complaint, signal: AbortSignal): Promise<void>;
  confirm(id: RoundId, confirmation: Confirmation, signal: AbortSignal): Promise<void>;
  release(id: RoundId, release: Release, signal: AbortSignal): Promise<void>;
  /** Says that this silo leaves the attempt, and with which code. */
  withdraw(id: RoundId, code: string, signal: AbortSignal): Promise<void>;
  /** Proof that the log of `toSize` leaves continues that of `fromSize`. Throws AUDIT_RANGE. */
  proveLog(fromSize: number, toSize: number, signal: AbortSignal): Promise<readonly Uint8Array[]>;
  /** Hands in this hospital's word for a checkpoint. Throws WITNESS_INVALID, AUDIT_RANGE. */
  cosign(word: WitnessWord, signal: AbortSignal): Promise<void>;
}

/** A cosignature, and the identity key's signature under the witness key. */
export interface WitnessWord {
  readonly size: number;
  /** Signature line with its newline. */
  readonly cosignature: string;
  /** Verifier key of this witness. */
  readonly witnessKey: string;
  readonly signature: Uint8Array;
}

/** {@link RoundMessages} over gRPC. The client's owner closes it. */
export function grpcMessages(client: Client<RoundsMethods>): RoundMessages {
  return {
    fetchBlob: (blob, limit, signal) =>
      collectChunks(resumed(client, blob, signal), { ...blob, limit }),
    advertise: async (key, advert, signal) => {
      await client.advertise({ key, advert }, { signal });
    },
    share: async (key, shares, signal) => {
      const { silo, boxes, seedCommitment, ownSeedHash, signature } = shares;
      await client.share(
        { key, silo, boxes: [...boxes], seedCommitment, ownSeedHash, signature },
        { signal },
      );
    },
    submit: async (key, { header, wire, spend }, signal) => {
      await client.submit(submission(key, header, wire, spend), { signal });
    },
    complain: async (key, complaint, signal) => {
      await client.complain({ key, complaint }, { signal });
    },
    confirm: async (key, confirmation, signal) => {
      await client.confirm({ key, confirmation }, { signal });
    },
    release: async (key, release, signal) => {
      const { silo, seedShares, keyShares, signature } = release;
      await client.release(
        { key, silo, seedShares: [...seedShares], keyShares: [...keyShares], signature },
        { signal },
      );
    },
    withdraw: async (key, code, signal) => {
      await client.withdraw({ key, code }, { signal });
    },
    proveLog: async (fromSize, toSize, signal) => {
      const sizes = { fromSize: String(fromSize), toSize: String(toSize) };
      const { hashes } = await client.proveLog(sizes, { signal });
      return hashes.map((hash) => new Uint8Array(hash));
    },
    cosign: async ({ size, ...word }, signal) => {
      await client.cosignCheckpoint({ treeSize: String(size), ...word }, { signal });
    },
  };
}

/** Failures of the way between or of the moment, after which the same call may simply be made again. */
const PASSING: readonly ErrorCode[] = [
  ...(['RPC_UNAVAILABLE', 'RPC_DEADLINE', 'RPC_PEER_FAILED', 'RPC_TLS_REFUSED'] as const),
  ...(['RPC_BUSY', 'STORE_UNUSABLE', 'STORE_CONFLICT'] as const),
];

/** True when the same call may get through later, unchanged. */
export function isPassing(caught: unknown): caught is MedleyError {
  return isMedleyError(caught) && PASSING.includes(caught.code);
}

function* submission(
  key: RoundId,
  header: MaskedHeader,
  vector: Uint8Array,
  spend: SpendBytes | undefined,
): Generator<SubmitRequest> {
  yield { header: { key, header, sizeBytes: String(vector.length), spend: spend ?? null } };
  for (const chunk of toChunks(vector)) yield { chunk };
}

/** A transfer that goes on where it broke off, as long as each connection brings something. */
async function* resumed(
  client: Client<RoundsMethods>,
  { sha256 }: BlobName,
  signal: AbortSignal,
): AsyncGenerator<Chunk__Output> {
  let at = 0;
  for (;;) {
    const startedAt = at;
    try {
      for await (const chunk of client.fetchBlob({ sha256, offset: String(at) }, { signal })) {
        at += chunk.data.length;
        yield chunk;
      }
      return;
    } catch (caught) {
      if (!isPassing(caught) || at === startedAt) throw caught;
    }
  }
}
