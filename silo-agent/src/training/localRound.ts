import type { Trainer } from '@medley/autodiff';
import { clipL2 } from '@medley/privacy';
import {
  decodeModelState,
  evaluationValues,
  modelInput,
  statisticsValues,
  trainingValues,
  type ModelState,
  type ScoredRows,
  type Standardisation,
} from '@medley/study';
import { labelsOf, rowsOf, type Dataset } from '../connectors/dataset.ts';
import { localSteps } from './batch.ts';
import { checkpoint, descend, type Examples, type Supervision } from './descent.ts';
import type { Engine } from './engine.ts';
import { metricsOf } from './figures.ts';
import type { LocalSummary, WorkResult, WorkTask } from './work.ts';

/** One round's local work on this site's rows; see {@link LocalWork.perform}. */
export async function performRound(
  engine: Engine,
  task: WorkTask,
  watch: Supervision,
): Promise<WorkResult> {
  const startMs = watch.clock.nowMs();
  await checkpoint(watch);
  const dataset = await engine.dataset(task.study, task.site);
  await checkpoint(watch);
  const { values, ...figures } = await valuesOf(engine, task, dataset, watch);
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
): Promise<Figures> {
  const { study, charter } = task;
  if (task.kind === 'statistics') {
    return { values: statisticsValues(study, charter, rowsOf(dataset, dataset.train)) };
  }
  const state = decodeModelState(task.state);
  const trainer = await engine.trainer(study, task.model);
  const test = await scored(trainer, state, dataset);
  const startingModel = metricsOf(test.logits, test.labels);
  switch (task.kind) {
    case 'evaluation':
      return { values: evaluationValues(study, charter, test), startingModel };
    case 'training':
      return { ...(await trained(trainer, task, state, dataset, test, watch)), startingModel };
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

async function trained(
  trainer: Trainer,
  { study, charter, seed }: WorkTask,
  state: ModelState,
  dataset: Dataset,
  test: ScoredRows,
  watch: Supervision,
): Promise<Figures> {
  const steps = localSteps(study.training, dataset.train.length);
  const examples = examplesOf(dataset, dataset.train, state.standardisation);
  const start = state.parameters;
  const plan = study.training;
  const { parameters, meanLoss } = await descend(
    { trainer, plan, start, examples, steps, seed },
    watch,
  );
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
