import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, type Json } from '@medley/kit';
import { TestSession, codeOf, signerOf, termsFor } from '../../../tests/support/secagg.ts';
import {
  decodeReceipt,
  makeReceipt,
  receiptToJson,
  verifyReceipt,
  type RoundReceipt,
} from './receipt.ts';
import { setHash } from './wire/frame.ts';
import { confirmationBytes } from './wire/messages.ts';

const terms = termsFor(5);
const vectors = terms.roster.map(() => new Uint32Array(10));
const session = new TestSession({ terms, vectors, stepsTaken: [5, 5, 5, 5, 2] }).runThrough(
  'release',
);
const receipt = makeReceipt(terms, session.coordinator, new Uint8Array(32).fill(7));

describe('a receipt', () => {
  test('of a closed session verifies, also after a way through JSON', () => {
    expect(codeOf(() => verifyReceipt(terms, receipt))).toBeUndefined();
    const text = new TextDecoder().decode(canonicalBytes(receiptToJson(receipt)));
    const read = decodeReceipt(JSON.parse(text));
    expect(read).toEqual(receipt);
    expect(codeOf(() => verifyReceipt(terms, read))).toBeUndefined();
  });

  test('is not made before the session is complete', () => {
    const open = new TestSession({ terms, vectors }).runThrough('confirm').coordinator;
    expect(codeOf(() => makeReceipt(terms, open, new Uint8Array(32)))).toBe('SECAGG_OUT_OF_ORDER');
  });

  const { sid } = receipt;
  const signed = (silo: number, survivors: readonly number[]) => {
    const unsigned = {
      silo,
      survivorsHash: setHash(sid, survivors),
      sharersHash: setHash(sid, receipt.sharers),
    };
    return { ...unsigned, signature: signerOf(silo).sign(confirmationBytes(sid, unsigned)) };
  };
  const [first, second, third] = receipt.confirmations;
  const cases: [string, Partial<RoundReceipt>][] = [
    ['of another session', { sid: new Uint8Array(32) }],
    ['with another terms hash', { termsHash: '0'.repeat(64) }],
    ['with one survivor more than was signed', { survivors: [1, 2, 3, 4, 5] }],
    ['with one survivor less than was signed', { survivors: [1, 2, 3] }],
    ['with other sharers than were signed', { sharers: [1, 2, 3, 4] }],
    ['with a survivor that never shared', { sharers: [1, 2, 3, 5] }],
    ['with survivors out of order', { survivors: [2, 1, 3, 4] }],
    ['with a sharer that is not on the roster', { sharers: [1, 2, 3, 4, 5, 6] }],
    ['with fewer than t confirmations', { confirmations: receipt.confirmations.slice(1) }],
    ['with one confirmation counted twice', { confirmations: [first!, second!, third!, third!] }],
    [
      'with a confirmation of other survivors',
      { confirmations: [first!, second!, third!, signed(4, [1, 2, 3, 4, 5])] },
    ],
    [
      'with a confirmation from outside the survivors',
      { confirmations: [first!, second!, third!, signed(5, receipt.survivors)] },
    ],
    [
      'with a forged signature',
      { confirmations: [first!, second!, third!, { ...third!, silo: 4 }] },
    ],
  ];
  test.each(cases)('%s is refused', (_title, change) => {
    const act = () => verifyReceipt(terms, { ...receipt, ...change });
    expect(codeOf(act)).toBe('SECAGG_RECEIPT_INVALID');
  });

  test('that is no receipt is refused by the decoder', () => {
    const json = receiptToJson(receipt);
    const broken: Json[] = [
      null,
      [],
      {},
      ...Object.keys(json).map((key) => ({ ...json, [key]: 'zz' })),
      { ...json, confirmations: [{ silo: 1 }] },
    ];
    for (const value of broken) {
      expect(codeOf(() => decodeReceipt(value))).toBe('SECAGG_RECEIPT_INVALID');
    }
  });
});
