import { toHex } from '@medley/kit';
import { leafHash } from '@medley/merkle';
import { decodeEvent, type TrailEvent } from '../event.ts';

/** One entry of the log as views show it: what it says, and the two numbers that tie it to a proof. */
export interface ViewLine {
  /** Place in the log, from 0. */
  readonly index: number;
  /** RFC 6962 leaf hash of the entry, lower-case hex. */
  readonly leafHash: string;
  readonly event: TrailEvent;
}

/** Which entries a view shows; without a field there is no such limit. */
export interface ViewScope {
  /** First instant, ms since the Unix epoch. */
  readonly fromMs?: number;
  /** First instant that is no longer shown. */
  readonly toMs?: number;
  /** This study's entries; those of the consortium, which belong to no study, are left out. */
  readonly study?: string;
}

/**
 * The entries of a log that are in scope, in the order of the log. `leaves` begin with the entry
 * `first`. Throws TRAIL_EVENT_INVALID for a leaf that is no event: a view leaves nothing out unsaid.
 */
export function* viewLines(
  leaves: Iterable<Uint8Array>,
  scope: ViewScope = {},
  first = 0,
): Generator<ViewLine> {
  let index = first;
  for (const leaf of leaves) {
    const event = decodeEvent(leaf);
    if (isInScope(event, scope)) yield { index, leafHash: toHex(leafHash(leaf)), event };
    index++;
  }
}

function isInScope(event: TrailEvent, { fromMs, toMs, study }: ViewScope): boolean {
  const atMs = Date.parse(event.at);
  if (fromMs !== undefined && atMs < fromMs) return false;
  if (toMs !== undefined && atMs >= toMs) return false;
  return study === undefined || ('study' in event && event.study === study);
}
