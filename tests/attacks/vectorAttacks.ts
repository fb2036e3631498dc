import { sha256, systemRng } from '@medley/kit';
import { layoutLength, mask, setHash } from '@medley/secagg';
import { codes, headerOf, sidOf, submit } from '../support/hostileMessages.ts';
import { blamed, refused, type SiloAttack } from '../support/siloAttack.ts';
import type { Sending } from '../support/simAgent.ts';

export const VECTORS: readonly SiloAttack[] = [
  {
    title: 'wrong lengths: a vector that is longer, and one that is shorter',
    step: 'mask',
    play: (sending) => {
      const { wire } = sending;
      const long = new Uint8Array(wire!.length + 4);
      const short = wire!.slice(4);
      return codes(
        submit(sending, headerOf(sending, { vectorHash: sha256(long) }), long),
        submit(sending, headerOf(sending, { vectorHash: sha256(short) }), short),
        sending.honestly,
      );
    },
    codes: ['ROUND_VECTOR_LENGTH', 'ROUND_VECTOR_LENGTH', 'ok'],
    outcome: 'goes on with it',
    log: [refused('mask', 'ROUND_VECTOR_LENGTH')],
  },
  {
    title: 'a vector that is not the one of its header',
    step: 'mask',
    play: (sending) => {
      const other = sending.wire!.map((byte) => byte ^ 1);
      return codes(submit(sending, headerOf(sending, {}), other), sending.honestly);
    },
    codes: ['BLOB_MISMATCH', 'ok'],
    outcome: 'goes on with it',
    log: [],
  },
  {
    title: 'a vector that was masked for other sharers',
    step: 'mask',
    play: (sending) => {
      const sharersHash = setHash(sidOf(sending), [1, 2, 3, 5]);
      const header = headerOf(sending, { sharersHash });
      return codes(submit(sending, header, sending.wire!), sending.honestly);
    },
    codes: ['SECAGG_EQUIVOCATION', 'ok'],
    outcome: 'goes on with it',
    log: [refused('mask', 'SECAGG_EQUIVOCATION')],
  },
  {
    title: 'equivocation: a second vector after the first',
    step: 'mask',
    play: (sending) => {
      const other = sending.wire!.map((byte) => byte ^ 1);
      const header = headerOf(sending, { vectorHash: sha256(other) });
      return codes(sending.honestly, submit(sending, header, other));
    },
    codes: ['ok', 'SECAGG_CONFLICT'],
    outcome: 'goes on with it',
    log: [refused('mask', 'SECAGG_CONFLICT'), blamed('mask', 'SECAGG_CONFLICT')],
  },
];

/** R2 again from its state before, over other words than its rows make. */
function remasked(sending: Sending, bend: (words: Uint32Array) => Uint32Array) {
  const { before, task, terms, silo } = sending;
  if (before?.phase !== 'shared') throw new Error('not after R1');
  const words = bend(new Uint32Array(layoutLength(terms.layout)));
  const made = mask(before, task.mask!, words, silo.identity);
  return submit(sending, made.message, made.wire);
}

/** What masking cannot see: that words are within the ring is all that can be said of one vector. */
export const POISON: readonly SiloAttack[] = [
  {
    title: 'oversized norms: the largest words of the ring in every slot',
    step: 'mask',
    play: (sending) => codes(remasked(sending, (words) => words.fill(2 ** 31 - 1))),
    codes: ['ok'],
    outcome: 'goes on with it',
    rolledBack: 'sum',
    log: [],
  },
  {
    title: 'NaN: the bits of float32 NaN in place of whole numbers',
    step: 'mask',
    play: (sending) => codes(remasked(sending, (words) => words.fill(0x7fc00000))),
    codes: ['ok'],
    outcome: 'goes on with it',
    rolledBack: 'sum',
    log: [],
  },
  {
    title: 'noise in the place of an update',
    step: 'mask',
    play: (sending) =>
      codes(remasked(sending, ({ length }) => new Uint32Array(systemRng.bytes(4 * length).buffer))),
    codes: ['ok'],
    outcome: 'goes on with it',
    rolledBack: 'sum',
    log: [],
  },
];
