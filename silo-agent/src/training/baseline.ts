import { buildTraining, initialParameters, Trainer } from '@medley/autodiff';
import { standardisationFrom, type Standardisation, type Study } from '@medley/study';
import { rowsOf, type Dataset } from '../connectors/dataset.ts';
import { localSteps } from './batch.ts';
import { descend, type Supervision } from './descent.ts';
import { metricsOf } from './figures.ts';
import { examplesOf } from './localRound.ts';

export interface BaselineRequest {
  readonly study: Study;
  /** The study's forward ONNX model; training starts from its own weights. */
  readonly modelOnnx: Uint8Array;
  readonly dataset: Dataset;
  /** Seeds the order of the rows. */
  readonly seed: string;
}

/** Figures of one connector's rows. */
export interface SourceFigures {
  /** Rows. */
  readonly train: number;
  readonly test: number;
  /** Null when a class is absent from the test rows. */
  readonly auc: number | null;
  readonly brier: number;
}

/** What training without the consortium gives, on the dataset's own test rows. */
export interface Baseline {
  /** Optimizer steps taken. */
  readonly steps: number;
  readonly auc: number | null;
  readonly brier: number;
  readonly loss: number;
  readonly perSource: Readonly<Record<string, SourceFigures>>;
}

/**
 * Trains on this dataset alone, with as many steps as its silo would take in the whole federation
 * (rounds × local steps), one optimizer state throughout, standardised by its own training rows.
 * With one site's data this is the local-only model, with all sites' the pooled one. Throws MODEL_*,
 * TRAINING_* and INTERRUPTED.
 */
export async function trainBaseline(
  { study, modelOnnx, dataset, seed }: BaselineRequest,
  watch: Supervision,
): Promise<Baseline> {
  const { loss, optimizer } = study.training;
  const { output } = study.model;
  const trainer = await Trainer.open(buildTraining(modelOnnx, { loss, optimizer, output }));
  try {
    const standardisation = study.training.standardise ? ownStandardisation(study, dataset) : null;
    const steps = study.rounds.count * localSteps(study.training, dataset.train.length);
    const { parameters } = await descend(
      {
        trainer,
        plan: study.training,
        start: initialParameters(modelOnnx),
        examples: examplesOf(dataset, dataset.train, standardisation),
        steps,
        seed,
      },
      watch,
    );
    const test = examplesOf(dataset, dataset.test, standardisation);
    const { outputs } = await trainer.evaluate({ parameters, ...test });
    const { auc, brier, loss: meanLoss } = metricsOf(outputs, test.labels);
    return {
      steps,
      auc,
      brier,
      loss: meanLoss,
      perSource: perSource(dataset, outputs, test.labels),
    };
  } finally {
    await trainer.close();
  }
}

/** Mean and population standard deviation of the training rows; 1 where a column is constant. */
export function ownStandardisation(study: Study, dataset: Dataset): Standardisation {
  const rows = rowsOf(dataset, dataset.train);
  const count = rows.length;
  const mean = new Float64Array(dataset.columns);
  const scale = new Float64Array(dataset.columns);
  for (const row of rows) for (let c = 0; c < row.length; c++) mean[c]! += row[c]! / count;
  for (const row of rows)
    for (let c = 0; c < row.length; c++) scale[c]! += (row[c]! - mean[c]!) ** 2;
  const scaled = scale.map((sum) => Math.sqrt(sum / count) || 1);
  return standardisationFrom(study, { count, mean, scale: scaled });
}

function perSource(
  dataset: Dataset,
  logits: Float32Array,
  labels: Float32Array,
): Readonly<Record<string, SourceFigures>> {
  // The dataset's test rows are those of its parts, one part after the other.
  let at = 0;
  const entries = dataset.parts.map(({ id, train, test }): [string, SourceFigures] => {
    const [from, to] = [at, (at += test.length)];
    const { auc, brier } = metricsOf(logits.subarray(from, to), labels.subarray(from, to));
    return [id, { train: train.length, test: test.length, auc, brier }];
  });
  return Object.fromEntries(entries);
}
