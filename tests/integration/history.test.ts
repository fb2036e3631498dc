import { describe, expect, test } from '@jest/globals';
import { fromHex, utf8 } from '@medley/kit';
import { confirmationBytes, decodeReceipt, receiptToJson, type Confirmation } from '@medley/secagg';
import { charterHash } from '@medley/study';
import { encodeEvent, type ClaimName, type EventOf, type TrailEvent } from '@medley/trail';
import { identityOf } from '../support/secagg.ts';
import {
  checkpointsOf,
  edited,
  failing,
  sealed,
  signedDecision,
  wholeStudy,
} from '../support/trail.ts';

const events = wholeStudy();
const log = sealed(events);

/** The log after its owner rewrote history and signed all of it again. */
function rewritten(change: (events: TrailEvent[]) => TrailEvent[]): ClaimName[] {
  return failing(sealed(change(events.slice())));
}

type Closed = EventOf<'round.closed'>;

/** Round 2's receipt with other sets or confirmations. */
function withReceipt(
  change: (receipt: ReturnType<typeof decodeReceipt>) => Partial<ReturnType<typeof decodeReceipt>>,
): TrailEvent[] {
  const isSecond = (event: Closed) => event.round === 2;
  return edited(
    events,
    'round.closed',
    (event) => {
      const receipt = decodeReceipt(event.data.receipt);
      const changed = receiptToJson({ ...receipt, ...change(receipt) });
      return { ...event, data: { ...event.data, receipt: changed } };
    },
    isSecond,
  );
}

