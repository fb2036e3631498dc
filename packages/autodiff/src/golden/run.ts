import { isMedleyError, type ErrorCode } from '@medley/kit';
import { initialParameters, inspectModel } from '../inspect.ts';
import type { LossName, LossOptions } from '../loss/loss.ts';
import { buildTraining } from '../training/build.ts';
import type { TrainingArtifacts, TrainingManifest } from '../training/manifest.ts';
import { initialSlots, Trainer, type TrainingState } from '../training/trainer.ts';
import { noiseCount, reachOf, recordedStart, tensorError, untrained } from './compare.ts';
import { readGoldenCase, type GoldenCase } from './case.ts';
import { classAxes, gradientOptionsOf, lossOf, optimizerOf } from './options.ts';

/** Tolerances of the recordings: losses relative, tensors relative to their largest magnitude. */
export const GOLDEN_TOLERANCE = { loss: 2e-4, gradient: 1e-4, final: 1e-3 } as const;

/** How one recorded training compares with ours. */
export interface GoldenResult {
  readonly name: string;
  readonly verdict: 'PASS' | 'FAIL' | 'UNSUPPORTED';
  /** Largest relative error of a loss; undefined when nothing was run. */
  readonly lossError?: number;
  /** Largest error of a gradient at step 0, relative to the tensor's largest magnitude. */
  readonly gradientError?: number;
  /** Largest error of a weight or running statistic after the last step, likewise. */
  readonly finalError?: number;
  /** Recorded weights and statistics that the model file does not hold under their names. */
  readonly notCompared?: readonly string[];
  /** Weights whose gradients are rounding noise, which have a wider tolerance; see `compare.ts`. */
  readonly noiseElements?: number;
  /** Operators, losses or optimizers that are missing. */
  readonly missing?: readonly string[];
  /** Why it failed without numbers. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** Trains the case in `folder` as recorded and compares. Throws GOLDEN_CASE_INVALID only. */
export async function runGoldenCase(folder: string): Promise<GoldenResult> {
  const golden = readGoldenCase(folder);
  try {
    const missing = missingOf(golden);
    if (missing.length > 0) return { name: golden.name, verdict: 'UNSUPPORTED', missing };
    return await replay(golden);
  } catch (cause) {
    if (!isMedleyError(cause)) throw cause;
    const verdict = cause.code.startsWith('MODEL_UNSUPPORTED') ? 'UNSUPPORTED' : 'FAIL';
    return { name: golden.name, verdict, error: { code: cause.code, message: cause.message } };
  }
}

function missingOf(golden: GoldenCase): readonly string[] {
  const operators = inspectModel(golden.model).unsupported.map(({ op }) => op);
  const loss = lossOf(golden) === undefined ? [`loss ${golden.loss}`] : [];
  const optimizer = optimizerOf(golden) === undefined ? [`optimizer ${golden.optimizer}`] : [];
  return [...new Set([...operators, ...loss, ...optimizer])];
}

async function replay(golden: GoldenCase): Promise<GoldenResult> {
  const frozen = untrained(golden, build(golden).manifest);
  const artifacts = build(golden, frozen);
  const { manifest } = artifacts;
  const start = recordedStart(golden, manifest, initialParameters(golden.model, { frozen }));
  const { losses, state, gradient, reach } = await train(golden, artifacts, start);
  const known = new Set(manifest.parameters.map(({ name }) => name));
  const result = {
    name: golden.name,
    lossError: Math.max(
      ...golden.expectedLosses.map((loss, i) => Math.abs(losses[i]! - loss) / Math.abs(loss)),
    ),
    gradientError: tensorError(golden, manifest, 'grad0', gradient, reach),
    finalError: tensorError(golden, manifest, 'final', state.parameters, reach),
    noiseElements: noiseCount(reach),
    notCompared: [...golden.parameters, ...golden.buffers].filter(
      (name) => !known.has(name) && golden.tensor(`final/${name}`)?.dtype === 'float32',
    ),
  };
  const passes =
    result.lossError <= GOLDEN_TOLERANCE.loss &&
    result.gradientError <= GOLDEN_TOLERANCE.gradient &&
    result.finalError <= GOLDEN_TOLERANCE.final;
  return { ...result, verdict: passes ? 'PASS' : 'FAIL' };
}

/** The training with the classes where the recorded labels have them. */
function build(golden: GoldenCase, frozen: readonly string[] = []): TrainingArtifacts {
  const options = { output: golden.output, optimizer: optimizerOf(golden)!, frozen };
  const make = (loss: LossName | LossOptions): TrainingArtifacts =>
    buildTraining(golden.model, { ...options, ...gradientOptionsOf(golden), loss });
  const labels = golden.tensor('step0/y')?.shape ?? [];
  const [usual, ...others] = classAxes(lossOf(golden)!, labels.length).map(make);
  return [usual!, ...others].find(({ manifest }) => fits(manifest, labels)) ?? usual!;
}

function fits({ labels }: TrainingManifest, dims: readonly number[]): boolean {
  return labels.shape.every((dim, i) => i === 0 || typeof dim === 'string' || dim === dims[i]);
}

function batchOf(golden: GoldenCase, step: number) {
  const of = (name: string) => {
    const { data, shape } = golden.tensor(`step${step}/${name}`)!;
    return { data, dims: shape };
  };
  return {
    inputs: Object.fromEntries(golden.inputs.map((name) => [name, of(name)])),
    labels: of('y'),
  };
}

async function train(golden: GoldenCase, artifacts: TrainingArtifacts, start: Float32Array) {
  const trainer = await Trainer.open(artifacts);
  const learningRate = Number(golden.hyperparameters['lr']);
  let state: TrainingState = {
    parameters: start,
    slots: initialSlots(artifacts.manifest),
    stepCount: 0,
  };
  const losses: number[] = [];
  const gradients: Float32Array[] = [];
  try {
    for (let step = 0; step < golden.steps; step++) {
      const batch = batchOf(golden, step);
      const { gradient } = await trainer.gradient({ parameters: state.parameters, ...batch });
      gradients.push(gradient);
      const next = await trainer.step({ ...state, ...batch, learningRate });
      losses.push(next.loss);
      state = next;
    }
    return { losses, state, gradient: gradients[0]!, reach: reachOf(gradients) };
  } finally {
    await trainer.close();
  }
}
