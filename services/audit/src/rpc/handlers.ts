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

const BATCH = 256;

/** The service Audit over a store. Operators and enrolled silos may read; nobody may write. */
export function auditService(store: LogStore, prover: Prover): Served {
  const handlers: Handlers<AuditMethods> = {
    getCheckpoint: async () => {
      const newest = await store.newestCheckpoint();
      if (!newest) throw new MedleyError('AUDIT_RANGE', 'the log has signed no checkpoint yet');
      return { note: newest.note, treeSize: String(newest.size) };
    },
    listCheckpoints: async function* () {
      for (const { note, size } of await store.checkpoints())
        yield { note, treeSize: String(size) };
    },
    listEntries: async function* (request, { signal }) {
      const newest = await store.newestCheckpoint();
      // What no checkpoint covers is not served: nobody could check it.
      const covered = newest?.size ?? 0;
      const from = count(request.from);
      const to = count(request.to) === 0 ? covered : count(request.to);
      if (from > to || to > covered) {
        throw new MedleyError(
          'AUDIT_RANGE',
          `entries ${String(from)} to ${String(to)} of ${String(covered)}`,
        );
      }
      for (let at = from; at < to && !signal.aborted; at += BATCH) {
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

/** Refuses everyone but operators and silos whose certificate is in force. */
export async function authoriseReader(store: LogStore, context: CallContext): Promise<void> {
  const peer = requireRole(context, 'operator', 'silo');
  if (peer.role === 'silo' && !(await store.isEnrolled(peer.name, peer.serial))) {
    throw new MedleyError('RPC_FORBIDDEN', `the certificate of ${peer.name} is not in force`);
  }
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new MedleyError('AUDIT_RANGE', 'not a count');
  return value;
}
