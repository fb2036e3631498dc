import { Inquiry, type Claim } from './claim.ts';
import { decodeEvent, type TrailEvent } from './event.ts';

/** A leaf that was read. */
export interface Entry {
  /** Place in the log, from 0. */
  readonly index: number;
  readonly event: TrailEvent;
}

/** Reads every leaf; those that are no events are faults and left out. */
export function readEntries(leaves: readonly Uint8Array[]): {
  readonly claim: Claim;
  readonly entries: readonly Entry[];
} {
  const inquiry = new Inquiry('events');
  const entries = leaves.flatMap((leaf, index): Entry[] => {
    const event = inquiry.check(`entry ${index}`, () => decodeEvent(leaf));
    return event ? [{ index, event }] : [];
  });
  const consortium = entries[0]?.event.consortium;
  for (const { index, event } of entries) {
    inquiry.expect(event.consortium === consortium, `entry ${index}: another consortium`);
  }
  return { claim: inquiry.close('every entry is an event of the consortium'), entries };
}
