import { blamed, refused, type SiloAttack } from '../support/siloAttack.ts';
import { systemRng } from '@medley/kit';
import { advertise, confirmationBytes, setHash, type SharesMessage } from '@medley/secagg';
import { PROOF_BYTES } from '../../packages/secagg/src/dispute/agreementProof.ts';
import { complaintBytes } from '../../packages/secagg/src/wire/messages.ts';
import {
  advertOf,
  codes,
  confirmationOf,
  keyOf,
  releaseOf,
  share,
  shared,
  sharesOf,
  sidOf,
  sign,
} from '../support/hostileMessages.ts';
import { withBrokenBoxes, withForeignSecrets, withOtherShares } from '../support/hostileShares.ts';
import { releaseRequest } from '../support/simAgent.ts';

export const MESSAGES: readonly SiloAttack[] = [
  {
    title: 'a signature that does not verify',
    step: 'advertise',
    play: (sending) =>
      codes(
        () =>
          sending.client.advertise({
            key: keyOf(sending),
            advert: { ...advertOf(sending, {}), signature: new Uint8Array(64).fill(7) },
          }),
        sending.honestly,
      ),
    codes: ['SECAGG_SIGNATURE_INVALID', 'ok'],
    outcome: 'goes on with it',
    log: [refused('advertise', 'SECAGG_SIGNATURE_INVALID')],
  },
  {
    title: 'equivocation: a second advert, as well signed as the first',
    step: 'advertise',
    play: (sending) => {
      const other = advertise(sending.terms, sending.state.me, sending.silo.identity, systemRng);
      return codes(sending.honestly, () =>
        sending.client.advertise({ key: keyOf(sending), advert: other.message }),
      );
    },
    codes: ['ok', 'SECAGG_CONFLICT'],
    outcome: 'goes on with it',
    log: [refused('advertise', 'SECAGG_CONFLICT'), blamed('advertise', 'SECAGG_CONFLICT')],
  },
  {
    title: 'duplicates: the same message three times',
    step: 'advertise',
    play: (sending) => codes(sending.honestly, sending.honestly, sending.honestly),
    codes: ['ok', 'repeated', 'repeated'],
    outcome: 'goes on with it',
    log: [],
  },
  {
    title: 'a message with another silo’s name',
    step: 'advertise',
    play: (sending) =>
      codes(
        () =>
          sending.client.advertise({
            key: keyOf(sending),
            advert: { ...advertOf(sending, { silo: 1 }) },
          }),
        sending.honestly,
      ),
    codes: ['ROUND_OUTSIDER', 'ok'],
    outcome: 'goes on with it',
    log: [refused('advertise', 'ROUND_OUTSIDER')],
  },
  {
    title: 'a message of another attempt, and one for a round that is not',
    step: 'advertise',
    play: (sending) => {
      const { terms, state, silo, client } = sending;
      const other = advertise({ ...terms, attempt: 2 }, state.me, silo.identity, systemRng);
      const key = keyOf(sending);
      return codes(
        () => client.advertise({ key, advert: other.message }),
        () => client.advertise({ key: { ...key, round: 9 }, advert: other.message }),
        sending.honestly,
      );
    },
    codes: ['SECAGG_SIGNATURE_INVALID', 'ROUND_UNKNOWN', 'ok'],
    outcome: 'goes on with it',
    log: [refused('advertise', 'SECAGG_SIGNATURE_INVALID')],
  },
  {
    title: 'a key of small order',
    step: 'advertise',
    play: (sending) =>
      codes(
        () =>
          sending.client.advertise({
            key: keyOf(sending),
            advert: advertOf(sending, { maskKey: new Uint8Array(32) }),
          }),
        sending.honestly,
      ),
    codes: ['SECAGG_KEY_WEAK', 'ok'],
    outcome: 'goes on with it',
    log: [refused('advertise', 'SECAGG_KEY_WEAK')],
  },
  {
    title: 'a wrong length: keys of 31 bytes',
    step: 'advertise',
    play: (sending) =>
      codes(
        () =>
          sending.client.advertise({
            key: keyOf(sending),
            advert: { ...advertOf(sending, {}), maskKey: new Uint8Array(31) },
          }),
        sending.honestly,
      ),
    codes: ['SECAGG_MESSAGE_MALFORMED', 'ok'],
    outcome: 'goes on with it',
    log: [],
  },
];

