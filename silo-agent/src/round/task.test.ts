import { describe, expect, test } from '@jest/globals';
import type { RoundTask__Output } from '@medley/rpc';
import { compareTasks, decodeTask } from './task.ts';

const hash = Buffer.alloc(32, 7);
const blob = { sha256: hash, sizeBytes: '5' };
const sound: RoundTask__Output = {
  key: { study: 'recurrence-5y', round: 1, attempt: 1 },
  kind: 'training',
  charterHash: 'ab'.repeat(32),
  model: blob,
  deadlineMs: '1700000000000',
  sessionId: hash,
  advertise: {},
  step: 'advertise',
};
const closed = {
  receipt: Buffer.from('{}'),
  aggregate: blob,
  nextModel: blob,
  proof: { leaf: Buffer.from('{}'), index: '3', checkpoint: 'x', path: [hash] },
};

describe('tasks from the wire', () => {
  test('a sound task is read', () => {
    expect(decodeTask(sound)).toMatchObject({
      id: { study: 'recurrence-5y', round: 1, attempt: 1 },
      model: { hex: '07'.repeat(32), sizeBytes: 5 },
      step: { name: 'advertise' },
    });
  });

  test.each<[string, Partial<RoundTask__Output>]>([
    ['no key', { key: null }],
    ['a study that is a path', { key: { study: '../../etc', round: 1, attempt: 1 } }],
    ['attempt 0', { key: { study: 's', round: 1, attempt: 0 } }],
    ['an unknown kind', { kind: 'gossip' }],
    ['no model', { model: null }],
    ['a short hash', { model: { sha256: Buffer.alloc(31), sizeBytes: '5' } }],
    ['a size beyond exact numbers', { model: { sha256: hash, sizeBytes: '18446744073709551615' } }],
    ['a short session id', { sessionId: Buffer.alloc(1) }],
    ['no step', { advertise: null }],
    ['a closed round without proof', { advertise: null, closed: { ...closed, proof: null } }],
    ['a closed round without model', { advertise: null, closed: { ...closed, nextModel: null } }],
    [
      'a reason that is prose',
      { advertise: null, aborted: { reasonCode: 'so sorry', retried: true } },
    ],
  ])('%s is refused', (_what, change) => {
    expect(() => decodeTask({ ...sound, ...change })).toThrow(
      expect.objectContaining({ code: 'RPC_MESSAGE_INVALID' }),
    );
  });

  test('tasks have one order: round, attempt, step', () => {
    const at = (round: number, attempt: number, change: Partial<RoundTask__Output> = {}) =>
      decodeTask({ ...sound, key: { study: 's', round, attempt }, ...change });
    const share = { advertise: null, share: { adverts: [] } };
    const done = { advertise: null, closed };
    const order = [at(1, 1), at(1, 1, share), at(1, 1, done), at(1, 2), at(2, 1)];
    expect(order.toReversed().sort(compareTasks)).toEqual(order);
    expect(compareTasks(at(1, 1), at(1, 1))).toBe(0);
  });
});
