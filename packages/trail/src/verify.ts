import { formatVerifierKey, type VerifierKey } from '@medley/merkle';
import { checkBudgets } from './budget.ts';
import { checkCharters } from './charter.ts';
import type { Claim } from './claim.ts';
import { readEntries } from './entry.ts';
import { checkModels } from './model.ts';
import { checkOrder } from './order.ts';
import { checkReceipts, checkSessions, type StudyFiles } from './receipt.ts';
import { checkTree, type LogExport } from './tree.ts';

/** An exported log and what the auditor knows beside it. */
export interface TrailExport extends LogExport {
  /** Study files that the log does not hold itself. */
  readonly studies?: StudyFiles;
}

/** What the check found, claim by claim, in the order of {@link ClaimName}. */
export interface TrailReport {
  readonly claims: readonly Claim[];
  /** Every claim holds. */
  readonly ok: boolean;
}

/**
 * Derives everything that the log claims anew from its entries and checkpoints, trusting nothing but
 * the verifier key: no service is asked, no stored hash is believed. Never throws; bytes that are
 * not a log make claims fail.
 */
export function verifyTrail(exported: TrailExport): TrailReport {
  const { claim: events, entries } = readEntries(exported.entries);
  const { claim: signatures, charters } = checkCharters(entries, textOf(exported.verifierKey));
  const claims = [
    ...checkTree(exported),
    events,
    signatures,
    checkOrder(entries, charters),
    checkReceipts(entries, charters),
    checkBudgets(entries, charters),
    checkSessions(entries, charters, exported.studies ?? {}),
    checkModels(entries),
  ];
  return { claims, ok: claims.every(({ ok }) => ok) };
}

/** As charters write it. */
function textOf(key: string | VerifierKey): string {
  return typeof key === 'string' ? key : formatVerifierKey(key);
}