export const BOXES: readonly SiloAttack[] = [
  {
    title: 'bad shares: a signed box that does not open',
    step: 'share',
    play: (sending) =>
      codes(share(sending, withBrokenBoxes(shared(sending), [2], sending.silo.identity))),
    codes: ['ok'],
    outcome: 'is tried again without it',
    log: [blamed('share', 'SECAGG_BOX_INVALID')],
  },
  {
    title: 'bad shares: signed boxes that open to other shares than their hashes',
    step: 'share',
    play: (sending) =>
      codes(share(sending, withOtherShares(shared(sending), [1, 2, 3], sending.silo.identity))),
    codes: ['ok'],
    outcome: 'is tried again without it',
    log: [blamed('share', 'SECAGG_BOX_INVALID')],
  },
  {
    title: 'bad shares: sound one by one, but not of the secret; found when the sum is opened',
    step: 'share',
    play: (sending) =>
      codes(share(sending, withForeignSecrets(shared(sending), sending.silo.identity))),
    codes: ['ok'],
    outcome: 'goes on with it',
    rolledBack: 'shares',
    log: [blamed('share', 'SECAGG_SHARES_BROKEN')],
  },
  {
    title: 'bad shares of its mask key, and then it is lost',
    step: 'share',
    play: (sending) =>
      codes(share(sending, withForeignSecrets(shared(sending), sending.silo.identity))),
    codes: ['ok'],
    outcome: 'goes on without it',
    leaves: true,
    rolledBack: 'shares',
    log: [blamed('share', 'SECAGG_SHARES_BROKEN')],
  },
  {
    title: 'a share for a stranger, and one for itself',
    step: 'share',
    play: (sending) => {
      const to = (silo: number) => (one: SharesMessage) => ({
        ...one,
        boxes: [...one.boxes.slice(0, 3), { ...one.boxes[3]!, to: silo }],
      });
      return codes(
        share(sending, sharesOf(sending, to(9))),
        share(sending, sharesOf(sending, to(5))),
      );
    },
    codes: ['SECAGG_SHARERS_INVALID', 'SECAGG_SHARERS_INVALID'],
    outcome: 'goes on without it',
    leaves: true,
    log: [refused('share', 'SECAGG_SHARERS_INVALID')],
  },
  {
    title: 'a box too few, a box twice, and a box that is too short',
    step: 'share',
    play: (sending) => {
      const { shares } = shared(sending);
      const [first, ...rest] = shares.boxes;
      return codes(
        share(
          sending,
          sharesOf(sending, (one) => ({ ...one, boxes: rest })),
        ),
        share(sending, { ...shares, boxes: [first!, first!, ...rest] }),
        share(sending, { ...shares, boxes: [{ ...first!, box: new Uint8Array(91) }, ...rest] }),
        sending.honestly,
      );
    },
    codes: ['SECAGG_SHARERS_INVALID', 'SECAGG_MESSAGE_MALFORMED', 'SECAGG_MESSAGE_MALFORMED', 'ok'],
    outcome: 'goes on with it',
    log: [refused('share', 'SECAGG_SHARERS_INVALID')],
  },
  {
    title: 'a complaint about a silo whose box is sound',
    step: 'mask',
    play: (sending) => {
      const { client, state } = sending;
      const unsigned = {
        ...{ silo: state.me, about: 1 },
        ...{ agreed: new Uint8Array(32).fill(9), proof: new Uint8Array(PROOF_BYTES) },
      };
      const signature = sign(sending, complaintBytes(sidOf(sending), unsigned));
      const complaint = { ...unsigned, signature };
      return codes(() => client.complain({ key: keyOf(sending), complaint }), sending.honestly);
    },
    codes: ['SECAGG_COMPLAINT_FALSE', 'ok'],
    outcome: 'goes on with it',
    log: [refused('mask', 'SECAGG_COMPLAINT_FALSE'), blamed('mask', 'SECAGG_COMPLAINT_FALSE')],
  },
];

export const LATE: readonly SiloAttack[] = [
  {
    title: 'a late message: other shares after the step was closed',
    step: 'mask',
    play: (sending) => {
      const { before } = sending;
      if (before?.phase !== 'shared') throw new Error('not after R1');
      const message = { ...before.shares, signature: new Uint8Array(64) };
      return codes(share(sending, message), sending.honestly);
    },
    codes: ['SECAGG_LATE', 'ok'],
    outcome: 'goes on with it',
    log: [],
  },
  {
    title: 'an early message: a confirmation before there are survivors',
    step: 'mask',
    play: (sending) => {
      const sid = sidOf(sending);
      const hash = setHash(sid, [1, 2, 3, 4, 5]);
      const unsigned = { silo: sending.state.me, survivorsHash: hash, sharersHash: hash };
      const signature = sign(sending, confirmationBytes(sid, unsigned));
      const confirmation = { ...unsigned, signature };
      return codes(
        () => sending.client.confirm({ key: keyOf(sending), confirmation }),
        sending.honestly,
      );
    },
    codes: ['SECAGG_OUT_OF_ORDER', 'ok'],
    outcome: 'goes on with it',
    log: [],
  },
];

export const STANDING: readonly SiloAttack[] = [
  {
    title: 'a confirmation of other survivors than everybody was shown',
    step: 'confirm',
    play: (sending) => {
      const confirmation = confirmationOf(sending, [1, 2, 3, 5]);
      const { client } = sending;
      return codes(() => client.confirm({ key: keyOf(sending), confirmation }), sending.honestly);
    },
    codes: ['SECAGG_EQUIVOCATION', 'ok'],
    outcome: 'goes on with it',
    log: [refused('confirm', 'SECAGG_EQUIVOCATION')],
  },
  {
    title: 'a wrong share in R4, under the helper’s own signature',
    step: 'release',
    play: (sending) => {
      const message = releaseOf(sending, (one) => ({
        ...one,
        seedShares: one.seedShares.map((entry, i) =>
          i === 0 ? { ...entry, share: new Uint8Array(32).fill(3) } : entry,
        ),
      }));
      return codes(() => sending.client.release(releaseRequest(keyOf(sending), message)));
    },
    codes: ['SECAGG_RELEASE_INVALID'],
    outcome: 'goes on with it',
    leaves: true,
    log: [
      refused('release', 'SECAGG_RELEASE_INVALID'),
      blamed('release', 'SECAGG_RELEASE_INVALID'),
    ],
  },
];
