import { utf8 } from '@medley/kit';
import { sessionId } from '@medley/secagg';
import { roundTerms } from '@medley/study';
import { STUDY } from '../support/hospitals.ts';
import {
  ACCOMPLICE,
  VICTIM,
  accompliceAdvert,
  stepOf,
  turned,
  underCharter,
  weaker,
  withAdverts,
  withBoxes,
  type Attack,
} from '../support/lie.ts';

export const KEYS: readonly Attack[] = [
  {
    title: 'swapped keys: its own mask key in the place of another silo’s',
    step: 'share',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) =>
      withAdverts(task, (adverts) =>
        adverts.map((one) => (one.silo === 2 ? { ...one, maskKey: Buffer.alloc(32, 9) } : one)),
      ),
  },
  {
    title: 'swapped keys: two silos’ signed adverts, each under the other’s index',
    step: 'share',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) =>
      withAdverts(task, (adverts) =>
        adverts.map((one) =>
          one.silo === 2
            ? { ...adverts[2]!, silo: 2 }
            : one.silo === 3
              ? { ...adverts[1]!, silo: 3 }
              : one,
        ),
      ),
  },
  {
    title: 'low-order keys: an accomplice signs the point of order one',
    step: 'share',
    code: 'SECAGG_KEY_WEAK',
    bend: (task, fed) =>
      withAdverts(task, (adverts) =>
        adverts.map((one) =>
          one.silo === ACCOMPLICE
            ? accompliceAdvert(fed, () => ({ maskKey: new Uint8Array(32) }))
            : one,
        ),
      ),
  },
  {
    title: 'reflected keys: an accomplice signs the victim’s own keys as its own',
    step: 'share',
    code: 'SECAGG_KEY_REUSED',
    bend: (task, fed) =>
      withAdverts(task, (adverts) =>
        adverts.map((one) => {
          const { channelKey, maskKey } = adverts[VICTIM - 1]!;
          return one.silo === ACCOMPLICE
            ? accompliceAdvert(fed, () => ({ channelKey, maskKey }))
            : one;
        }),
      ),
  },
  {
    title: 'the victim’s own key exchanged for another',
    step: 'share',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) =>
      withAdverts(task, (adverts) =>
        adverts.map((one) =>
          one.silo === VICTIM ? { ...one, maskKey: Buffer.alloc(32, 9) } : one,
        ),
      ),
  },
  {
    title: 'the victim’s own advert left out',
    step: 'share',
    code: 'SECAGG_KEY_MISSING',
    bend: (task) => withAdverts(task, (adverts) => adverts.filter(({ silo }) => silo !== VICTIM)),
  },
];

export const LISTS: readonly Attack[] = [
  {
    title: 'duplicate entries: one advert twice',
    step: 'share',
    code: 'SECAGG_DUPLICATE',
    bend: (task) => withAdverts(task, (adverts) => [...adverts.slice(0, 4), adverts[3]!]),
  },
  {
    title: 'duplicate entries: one sharer twice',
    step: 'mask',
    code: 'SECAGG_MESSAGE_MALFORMED',
    bend: (task) => ({
      ...task,
      step: { ...stepOf(task, 'mask'), sharers: [1, 2, 3, 4, 4] },
    }),
  },
  {
    title: 'duplicate entries: one survivor twice, to make up the number',
    step: 'confirm',
    code: 'SECAGG_SURVIVORS_INVALID',
    bend: (task) => ({ ...task, step: { name: 'confirm', survivors: [1, 2, 2, 2, 3] } }),
  },
  {
    title: 'duplicate entries: one confirmation four times, to make up the threshold',
    step: 'release',
    code: 'SECAGG_DUPLICATE',
    bend: (task) => {
      const [one] = stepOf(task, 'release').confirmations;
      return { ...task, step: { name: 'release', confirmations: [one!, one!, one!, one!] } };
    },
  },
  {
    title: 'a survivor that never shared its secrets',
    step: 'confirm',
    code: 'SECAGG_SURVIVORS_INVALID',
    bend: (task) => ({ ...task, step: { name: 'confirm', survivors: [1, 2, 3, 4, 5, 6] } }),
  },
  {
    title: 'survivors without the victim, whose vector would be opened as a lost one’s',
    step: 'confirm',
    code: 'SECAGG_SURVIVORS_INVALID',
    bend: (task) => ({ ...task, step: { name: 'confirm', survivors: [2, 3, 4, 5] } }),
  },
];

