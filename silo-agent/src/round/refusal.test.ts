import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { sha256, utf8 } from '@medley/kit';
import { logKeyFromSeed } from '@medley/merkle';
import { layoutLength, sessionId } from '@medley/secagg';
import { roundTerms } from '@medley/study';
import { Federation, STUDY } from '../../../tests/support/hospitals.ts';
import { readFork } from '../witness/record.ts';
import type { ClosedRound, Task } from './task.ts';

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

function progressFile(fed: Federation, index: number): string {
  return `${fed.member(index).home.paths.study(STUDY.name)}/progress.json`;
}

async function nextRoundOf(fed: Federation, index: number): Promise<number> {
  const { nextRound } = JSON.parse(await readFile(progressFile(fed, index), 'utf8')) as {
    nextRound: number;
  };
  return nextRound;
}

describe('what the aggregator may not do', () => {
  async function refusal(change: (fed: Federation) => Partial<Task>): Promise<readonly string[]> {
    const fed = await federation();
    await fed.runRound(0);
    fed.begin(1);
    await fed.announce(fed.taskWith({ name: 'advertise' }, change(fed)), [1]);
    expect(fed.coordinator.adverts).toEqual([]);
    return fed.member(1).withdrawn;
  }

  test('begin a round with another model', async () => {
    const codes = await refusal((fed) => {
      const model = fed.put(utf8('another model'));
      return { model };
    });
    expect(codes).toEqual(['ROUND_SESSION_MISMATCH']);
  });

  test('begin a round with another model and the session that belongs to it', async () => {
    const codes = await refusal((fed) => {
      const model = fed.put(utf8('another model'));
      const { charter } = fed;
      const round = { kind: 'training', round: 1, attempt: 1, modelHash: model.hex } as const;
      return { model, sessionId: sessionId(roundTerms({ charter, study: STUDY, ...round })) };
    });
    expect(codes).toEqual(['ROUND_MODEL_MISMATCH']);
  });

  test('claim another session', async () => {
    expect(await refusal(() => ({ sessionId: new Uint8Array(32) }))).toEqual([
      'ROUND_SESSION_MISMATCH',
    ]);
  });

  test('use another charter', async () => {
    expect(await refusal(() => ({ charterHash: 'ab'.repeat(32) }))).toEqual(['STUDY_CHANGED']);
  });

  test('call a training round an evaluation', async () => {
    expect(await refusal(() => ({ kind: 'evaluation' }))).toEqual(['STUDY_ROUND_INVALID']);
  });

  test('skip a round without proof', async () => {
    const fed = await federation();
    fed.begin(1);
    await fed.deliver([1]);
    expect(fed.member(1).withdrawn).toEqual(['ROUND_MODEL_UNPROVEN']);
  });

  test('begin before every hospital has signed', async () => {
    const fed = await federation();
    fed.decisions.pop();
    fed.begin(0);
    await fed.deliver();
    expect(fed.members.map(({ withdrawn }) => withdrawn)).toEqual(
      fed.members.map(() => ['STUDY_UNSIGNED']),
    );
  });

  test("go below the hospital's own floor", async () => {
    const fed = await federation(3, { policy: { minPatients: STUDY.cohort.minPatients + 1 } });
    fed.begin(0);
    await fed.deliver([1]);
    expect(fed.member(1).withdrawn).toEqual(['CHARTER_FLOOR_TOO_WEAK']);
  });
});

