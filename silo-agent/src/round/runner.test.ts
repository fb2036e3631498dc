import { readdir, readFile, rm } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { MedleyError, type ErrorCode } from '@medley/kit';
import { lastRound } from '@medley/study';
import { Federation, STUDY } from '../../../tests/support/hospitals.ts';
import { honestWork } from '../../../tests/support/localWork.ts';
import type { LocalWork } from '../training/work.ts';
import type { RoundMessages } from './messages.ts';
import { readResult } from './result.ts';

let open: Federation | undefined;

afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function federation(
  n = 3,
  options: Parameters<typeof Federation.open>[1] = {},
): Promise<Federation> {
  open = await Federation.open(n, options);
  return open;
}

async function nextRoundOf(fed: Federation, index: number): Promise<number> {
  const file = `${fed.member(index).home.paths.study(STUDY.name)}/progress.json`;
  const { nextRound } = JSON.parse(await readFile(file, 'utf8')) as { nextRound: number };
  return nextRound;
}

async function sessionFiles(fed: Federation, index: number): Promise<readonly string[]> {
  return readdir(fed.member(index).home.paths.rounds(STUDY.name)).catch(() => []);
}

const STEPS = ['advertise', 'share', 'mask', 'confirm', 'release'] as const;

describe('a whole study', () => {
  test.each([3, 4, 5])('%d silos end with the model that the aggregator has', async (n) => {
    const fed = await federation(n);
    for (let round = 0; round <= lastRound(STUDY); round++) await fed.runRound(round);
    for (const { index, withdrawn, home } of fed.members) {
      expect(withdrawn).toEqual([]);
      expect(await nextRoundOf(fed, index)).toBe(lastRound(STUDY) + 1);
      expect(await sessionFiles(fed, index)).toEqual([]);
      const { rounds } = await readResult(home.paths.result(STUDY.name), STUDY.name);
      expect(rounds.map(({ kind }) => kind)).toEqual([
        'statistics',
        'training',
        'training',
        'evaluation',
      ]);
      expect(rounds.every(({ local, federated }) => local && federated)).toBe(true);
    }
  });

  test('a silo that is lost after sharing does not stop the others', async () => {
    const fed = await federation(5);
    await fed.runRound(0);
    fed.begin(1);
    await fed.runSteps(undefined, 'share');
    await fed.runSteps([1, 2, 3, 4]);
    await fed.announce(fed.finish(), [1, 2, 3, 4]);
    expect(await nextRoundOf(fed, 1)).toBe(2);
  });
});

describe('restart', () => {
  test.each(STEPS)(
    'after step %s the same message is sent again and the round goes on',
    async (step) => {
      const fed = await federation();
      fed.begin(0);
      for (const now of STEPS) {
        await fed.deliver();
        if (now === step) {
          const first = fed.sent.filter((one) => one.silo === 2 && one.step === step);
          await fed.restart(2);
          await fed.deliver([2]);
          const both = fed.sent.filter((one) => one.silo === 2 && one.step === step);
          expect(both).toEqual([...first, ...first]);
        }
        fed.closeStep();
      }
      await fed.announce(fed.finish());
      expect(await nextRoundOf(fed, 2)).toBe(1);
    },
  );

  test.each(STEPS)(
    'killed before the message of step %s left: it leaves once, from disk',
    async (step) => {
      const fed = await federation();
      fed.begin(0);
      for (const now of STEPS) {
        if (now === step) {
          const { messages } = fed.member(2).parts;
          await fed.restart(2, { messages: neverSending(messages) });
          fed.member(2).runner.offer(fed.task(2)!);
          await fed.deliver([1, 3]);
          await stateReaches(fed, 2, step);
          await fed.restart(2, { messages });
          expect(fed.sent.filter((one) => one.silo === 2 && one.step === step)).toEqual([]);
          await fed.deliver([2]);
        } else {
          await fed.deliver();
        }
        fed.closeStep();
      }
      await fed.announce(fed.finish());
      expect(await nextRoundOf(fed, 2)).toBe(1);
      expect(fed.member(2).withdrawn).toEqual([]);
    },
  );

  test('with its state lost a silo withdraws instead of making new keys', async () => {
    const fed = await federation(5);
    fed.begin(0);
    await fed.runSteps(undefined, 'advertise');
    await rm(fed.member(2).home.paths.rounds(STUDY.name), { recursive: true });
    await fed.restart(2);
    await fed.deliver();
    expect(fed.member(2).withdrawn).toEqual(['ROUND_STATE_LOST']);
    expect(fed.coordinator.shares.map(({ silo }) => silo)).toEqual([1, 3, 4, 5]);
  });

  test('a message is tried until the connection is back', async () => {
    const fed = await federation();
    const { messages } = fed.member(1).parts;
    let failures = 3;
    const shaky: RoundMessages = {
      ...messages,
      advertise: async (...call) => {
        if (failures-- > 0) throw new MedleyError('RPC_UNAVAILABLE', 'gone');
        return messages.advertise(...call);
      },
    };
    await fed.restart(1, { messages: shaky });
    await fed.runRound(0);
    expect(await nextRoundOf(fed, 1)).toBe(1);
  });
});

