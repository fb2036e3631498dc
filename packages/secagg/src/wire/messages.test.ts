import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { BOX_BYTES } from '../crypto/boxes.ts';
import {
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeShareDelivery,
  decodeSharesMessage,
} from './messages.ts';

const key = new Uint8Array(32).fill(1);
const signature = new Uint8Array(64).fill(2);
const box = new Uint8Array(BOX_BYTES).fill(3);
const sealed = { box, seedHash: key, keyHash: key };
const delivered = {
  ...sealed,
  ...{ seedCommitment: key, ownSeedHash: key, root: key, path: [key], signature },
};

const advert = { silo: 1, channelKey: key, maskKey: key, signature };
const shares = {
  silo: 1,
  boxes: [
    { to: 2, ...sealed },
    { to: 3, ...sealed },
  ],
  seedCommitment: key,
  ownSeedHash: key,
  signature,
};
const delivery = {
  sharers: [1, 2, 3],
  boxes: [
    { from: 2, ...delivered },
    { from: 3, ...delivered },
  ],
};
const complaint = { silo: 1, about: 2, agreed: key, proof: new Uint8Array(128), signature };
const header = { silo: 1, vectorHash: key, sharersHash: key, plainHash: key, signature };
const confirmation = { silo: 1, survivorsHash: key, sharersHash: key, signature };
const release = {
  silo: 1,
  seedShares: [
    { of: 1, share: key },
    { of: 2, share: key },
  ],
  keyShares: [{ of: 3, share: key }],
  signature,
};

const decoders: [string, (value: unknown) => unknown, Record<string, unknown>][] = [
  ['an advert', decodeAdvert, advert],
  ['a shares message', decodeSharesMessage, shares],
  ['a share delivery', decodeShareDelivery, delivery],
  ['a complaint', decodeComplaint, complaint],
  ['a masked header', decodeMaskedHeader, header],
  ['a confirmation', decodeConfirmation, confirmation],
  ['a release', decodeRelease, release],
];

describe.each(decoders)('the decoder of %s', (_name, decode, good) => {
  test('gives the message back, without fields that it does not know', () => {
    expect(decode({ ...good, extra: 1 })).toEqual(good);
  });

  test("takes Node's Buffer and copies it", () => {
    const buffers = Object.fromEntries(
      Object.entries(good).map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value) : value,
      ]),
    );
    expect(decode(buffers)).toEqual(good);
  });

  test('answers anything else with its one code', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(codeOf(() => decode(value))).toBe('SECAGG_MESSAGE_MALFORMED');
      }),
    );
  });

  test('refuses each field when it is missing or replaced by anything', () => {
    for (const name of Object.keys(good)) {
      const rest = Object.entries(good).filter(([other]) => other !== name);
      expect(codeOf(() => decode(Object.fromEntries(rest)))).toBe('SECAGG_MESSAGE_MALFORMED');
      for (const bad of [
        null,
        undefined,
        'x',
        0,
        -1,
        201,
        1.5,
        NaN,
        {},
        [null],
        new Uint8Array(31),
      ]) {
        expect(codeOf(() => decode({ ...good, [name]: bad }))).toBe('SECAGG_MESSAGE_MALFORMED');
      }
    }
  });
});

describe('lists', () => {
  const refused = (act: () => unknown) => expect(codeOf(act)).toBe('SECAGG_MESSAGE_MALFORMED');

  test('may hold no silo twice and stand in ascending order only', () => {
    const [first, second] = shares.boxes;
    refused(() => decodeSharesMessage({ ...shares, boxes: [first, first] }));
    refused(() => decodeSharesMessage({ ...shares, boxes: [second, first] }));
    refused(() => decodeShareDelivery({ ...delivery, sharers: [1, 2, 2] }));
    refused(() => decodeShareDelivery({ ...delivery, sharers: [2, 1] }));
    refused(() =>
      decodeShareDelivery({ ...delivery, boxes: [delivery.boxes[0], delivery.boxes[0]] }),
    );
    const [share] = release.seedShares;
    refused(() => decodeRelease({ ...release, seedShares: [share, share] }));
    refused(() => decodeRelease({ ...release, keyShares: [release.keyShares[0], share] }));
  });

  test('may not be longer than the largest roster, hold holes or short boxes', () => {
    const long = Array.from({ length: 201 }, (_, i) => i + 1);
    refused(() => decodeShareDelivery({ ...delivery, sharers: long }));
    refused(() => decodeShareDelivery({ ...delivery, sharers: new Array(2) }));
    refused(() => decodeSharesMessage({ ...shares, boxes: [{ to: 2, ...sealed, box: key }] }));
  });
});