describe('closed rounds', () => {
  /** Round 0 done by all; `forge` changes what silo 1 is told; the code with which it then leaves. */
  async function codeAfter(
    forge: (fed: Federation, honest: Task & { step: ClosedRound }) => Task,
  ): Promise<string | undefined> {
    const fed = await federation();
    fed.begin(0);
    await fed.runSteps();
    // `finish` always makes a closed step.
    const honest = fed.finish() as Task & { step: ClosedRound };
    await fed.announce(forge(fed, honest), [1]);
    fed.begin(1);
    await fed.deliver([1]);
    expect(fed.coordinator.adverts).toEqual([]);
    return fed.member(1).withdrawn[0];
  }

  const withStep = (task: Task & { step: ClosedRound }, change: Partial<ClosedRound>): Task => ({
    ...task,
    step: { ...task.step, ...change },
  });

  test('a sum that the receipt does not name is refused', async () => {
    const code = await codeAfter((fed, honest) => {
      const bytes = fed.blobs.get(honest.step.aggregate.hex)!.slice();
      bytes[0]! ^= 1;
      return withStep(honest, { aggregate: fed.put(bytes) });
    });
    expect(code).toBe('ROUND_PROOF_INVALID');
  });

  test('a next model that does not follow from the sum is refused, though the log has it', async () => {
    const code = await codeAfter((fed, honest) => {
      const lie = fed.put(utf8('a poisoned model'));
      return { ...honest, step: fed.prove(honest.step.aggregate, lie) };
    });
    expect(code).toBe('ROUND_RESULT_MISMATCH');
  });

  test('a sum that no honest silos can have made is refused, though the log has it', async () => {
    const code = await codeAfter((fed, honest) => {
      const zeros = fed.put(new Uint8Array(4 * layoutLength(fed.terms.layout)));
      return { ...honest, step: fed.prove(zeros, honest.step.nextModel) };
    });
    expect(code).toBe('ROUND_PROOF_INVALID');
  });

  test('a checkpoint of another key is refused', async () => {
    const key = logKeyFromSeed('medley/test-consortium', sha256(utf8('another key')));
    const code = await codeAfter((fed, honest) => ({
      ...honest,
      step: fed.prove(honest.step.aggregate, honest.step.nextModel, key),
    }));
    expect(code).toBe('ROUND_PROOF_INVALID');
  });

  test('a leaf that is not in the tree is refused', async () => {
    const code = await codeAfter((_fed, honest) => {
      const { proof } = honest.step;
      return withStep(honest, {
        proof: { ...proof, path: proof.path.map(() => new Uint8Array(32)) },
      });
    });
    expect(code).toBe('ROUND_PROOF_INVALID');
  });

  test('a receipt with too few confirmations is refused', async () => {
    const code = await codeAfter((_fed, honest) => {
      const receipt = JSON.parse(new TextDecoder().decode(honest.step.receipt)) as {
        confirmations: unknown[];
      };
      const shorter = { ...receipt, confirmations: receipt.confirmations.slice(1) };
      return withStep(honest, { receipt: utf8(JSON.stringify(shorter)) });
    });
    expect(code).toBe('ROUND_PROOF_INVALID');
  });

  test('a silo that missed a round takes the proof and comes back', async () => {
    const fed = await federation(5);
    await fed.runRound(0);
    const missed = await fed.runRound(1, [1, 2, 3, 4]);
    await fed.restart(5);
    await fed.announce(missed, [5]);
    await fed.runRound(2);
    expect(await nextRoundOf(fed, 5)).toBe(3);
    expect(fed.member(5).withdrawn).toEqual([]);
  });

  test('the same proof again is no news', async () => {
    const fed = await federation();
    const closed = await fed.runRound(0);
    await fed.announce(closed);
    await fed.runRound(1);
    expect(await nextRoundOf(fed, 1)).toBe(2);
  });

  test('a second end of a verified round is refused', async () => {
    const fed = await federation();
    const closed = await fed.runRound(0);
    const other = { ...closed.step, nextModel: fed.put(utf8('another end')) } as ClosedRound;
    await fed.announce({ ...closed, step: other }, [1]);
    fed.begin(1);
    await fed.deliver([1]);
    expect(fed.member(1).withdrawn).toEqual(['ROUND_RESULT_MISMATCH']);
  });

  test('a log that is shorter than it was is a fork', async () => {
    const fed = await federation();
    await fed.runRound(0);
    const file = progressFile(fed, 1);
    const progress = JSON.parse(await readFile(file, 'utf8')) as { checkpoint: { size: number } };
    progress.checkpoint.size += 1000;
    await writeFile(file, JSON.stringify(progress));
    await fed.restart(1);
    await fed.runRound(1);
    fed.begin(2);
    await fed.deliver([1]);
    expect(fed.member(1).withdrawn).toEqual(['ROUND_LOG_FORKED']);
  });

  test('a round whose checkpoint is of another history than was witnessed ends all taking part', async () => {
    const fed = await federation();
    // What the aggregator showed this hospital before: the log it shows now, but for one leaf.
    const { witness } = fed.member(1).parts;
    const { verifierKey } = fed.charter.log;
    const note = fed.checkpointOver([utf8('a leaf that others never saw')]);
    const never = new AbortController().signal;
    await witness.observe({ note, verifierKey, isNewest: true }, never);
    await fed.runRound(0);
    await expect(readFile(progressFile(fed, 1))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await nextRoundOf(fed, 2)).toBe(1);
    fed.begin(1);
    await fed.deliver([1, 2]);
    expect(fed.member(1).withdrawn).toEqual(['LOG_FORKED']);
    expect(fed.member(2).withdrawn).toEqual([]);
    const evidence = await readFork(fed.member(1).home.paths.witness);
    expect(evidence).toMatchObject({ kind: 'fork', held: note });
  });
});