describe('one session, one word', () => {
  test('an older step that comes again changes nothing', async () => {
    const fed = await federation();
    fed.begin(0);
    const old = fed.task(1)!;
    await fed.runSteps(undefined, 'mask');
    const before = fed.sent.length;
    await fed.announce(old, [1]);
    expect(fed.sent).toHaveLength(before);
    await fed.runSteps();
    await fed.announce(fed.finish());
    expect(await nextRoundOf(fed, 1)).toBe(1);
  });

  test('a second survivor set is refused, also after a restart', async () => {
    const fed = await federation(5);
    fed.begin(0);
    await fed.runSteps(undefined, 'mask');
    await fed.deliver();
    await fed.restart(1);
    await fed.announce(fed.taskWith({ name: 'confirm', survivors: [1, 2, 3, 4] }), [1]);
    expect(fed.member(1).withdrawn).toEqual(['SECAGG_EQUIVOCATION']);
  });

  test('a second list of adverts is refused, also after a restart', async () => {
    const fed = await federation(5);
    fed.begin(0);
    await fed.runSteps(undefined, 'advertise');
    const task = fed.task(1)!;
    await fed.deliver();
    await fed.restart(1);
    const adverts = task.step.name === 'share' ? task.step.adverts.slice(0, 4) : [];
    await fed.announce(fed.taskWith({ name: 'share', adverts }), [1]);
    expect(fed.member(1).withdrawn).toEqual(['SECAGG_EQUIVOCATION']);
  });

  test('after releasing its shares a silo refuses another attempt of the round', async () => {
    const fed = await federation();
    fed.begin(0);
    await fed.runSteps();
    fed.begin(0, 2);
    await fed.deliver();
    expect(fed.members.map(({ withdrawn }) => withdrawn)).toEqual(
      fed.members.map(() => ['SECAGG_ROUND_RELEASED']),
    );
    expect(fed.coordinator.adverts).toEqual([]);
  });

  test('after an aborted attempt the next one has new keys, and the old one stays closed', async () => {
    const fed = await federation();
    fed.begin(0);
    const first = fed.task(1)!;
    await fed.runSteps(undefined, 'advertise');
    await fed.announce(
      fed.taskWith({ name: 'aborted', reasonCode: 'SECAGG_TOO_FEW', retried: true }),
    );
    const before = fed.sent.length;
    await fed.announce(first);
    expect(fed.sent).toHaveLength(before);
    fed.begin(0, 2);
    await fed.runSteps();
    await fed.announce(fed.finish());
    expect(await nextRoundOf(fed, 1)).toBe(1);
  });

  test('more attempts than the charter allows are refused', async () => {
    const fed = await federation();
    fed.begin(0);
    const id = { study: STUDY.name, round: 0, attempt: STUDY.rounds.maxAttempts + 1 };
    await fed.announce(fed.taskWith({ name: 'advertise' }, { id }), [1]);
    expect(fed.member(1).withdrawn).toEqual(['STUDY_ROUND_INVALID']);
  });
});

describe('local work', () => {
  test.each(['DATA_TOO_FEW_ROWS', 'TRAINING_NOT_FINITE'] as const)(
    'a silo that fails with %s says so and the others go on',
    async (code: ErrorCode) => {
      const fed = await federation(5);
      const failing: LocalWork = {
        ...honestWork(3),
        perform: async () => {
          throw new MedleyError(code, 'at this site');
        },
      };
      await fed.restart(3, { work: failing });
      await fed.runRound(0, [1, 2, 3, 4, 5]);
      expect(fed.member(3).withdrawn).toEqual([code]);
      expect(await nextRoundOf(fed, 1)).toBe(1);
      // The result is proven to it all the same.
      expect(await nextRoundOf(fed, 3)).toBe(1);
    },
  );

  test('training stops when the round goes on without this silo', async () => {
    const fed = await federation(5);
    let stopped: unknown;
    const slow: LocalWork = {
      perform: (_task, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => {
            stopped = signal.reason;
            reject(signal.reason as Error);
          });
        }),
      close: async () => undefined,
    };
    await fed.restart(3, { work: slow });
    fed.begin(0);
    await fed.runSteps(undefined, 'share');
    fed.member(3).runner.offer(fed.task(3)!);
    await fed.runSteps([1, 2, 4, 5]);
    await fed.announce(fed.finish());
    expect(stopped).toMatchObject({ code: 'INTERRUPTED' });
    expect(fed.member(3).withdrawn).toEqual([]);
    expect(await nextRoundOf(fed, 3)).toBe(1);
  });

  test('a draining silo finishes its attempt and begins none', async () => {
    const fed = await federation();
    fed.begin(0);
    await fed.runSteps(undefined, 'advertise');
    const { runner } = fed.member(1);
    expect(runner.isBusy).toBe(true);
    runner.drain();
    await fed.runSteps();
    expect(runner.isBusy).toBe(false);
    await fed.announce(fed.finish());
    fed.begin(1);
    await fed.deliver();
    expect(fed.coordinator.adverts.map(({ silo }) => silo)).toEqual([2, 3]);
  });
});

/** Messages that hang until the call is cancelled, as when the process is killed while sending. */
function neverSending(messages: RoundMessages): RoundMessages {
  const hang = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  return {
    ...messages,
    advertise: (_id, _message, signal) => hang(signal),
    share: (_id, _message, signal) => hang(signal),
    submit: (_id, _submission, signal) => hang(signal),
    confirm: (_id, _message, signal) => hang(signal),
    release: (_id, _message, signal) => hang(signal),
  };
}

/** Waits until the silo's state on disk is the one that follows `step`. */
async function stateReaches(
  fed: Federation,
  index: number,
  step: (typeof STEPS)[number],
): Promise<void> {
  const phase = {
    advertise: 'advertised',
    share: 'shared',
    mask: 'masked',
    confirm: 'confirmed',
    release: 'released',
  }[step];
  const file = `${fed.member(index).home.paths.rounds(STUDY.name)}/0-1.json`;
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '{}');
    if ((JSON.parse(text) as { phase?: string }).phase === phase) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
