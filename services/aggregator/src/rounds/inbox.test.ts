import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '@medley/kit';
import type { CoordinatorEvent } from '@medley/secagg';
import { codeOf } from '../../../../tests/support/aggregator.ts';
import { termsFor } from '../../../../tests/support/secagg.ts';
import type { RoundBook, RoundParts } from './book.ts';
import { Inbox } from './inbox.ts';
import { openRound, type RoundEvent, type RoundState } from './round.ts';

const ID = { study: 's', round: 1, attempt: 1 };
const terms = termsFor(4);
const model = { hash: '0'.repeat(64), sizeBytes: 1 };
const pace = { stepMs: 1000, trainingMs: 1000 };
const state = openRound({ id: ID, kind: 'training', model, pace }, terms, 0);
const { roster } = terms;

/** Only the sender of a message matters here: what it says is the state machine's to judge. */
const advertOf = (silo: number) => ({ kind: 'advert', message: { silo } }) as CoordinatorEvent;

let clock: ManualClock;
let writes: number[];
let inbox: Inbox;
beforeEach(() => {
  clock = new ManualClock();
  writes = [];
  const open = { state, terms, agreement: { charter: { roster } } };
  const book = {
    find: () => open,
    refuse: async () => undefined,
    applyAll: async (_change: unknown, _open: unknown, events: readonly (() => RoundEvent)[]) => {
      writes.push(events.length);
      return events.map((event) => {
        try {
          event();
          const after: RoundState = { ...state, coordinator: { ...state.coordinator } };
          return { status: 'fulfilled', value: { before: state, after } };
        } catch (reason) {
          return { status: 'rejected', reason };
        }
      });
    },
  };
  const ledger = { change: (work: (change: unknown) => unknown) => work({ tables: {} }) };
  const parts = { clock, ledger, gatherMs: 15 };
  // The parts of the port that this class uses.
  inbox = new Inbox(parts as unknown as RoundParts, book as unknown as RoundBook);
});

describe('messages of one step', () => {
  test('are written together as soon as all have come', async () => {
    const taken = [1, 2, 3, 4].map((silo) => inbox.message(ID, `silo-${silo}`, advertOf(silo)));
    expect(await Promise.all(taken)).toEqual(new Array(4).fill({ repeated: false }));
    expect(writes).toEqual([4]);
  });

  test('are written after a moment when some are missing', async () => {
    const taken = [1, 2].map((silo) => inbox.message(ID, `silo-${silo}`, advertOf(silo)));
    expect(writes).toEqual([]);
    clock.advance(15);
    await Promise.all(taken);
    expect(writes).toEqual([2]);
  });

  test('that are refused do not harm those beside them', async () => {
    const taken = [
      inbox.message(ID, 'silo-1', advertOf(1)),
      inbox.message(ID, 'silo-2', advertOf(3)),
      inbox.message(ID, 'stranger', advertOf(3)),
      inbox.message(ID, 'silo-4', advertOf(4)),
    ];
    expect(await codeOf(taken[1]!)).toBe('ROUND_OUTSIDER');
    expect(await codeOf(taken[2]!)).toBe('ROUND_OUTSIDER');
    expect(await taken[0]).toEqual({ repeated: false });
    expect(await taken[3]).toEqual({ repeated: false });
  });
});
