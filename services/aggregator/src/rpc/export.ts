import { MedleyError, toHex } from '@medley/kit';
import type { RecordExportReply, RecordExportRequest__Output } from '@medley/rpc';
import type { Ledger } from '../log/ledger.ts';
import { wholeNumber } from './fields.ts';

/**
 * Records that an operator took entries out, signs a checkpoint over that entry and proves it, also
 * that the tree goes on from the one that was taken out. Throws AUDIT_RANGE for what no checkpoint
 * covers, RPC_MESSAGE_INVALID and TRAIL_EVENT_INVALID.
 */
export async function answerExport(
  ledger: Ledger,
  request: RecordExportRequest__Output,
  operator: string,
): Promise<RecordExportReply> {
  const { manifestHash, format, study, silo, recipient } = request;
  const [first, end, size] = (['first', 'end', 'size'] as const).map((field) =>
    wholeNumber(request[field], field),
  ) as [number, number, number];
  const covered = ledger.newest?.size ?? 0;
  if (first > end || end > size || size < 1 || size > covered) {
    throw new MedleyError('AUDIT_RANGE', `entries ${first} to ${end} of ${size}`);
  }
  const index = await ledger.change(({ record }) =>
    record({
      type: 'audit.exported',
      actor: { kind: 'operator', id: operator },
      outcome: 'ok',
      data: {
        ...{ manifestHash: toHex(manifestHash), format, first, end, size, recipient },
        ...(study !== '' && { study }),
        ...(silo !== '' && { silo }),
      },
    }),
  );
  await ledger.checkpoint();
  const proof = await ledger.prove(index);
  if (!proof) throw new MedleyError('INTERNAL', `entry ${index} has no checkpoint`);
  const { leaf, checkpoint, path, treeSize } = proof;
  const consistency = [...ledger.consistency(size, treeSize)];
  return { index: String(index), leaf, checkpoint, path: [...path], consistency };
}
