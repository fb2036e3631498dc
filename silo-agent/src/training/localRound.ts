import type { Trainer } from '@medley/autodiff';
import type { Rng } from '@medley/kit';
import { clipL2 } from '@medley/privacy';
import {
  decodeModelState,
  evaluationValues,
  modelInput,
  statisticsValues,
  trainingValues,
  type ModelState,
  type ScoredRows,
  type SlotValues,
  type Standardisation,
} from '@medley/study';
import { firstRows, labelsOf, rowsByPatient, rowsOf, type Dataset } from '../connectors/dataset.ts';
import { localSteps } from './batch.ts';
import { checkpoint, descend, type Examples, type Supervision } from './descent.ts';
import type { Engine } from './engine.ts';
import { metricsOf } from './figures.ts';
import { noisedCounts, noisedStatistics } from './noised.ts';
import { descendPrivately } from './privateDescent.ts';
import type { LocalSummary, WorkResult, WorkTask } from './work.ts';

/** One round's local work on this site's rows; see {@link LocalWork.perform}. */
export async function performRound(
  engine: Engine,
  task: WorkTask,
  watch: Supervision,
  rng: Rng,
): Promise<WorkResult> {
  const startMs = watch.clock.nowMs();
  await checkpoint(watch);
  const dataset = await engine.dataset(task.study, task.site);
  await checkpoint(watch);
  const { values, ...figures } = await valuesOf(engine, task, dataset, watch, rng);
  return {
    values,
    summary: {
      kind: task.kind,
      trainRows: dataset.train.length,
      testRows: dataset.test.length,
      fingerprint: dataset.fingerprint,
      ...figures,
      elapsedMs: watch.clock.nowMs() - startMs,
    },
  };
}

type Figures = Pick<WorkResult, 'values'> & Pick<LocalSummary, 'startingModel' | 'training'>;

async function valuesOf(
  engine: Engine,
  task: WorkTask,
  dataset: Dataset,
  watch: Supervision,
  rng: Rng,
): Promise<Figures> {
  const { study, charter } = task;
  if (task.kind === 'statistics') {
    const rows = rowsOf(dataset, firstRows(dataset, dataset.train));
    const values = statisticsValues(
      study,
      charter,
      charter.privacy ? rows : rowsOf(dataset, dataset.train),
    );
    return { values: noisedStatistics(study, charter, values, rng) };
  }
  const state = decodeModelState(task.state);
  const trainer = await engine.trainer(study, charter, task.model);
  const test = await scored(trainer, state, dataset);
  const startingModel = metricsOf(test.logits, test.labels);
  switch (task.kind) {
    case 'evaluation':
      return { values: testValues(task, dataset, test, rng), startingModel };
    case 'training':
      return {
        ...(await trained(trainer, task, { state, dataset, test }, watch, rng)),
        startingModel,
      };
  }
}

async function scored(
  trainer: Trainer,
  { parameters, standardisation }: ModelState,
  dataset: Dataset,
): Promise<ScoredRows> {
  const { inputs, labels } = examplesOf(dataset, dataset.test, standardisation);
  const { outputs } = await trainer.evaluate({ parameters, inputs, labels });
  return { logits: outputs, labels };
}

/** Where a training round of this site stands before its first step. */
interface Begun {
  readonly state: ModelState;
  readonly dataset: Dataset;
  readonly test: ScoredRows;
}

/** What of the test rows goes into the sum: of a private study one row a patient, with noise. */
function testValues(
  { study, charter }: WorkTask,
  dataset: Dataset,
  test: ScoredRows,
  rng: Rng,
): SlotValues {
  if (!charter.privacy) return evaluationValues(study, charter, test);
  const places = rowsByPatient(dataset, dataset.test).map(([first]) => first!);
  const logits = places.map((place) => test.logits[place]!);
  const labels = places.map((place) => test.labels[place]!);
  return noisedCounts(charter, evaluationValues(study, charter, { logits, labels }), rng);
}

async function trained(
  trainer: Trainer,
  { study, charter, seed }: WorkTask,
  { state, dataset, test }: Begun,
  watch: Supervision,
  rng: Rng,
): Promise<Figures> {
  const steps = localSteps(study.training, dataset.train.length);
  const { privacy } = charter;
  const examples = examplesOf(dataset, dataset.train, state.standardisation);
  const start = state.parameters;
  const plan = study.training;
  const { parameters, meanLoss } =
    privacy?.level === 'record'
      ? await descendPrivately(
          {
            ...{ trainer, plan, start, examples, terms: privacy, rng },
            patients: rowsByPatient(dataset, dataset.train),
          },
          watch,
        )
      : await descend({ trainer, plan, start, examples, steps, seed }, watch);
  // Float64, so that parameters far from zero lose nothing in the difference.
  const delta = Float64Array.from(parameters, (value, i) => value - start[i]!);
  const { normL2, factor } = clipL2(delta, charter.clipping.normL2);
  const bound = charter.clipping.coordinate;
  // A rotated update is bounded coordinate by coordinate only after its rotation.
  const { rotation } = charter.secureAggregation;
  const limit = rotation ? Infinity : bound;
  const clipped = Float32Array.from(delta, (value) => Math.min(limit, Math.max(-limit, value)));
  const isBounded = delta.some((value) => Math.abs(value) > limit);
  const weight = dataset.train.length;
  return {
    values: trainingValues(study, charter, { delta: clipped, weight, trainLoss: meanLoss, test }),
    training: { steps, meanLoss, updateNormL2: normL2, isClipped: factor < 1 || isBounded },
  };
}

/** Chosen rows as the model reads them. Throws MODEL_STATE_INVALID when the widths disagree. */
export function examplesOf(
  dataset: Dataset,
  indices: Int32Array,
  standardisation: Standardisation | null,
): Examples {
  return {
    inputs: modelInput(standardisation, rowsOf(dataset, indices)),
    labels: labelsOf(dataset, indices),
  };
}
