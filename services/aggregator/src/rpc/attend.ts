import { MedleyError, type Clock } from '@medley/kit';
import type { Assignment, AttendRequest__Output, CallContext } from '@medley/rpc';
import type { Ledger } from '../log/ledger.ts';
import type { WitnessDesk } from '../log/witnesses.ts';
import type { RoundBook } from '../rounds/book.ts';
import type { Presence } from '../rounds/presence.ts';
import { waitFor } from '../rounds/scheduler.ts';
import type { Signal } from '../rounds/signal.ts';
import type { Tasks } from '../rounds/tasks.ts';
import type { Store } from '../store/store.ts';
import { checkEnrolled } from './access.ts';
import { assignmentOf } from './assignment.ts';
import { needed } from './fields.ts';
import { replyBytes } from './size.ts';

/** Silence of this length means to a silo that the stream is dead; beats come three times as often. */
export const LEASE_MS = 15_000;
const BEAT_MS = LEASE_MS / 3;

/** Version of the messages between silo and aggregator. */
const PROTOCOL_VERSION = 2;

export interface AttendParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly presence: Presence;
  readonly tasks: Tasks;
  readonly book: RoundBook;
  readonly changed: Signal;
  readonly ledger: Ledger;
  readonly witnesses: WitnessDesk;
}

/**
 * A silo's stream: all it needs to know at once, then every change, and heartbeats between. Ends with
 * PKI_CERTIFICATE_REVOKED when the silo is revoked meanwhile and PKI_CERTIFICATE_EXPIRED when its
 * certificate ends. Throws ROUND_PROTOCOL for an agent of another
 * version.
 */
export async function* attend(
  parts: AttendParts,
  request: AttendRequest__Output,
  context: CallContext,
): AsyncGenerator<Assignment> {
  const { clock, presence, changed, store, tasks } = parts;
  if (request.protocolVersion !== PROTOCOL_VERSION) {
    throw new MedleyError('ROUND_PROTOCOL', `the agent speaks version ${request.protocolVersion}`);
  }
  const { name, serial } = needed(context.peer, 'certificate');
  const leave = presence.enter(name);
  let sent: ReadonlySet<string> = new Set();
  let beatMs = clock.nowMs();
  let toldSize = 0;
  try {
    while (!context.signal.aborted) {
      const seen = changed.version;
      await checkEnrolled(parts, name, serial);
      if (clock.nowMs() >= beatMs) {
        beatMs = clock.nowMs() + BEAT_MS;
        await store.tables.silos.touch(name, clock.nowMs());
        yield { heartbeat: { nowMs: String(clock.nowMs()), leaseMs: LEASE_MS } };
      }
      const { newest } = parts.ledger;
      if (newest !== undefined && newest.size !== toldSize) {
        toldSize = newest.size;
        const { verifierKey } = parts.ledger.identity;
        yield { checkpoint: { note: await parts.witnesses.cosigned(newest), verifierKey } };
      }
      const entries = await tasks.of(name);
      for (const entry of entries) {
        if (sent.has(entry.key)) continue;
        const assignment = assignmentOf(entry);
        if ('task' in entry) {
          parts.book.count(entry.task.id, 0, replyBytes('Attend', assignment));
        }
        yield assignment;
      }
      sent = new Set(entries.map(({ key }) => key));
      await waitFor(changed, seen, beatMs, clock, context.signal);
    }
  } finally {
    leave();
  }
}
