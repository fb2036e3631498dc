import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, concatBytes, sha256, toBase64, utf8 } from '@medley/kit';
import { logKeyFromSeed, signMessage } from '@medley/merkle';
import {
  DEFAULT_FLOORS,
  draftCharter,
  EXAMPLE_STUDY,
  readStudy,
  spendStatement,
  type Charter,
} from '@medley/study';
import { checkBudgets } from './budget.ts';
import type { Entry } from './entry.ts';
import type { TrailEvent } from './event.ts';

const bytes = utf8(
  `${EXAMPLE_STUDY.replace('localEpochs: 2', 'localSteps: 5')}privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n`,
);
const study = readStudy(bytes, 'study.yaml');
const keys = [1, 2, 3].map((i) => logKeyFromSeed(`silo-${i}`, sha256(utf8(`key ${i}`))));
const charter = draftCharter({
  consortium: 'c',
  study,
  studyBytes: bytes,
  modelBytes: utf8('model'),
  modelParameters: 9,
  roster: keys.map(({ publicKey }, i) => ({ silo: `silo-${i + 1}`, identityKey: publicKey })),
  log: { origin: 'o', verifierKey: 'k' },
  nowMs: 0,
  floors: DEFAULT_FLOORS,
});
const charters = new Map<string, Charter>([[study.name, charter]]);
const envelope = {
  v: 1,
  at: '2026-11-23T08:00:00.000Z',
  consortium: 'c',
  outcome: 'ok',
  attempt: 1,
  study: study.name,
} as const;

function spent(silo: number, round: number, epsilon: number, by = silo): TrailEvent {
  const draft = { charter, silo: `silo-${silo}`, round, kind: 'training', epsilon } as const;
  const statement = canonicalBytes(spendStatement({ ...draft, entry: 'ab'.repeat(32) }));
  const signed = concatBytes(utf8('medley/spend/v1\n'), statement);
  return {
    ...envelope,
    type: 'privacy.spent',
    round,
    actor: { kind: 'silo', id: `silo-${silo}` },
    data: {
      silo: `silo-${silo}`,
      statement: toBase64(statement),
      signature: toBase64(signMessage(keys[by - 1]!, signed)),
    },
  };
}

function closed(round: number, survivors: readonly number[]): TrailEvent {
  const hash = 'cd'.repeat(32);
  return {
    ...envelope,
    type: 'round.closed',
    round,
    actor: { kind: 'aggregator', id: 'aggregator' },
    data: {
      kind: 'training',
      receipt: {
        ...{ sid: hash, termsHash: hash, aggregateHash: hash, confirmations: [] },
        ...{ sharers: [1, 2, 3], survivors: [...survivors] },
      },
      ...{ aggregateHash: hash, modelHash: hash, nextModelHash: hash },
    },
  };
}

const check = (...events: readonly TrailEvent[]): ReturnType<typeof checkBudgets> =>
  checkBudgets(
    events.map((event, index): Entry => ({ index, event })),
    charters,
  );
const all = (round: number, epsilon: number): TrailEvent[] =>
  [1, 2, 3].map((silo) => spent(silo, round, epsilon));

describe('the budgets of a log', () => {
  test('hold where every survivor stated its cost before the sum was opened', () => {
    const claim = check(...all(1, 1), closed(1, [1, 2, 3]), ...all(2, 1.5), closed(2, [1, 3]));
    expect(claim).toMatchObject({ name: 'budgets', ok: true, checked: 8 });
  });

  test.each<[string, readonly TrailEvent[], RegExp]>([
    ['a survivor stated nothing', [...all(1, 1).slice(1), closed(1, [1, 2, 3])], /silo-1 is in the sum/],
    ['one stated it after the sum', [...all(1, 1).slice(1), closed(1, [1, 2, 3]), spent(1, 1, 1)], /silo-1 is in the sum/],
    ['one stated another round', [...all(1, 1), closed(2, [1, 2, 3])], /silo-1 is in the sum/],
    ['another key signed', [spent(1, 1, 1, 2)], /silo-1 is not by the key/],
    ['the limit is passed', [spent(1, 1, 4.01)], /above the limit/],
    ['less was spent than before', [spent(1, 1, 2), spent(1, 2, 1)], /less was spent/],
  ])('fail where %s', (_, events, detail) => {
    const claim = check(...events);
    expect(claim.ok).toBe(false);
    expect(claim.detail).toMatch(detail);
  }); // prettier-ignore

  test('of studies without privacy need nothing', () => {
    const plain = new Map<string, Charter>();
    const events = [closed(1, [1, 2, 3])].map((event, index): Entry => ({ index, event }));
    expect(checkBudgets(events, plain)).toMatchObject({ ok: true, checked: 0 });
  });
});