export const FLOORS: readonly Attack[] = [
  {
    title: 'a smaller set than the floor: adverts of three silos where four are needed',
    step: 'share',
    code: 'SECAGG_TOO_FEW',
    bend: (task) => withAdverts(task, (adverts) => adverts.slice(0, 3)),
  },
  {
    title: 'a smaller set than the floor: boxes of three silos where four are needed',
    step: 'mask',
    code: 'SECAGG_TOO_FEW',
    bend: (task) => {
      const { boxes } = stepOf(task, 'mask');
      const step = { name: 'mask', sharers: [1, 2, 3], boxes: boxes.slice(0, 2) } as const;
      return { ...task, step };
    },
  },
  {
    title: 'a smaller survivor set than the floor: three where four are needed',
    step: 'confirm',
    code: 'SECAGG_TOO_FEW',
    bend: (task) => ({ ...task, step: { name: 'confirm', survivors: [1, 2, 3] } }),
  },
  {
    title: 'fewer confirmations than the threshold',
    step: 'release',
    code: 'SECAGG_TOO_FEW',
    bend: (task) => ({
      ...task,
      step: { name: 'release', confirmations: stepOf(task, 'release').confirmations.slice(0, 3) },
    }),
  },
  {
    title: 'a weaker threshold',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) => underCharter(fed, task, weaker({ threshold: 3, minSurvivors: 3 })),
  },
  {
    title: 'a smaller minSurvivors',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) => underCharter(fed, task, weaker({ threshold: 3, minSurvivors: 4 })),
  },
  {
    title: 'a wider clip range',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) =>
      underCharter(fed, task, (charter) => ({
        ...charter,
        clipping: { ...charter.clipping, normL2: 1000 },
      })),
  },
  {
    title: 'a weaker suite',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) => underCharter(fed, task, weaker({ suite: 0 as 1 })),
  },
  {
    title: 'a roster with an extra silo',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) =>
      underCharter(fed, task, (charter) => ({
        ...charter,
        roster: [
          ...charter.roster,
          { index: 6, silo: 'silo-6', identityKey: Buffer.alloc(32, 6).toString('base64') },
        ],
      })),
  },
  {
    title: 'another charter',
    step: 'advertise',
    code: 'STUDY_CHANGED',
    bend: (task) => ({ ...task, charterHash: 'ab'.repeat(32) }),
  },
  {
    title: 'more attempts than the charter allows',
    step: 'advertise',
    code: 'STUDY_ROUND_INVALID',
    bend: (task) => ({ ...task, id: { ...task.id, attempt: STUDY.rounds.maxAttempts + 1 } }),
  },
  {
    title: 'different models to different silos, under one session',
    step: 'advertise',
    code: 'ROUND_SESSION_MISMATCH',
    bend: (task, fed) => ({ ...task, model: fed.put(utf8('a model for one silo')) }),
  },
  {
    title: 'different models to different silos, each under the session that belongs to it',
    step: 'advertise',
    code: 'ROUND_MODEL_MISMATCH',
    bend: (task, fed) => {
      const { charter } = fed;
      const model = fed.put(utf8('a model for one silo'));
      const { round, attempt } = task.id;
      const terms = { charter, study: STUDY, kind: task.kind, round, attempt };
      const sid = sessionId(roundTerms({ ...terms, modelHash: model.hex }));
      return { ...task, model, sessionId: sid };
    },
  },
];

export const RELAYS: readonly Attack[] = [
  {
    title: 'forged ciphertext relays: a box with one bit turned',
    step: 'mask',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) =>
      withBoxes(task, ([first, ...rest]) => [{ ...first!, box: turned(first!.box) }, ...rest]),
  },
  {
    title: 'forged ciphertext relays: two senders’ boxes exchanged',
    step: 'mask',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) =>
      withBoxes(task, ([a, b, ...rest]) => [
        { ...a!, box: b!.box },
        { ...b!, box: a!.box },
        ...rest,
      ]),
  },
  {
    title: 'forged ciphertext relays: a box that was addressed to another silo',
    step: 'mask',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task, fed) => {
      const others = stepOf(fed.task(2)!, 'mask').boxes;
      const foreign = others.find(({ from }) => from === 3)!;
      return withBoxes(task, (boxes) => boxes.map((one) => (one.from === 3 ? foreign : one)));
    },
  },
  {
    title: 'a box left out',
    step: 'mask',
    code: 'SECAGG_SHARERS_INVALID',
    bend: (task) => withBoxes(task, (boxes) => boxes.slice(1)),
  },
  {
    title: 'forged confirmations: one of the aggregator’s own making',
    step: 'release',
    code: 'SECAGG_SIGNATURE_INVALID',
    bend: (task) => {
      const [first, ...rest] = stepOf(task, 'release').confirmations;
      const forged = { ...first!, signature: Buffer.alloc(64, 7) };
      return { ...task, step: { name: 'release', confirmations: [forged, ...rest] } };
    },
  },
];
