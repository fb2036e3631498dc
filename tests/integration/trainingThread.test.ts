import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { initialParameters } from '@medley/autodiff';
import { isMedleyError, systemClock } from '@medley/kit';
import { encodeModelState } from '@medley/study';
import { InThreadWork } from '../../silo-agent/src/training/local.ts';
import { ThreadWork } from '../../silo-agent/src/training/thread.ts';
import { makeHands, type Hands } from '../support/hands.ts';

// What production loads; `npm test` compiles it first.
const ENTRY = new URL('../../silo-agent/dist/training/worker.js', import.meta.url);

let hands: Hands;
let work: ThreadWork;
beforeEach(() => {
  work = new ThreadWork(ENTRY);
});
afterEach(async () => {
  await work.close();
  await hands.remove();
});

test('the compiled worker gives the same bits as work in the calling thread', async () => {
  hands = await makeHands();
  const here = new InThreadWork(systemClock);
  const parameters = initialParameters(hands.model);
  const standardisation = { mean: new Float64Array(4), scale: new Float64Array(4).fill(10) };
  const state = encodeModelState({ parameters, standardisation });
  for (const kind of ['statistics', 'training', 'evaluation'] as const) {
    const task = hands.task(kind, state);
    expect((await work.perform(task)).values).toEqual((await here.perform(task)).values);
  }
  await here.close();
}, 60_000);

test('the compiled worker stops a long training at the next chunk and goes on with the next task', async () => {
  hands = await makeHands((yaml) => yaml.replace('localEpochs: 2', 'localSteps: 1000000'));
  const parameters = initialParameters(hands.model);
  const standardisation = { mean: new Float64Array(4), scale: new Float64Array(4).fill(10) };
  const state = encodeModelState({ parameters, standardisation });
  const abort = new AbortController();
  const running = work.perform(hands.task('training', state), abort.signal, () => abort.abort());
  const error = await running.catch((caught: unknown) => caught);
  expect(isMedleyError(error) && error.code).toBe('INTERRUPTED');
  expect((await work.perform(hands.task('statistics'))).summary.trainRows).toBe(20);
}, 60_000);
