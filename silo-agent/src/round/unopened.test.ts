import { afterEach, describe, expect, test } from '@jest/globals';
import { equalBytes, seededRng } from '@medley/kit';
import {
  brokenSharers,
  serializeSharing,
  sharingEvidence,
  wireLength,
  type SharesMessage,
} from '@medley/secagg';
import { withForeignSecrets } from '../../../tests/support/hostileShares.ts';
import { Federation } from '../../../tests/support/hospitals.ts';
import { StudyFolder } from '../study/folder.ts';
import { initialState, ProgressStore } from './progress.ts';
import { readResult } from './result.ts';
import { Sessions } from './session.ts';
import { MODEL, STUDY } from '../../../tests/support/studyFile.ts';

let open: Federation | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

const LIAR = 5;

/** A training round, released by all, in which silo 5 shared other secrets than its own. */
async function released(): Promise<Federation> {
  const fed = (open = await Federation.open(5));
  await fed.runRound(0);
  fed.begin(1);
  const { home, parts, identity } = fed.member(LIAR);
  const { messages } = parts;
  const sessions = new Sessions(home.paths.rounds(STUDY.name));
  await fed.restart(LIAR, {
    messages: {
      ...messages,
      share: async (id, honest, signal) => {
        const state = await sessions.load(fed.terms);
        if (state === undefined || state === 'ended' || state.phase !== 'shared')
          throw new Error('not after R1');
        const lie: SharesMessage = withForeignSecrets(state, identity);
        expect(equalBytes(lie.signature, honest.signature)).toBe(false);
        await messages.share(id, lie, signal);
      },
    },
  });
  await fed.runSteps();
  expect(fed.coordinator.phase).toBe('complete');
  return fed;
}

const modelOf = (fed: Federation) => fed.taskWith({ name: 'advertise' }).model;

async function progressOf(fed: Federation, index: number) {
  const { home, runner } = fed.member(index);
  await runner.settled();
  const { site } = fed.member(index).parts;
  const folder = new StudyFolder(home.paths, STUDY.name, site);
  return new ProgressStore(folder.folder, await folder.approved()).load();
}

describe('a round whose sum cannot be opened', () => {
  test('ends with the model as it was, and the silos go on from there, though they released', async () => {
    const fed = await released();
    const { modelHash } = fed;
    expect(brokenSharers(fed.terms, fed.coordinator)).toEqual([LIAR]);
    const evidence = fed.put(serializeSharing(sharingEvidence(fed.terms, fed.coordinator, LIAR)));
    await fed.announce(fed.taskWith(fed.prove(evidence, modelOf(fed))), [1, 2, 3, 4]);
    for (const index of [1, 2, 3, 4]) {
      expect(await progressOf(fed, index)).toMatchObject({ nextRound: 2, modelHash });
    }
    // The next round, without the silo that is convicted.
    await fed.runRound(2, [1, 2, 3, 4]);
    expect(await progressOf(fed, 1)).toMatchObject({ nextRound: 3 });
  });

  test('is not believed without a conviction: the aggregator might have opened it', async () => {
    const fed = await released();
    const honest = fed.put(serializeSharing(sharingEvidence(fed.terms, fed.coordinator, 2)));
    await fed.announce(fed.taskWith(fed.prove(honest, modelOf(fed))), [1]);
    expect(await progressOf(fed, 1)).toMatchObject({ nextRound: 1 });
    // It was lied to: it does nothing more for the study.
    const evidence = fed.put(serializeSharing(sharingEvidence(fed.terms, fed.coordinator, LIAR)));
    await fed.announce(fed.taskWith(fed.prove(evidence, modelOf(fed))), [1]);
    expect(await progressOf(fed, 1)).toMatchObject({ nextRound: 1 });
  });
});

describe('a sum that no honest silos can have made', () => {
  /** A training round of honest silos, for which the aggregator shows noise in the place of the sum. */
  async function poisoned() {
    const fed = (open = await Federation.open(3));
    await fed.runRound(0);
    fed.begin(1);
    await fed.runSteps();
    const noise = fed.put(seededRng('noise').bytes(wireLength(fed.terms.layout)));
    return { fed, noise };
  }

  test('ends the round with the model as it was, for every silo alike', async () => {
    const { fed, noise } = await poisoned();
    const { modelHash } = fed;
    await fed.announce(fed.taskWith(fed.prove(noise, modelOf(fed))));
    for (const index of [1, 2, 3]) {
      expect(await progressOf(fed, index)).toMatchObject({ nextRound: 2, modelHash });
    }
    const { paths } = fed.member(1).home;
    const { rounds } = await readResult(paths.result(STUDY.name), STUDY.name);
    expect(rounds.at(-1)?.federated).toEqual({ kind: 'training', gate: 'sum' });
  });

  test('moves no silo to another model, whatever the aggregator says', async () => {
    const { fed, noise } = await poisoned();
    const initial = fed.put(initialState(MODEL));
    await fed.announce(fed.taskWith(fed.prove(noise, initial)));
    expect(await progressOf(fed, 1)).toMatchObject({ nextRound: 1 });
  });
});
