import { afterEach, describe, expect, test } from '@jest/globals';
import { equalBytes } from '@medley/kit';
import {
  brokenSharers,
  serializeSharing,
  sharingEvidence,
  type SharesMessage,
} from '@medley/secagg';
import { withForeignSecrets } from '../../../tests/support/hostileShares.ts';
import { Federation } from '../../../tests/support/hospitals.ts';
import { StudyFolder } from '../study/folder.ts';
import { ProgressStore } from './progress.ts';
import { Sessions } from './session.ts';
import { STUDY } from '../../../tests/support/studyFile.ts';

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