describe('the operator of the log, who can sign any history,', () => {
  test('cannot show two histories: the checkpoints disagree', () => {
    const fork = edited(events, 'consortium.created', (event) => ({ ...event, outcome: 'failed' }));
    const forked = checkpointsOf(fork.map((event) => encodeEvent(event)));
    const checkpoints = [forked[0]!, ...log.checkpoints.slice(1)];
    expect(failing({ ...log, checkpoints })).toEqual(['roots', 'consistency']);
  });

  test.each<[string, ClaimName[], () => TrailEvent[]]>([
    [
      'start a study that one hospital did not sign',
      ['charters'],
      () => events.filter((e) => !(e.type === 'charter.signed' && e.data.silo === 'silo-3')),
    ],
    [
      'sign in the place of a hospital',
      ['charters'],
      () =>
        edited(events, 'charter.signed', (event) => ({
          ...event,
          data: signedDecision(event.data.silo, { signer: 'silo-2' }),
        })),
    ],
    [
      'count one hospital for another',
      ['charters'],
      () =>
        edited(events, 'charter.signed', (event) => ({
          ...event,
          data: { ...signedDecision('silo-2'), silo: event.data.silo },
        })),
    ],
    [
      'count a refusal as an approval',
      ['charters'],
      () =>
        edited(events, 'charter.signed', (event) => ({
          ...event,
          data: signedDecision(event.data.silo, { refuse: true }),
        })),
    ],
    [
      'pass over a later refusal',
      ['charters'],
      () => {
        const at = events.findIndex(({ type }) => type === 'study.started');
        const started = events[at]!;
        const refusal = {
          ...started,
          type: 'charter.refused',
          data: signedDecision('silo-4', { refuse: true }),
        } as TrailEvent;
        return [...events.slice(0, at), refusal, ...events.slice(at)];
      },
    ],
    [
      'weaken the charter after it was signed',
      ['charters', 'order', 'receipts'],
      () =>
        edited(events, 'study.started', (event) => {
          const charter = { ...event.data.charter, cohort: { minPatients: 1 } };
          return { ...event, data: { ...event.data, charter } };
        }),
    ],
    [
      'weaken the charter and its hash after it was signed',
      ['charters', 'sessions'],
      () =>
        edited(events, 'study.started', (event) => {
          const charter = { ...event.data.charter, cohort: { minPatients: 1 } };
          return { ...event, data: { charter, charterHash: charterHash(charter) } };
        }),
    ],
    [
      'forge a confirmation',
      ['receipts', 'sessions'],
      () =>
        withReceipt(({ sid, confirmations }) => ({ confirmations: forged(sid, confirmations) })),
    ],
    [
      'flip a bit of a confirmation',
      ['receipts', 'sessions'],
      () =>
        withReceipt(({ confirmations }) => ({
          confirmations: confirmations.map((c, i) =>
            i === 1 ? { ...c, signature: flipped(c.signature) } : c,
          ),
        })),
    ],
    [
      'open a sum that too few confirmed',
      ['receipts', 'sessions'],
      () => withReceipt(({ confirmations }) => ({ confirmations: confirmations.slice(1) })),
    ],
    [
      'open a sum of three',
      ['receipts', 'sessions'],
      () =>
        withReceipt(({ confirmations }) => ({
          survivors: [1, 2, 3],
          confirmations: confirmations.slice(0, 3),
        })),
    ],
    [
      'count a lost silo among the survivors',
      ['receipts', 'sessions'],
      () => withReceipt(() => ({ survivors: [1, 2, 3, 4, 5] })),
    ],
    [
      'swap the opened sum',
      ['receipts'],
      () =>
        edited(events, 'round.closed', (event) => ({
          ...event,
          data: { ...event.data, aggregateHash: '00'.repeat(32) },
        })),
    ],
    [
      'reuse the receipt of another session',
      ['order', 'receipts', 'sessions'],
      () => withReceipt(() => ({ sid: fromHex('11'.repeat(32))! })),
    ],
    [
      'replace the model between two rounds',
      ['models'],
      () =>
        edited(events, 'round.closed', (event) => ({
          ...event,
          data: { ...event.data, nextModelHash: '22'.repeat(32) },
        })),
    ],
    [
      'hand a round another model than it says',
      ['order', 'sessions', 'models'],
      () =>
        edited(
          events,
          'round.closed',
          (event) => ({ ...event, data: { ...event.data, modelHash: '33'.repeat(32) } }),
          (event) => event.round === 1,
        ),
    ],
    [
      'leave out that a round was closed',
      ['order', 'models'],
      () => events.filter((e) => !(e.type === 'round.closed' && e.round === 1)),
    ],
    [
      'close a round twice',
      ['order', 'models'],
      () => events.flatMap((e) => (e.type === 'round.closed' && e.round === 1 ? [e, e] : [e])),
    ],
    [
      'try a round more often than was signed',
      ['order', 'sessions'],
      () => edited(events, 'round.opened', (event) => ({ ...event, attempt: 4 })),
    ],
    [
      'open a round after the charter expired',
      ['order'],
      () =>
        edited(events, 'round.opened', (event) => ({ ...event, at: '2029-01-01T00:00:00.000Z' })),
    ],
    [
      'train before the study started',
      ['order', 'receipts'],
      () => events.filter(({ type }) => type !== 'study.started'),
    ],
    [
      'go on after the study ended',
      ['order'],
      () => {
        const at = events.findIndex(({ type }) => type === 'study.started');
        const stop = {
          ...events.at(-1)!,
          type: 'study.stopped',
          data: { reason: 'why' },
        } as TrailEvent;
        return [...events.slice(0, at + 1), stop, ...events.slice(at + 1)];
      },
    ],
    [
      'call a study complete before its last round',
      ['order'],
      () => events.filter((e) => !(e.type === 'round.closed' && e.round === 3)),
    ],
    [
      'export a model that no round made',
      ['models'],
      () =>
        edited(events, 'model.exported', (event) => ({
          ...event,
          data: { ...event.data, modelHash: '44'.repeat(32) },
        })),
    ],
    [
      'mix in another consortium',
      ['events'],
      () => edited(events, 'silo.approved', (event) => ({ ...event, consortium: 'heart' })),
    ],
  ])('cannot %s', (_, claims, change) => {
    expect(rewritten(change)).toEqual(claims);
  });

  test('cannot hide an entry that is no event', () => {
    const entries = [...log.entries, utf8('{"type":"round.closed"}')];
    expect(failing({ ...log, entries, checkpoints: checkpointsOf(entries) })).toEqual(['events']);
  });
});

/** The confirmations with one signed by a key that is not the silo's. */
function forged(sid: Uint8Array, confirmations: readonly Confirmation[]): Confirmation[] {
  return confirmations.map((confirmation, i) =>
    i === 0
      ? {
          ...confirmation,
          signature: identityOf('mallory').signer.sign(confirmationBytes(sid, confirmation)),
        }
      : confirmation,
  );
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[7]! ^= 1;
  return copy;
}
