import { MedleyError } from '@medley/kit';
import {
  Audit,
  requireRole,
  serve,
  type AuditMethods,
  type CallContext,
  type Handlers,
  type Served,
} from '@medley/rpc';
import type { Prover } from '../log/prover.ts';
import type { LogStore } from '../store/store.ts';

/** Rows read at a time, whatever the pace of the caller. */
const BATCH = 256;

/** The service Audit over a store. What no checkpoint covers is not served: nobody could check it. */
export function auditService(store: LogStore, prover: Prover): Served {
  const handlers: Handlers<AuditMethods> = {
    getCheckpoint: async () => {
      const newest = await store.newestCheckpoint();
      if (!newest) throw new MedleyError('AUDIT_RANGE', 'the log has signed no checkpoint yet');
      return { note: newest.note, treeSize: String(newest.size) };
    },
    listCheckpoints: async function* () {
      let after = -1;
      for (;;) {
        const batch = await store.checkpoints(after, BATCH);
        for (const { note, size } of batch) yield { note, treeSize: String(size) };
        if (batch.length < BATCH) return;
        after = batch.at(-1)?.size ?? after;
      }
    },
    listEntries: async function* (request) {
      const covered = (await store.newestCheckpoint())?.size ?? 0;
      const from = count(request.from);
      const to = count(request.to) || covered;
      if (from > to || to > covered) {
        throw new MedleyError('AUDIT_RANGE', `entries ${from} to ${to}, signed are ${covered}`);
      }
      for (let at = from; at < to; at += BATCH) {
        const leaves = await store.leaves(at, Math.min(to, at + BATCH));
        for (const [i, leaf] of leaves.entries()) yield { index: String(at + i), leaf };
      }
    },
    proveInclusion: async ({ index, treeSize }) => ({
      hashes: [...(await prover.inclusion(count(index), count(treeSize)))],
    }),
    proveConsistency: async ({ fromSize, toSize }) => ({
      hashes: [...(await prover.consistency(count(fromSize), count(toSize)))],
    }),
  };
  return serve(Audit, handlers);
}

/**
 * Admits operators and silos whose certificate is in force: TLS alone would honour a revoked one until
 * it expires. Throws RPC_UNAUTHENTICATED, RPC_FORBIDDEN.
 */
export async function authoriseReader(store: LogStore, context: CallContext): Promise<undefined> {
  const { role, name, serial } = requireRole(context, 'operator', 'silo');
  const isInForce =
    role === 'silo' ? await store.isEnrolled(name, serial) : await store.isOperator(name, serial);
  if (!isInForce) {
    throw new MedleyError('RPC_FORBIDDEN', `the certificate of ${name} is not in force`);
  }
  return undefined;
}

/** A uint64 of the wire as a number; beyond 2^53 is beyond every log. */
function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new MedleyError('AUDIT_RANGE', `${text} entries`);
  return value;
}
