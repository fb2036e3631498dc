import { MedleyError, sha256, toHex } from '@medley/kit';
import { placeAlone } from '../alone.ts';
import { isFloat } from '../graph/dtype.ts';
import type { Value } from '../graph/graph.ts';
import { repeatable } from '../graph/chance.ts';
import { inferenceForm, trainingForm } from '../graph/mode.ts';
import { shapeText, type Shape } from '../graph/shape.ts';
import { OPSET, writeModel } from '../file/writer.ts';
import { lossOf, lossRecord } from '../loss/registry.ts';
import { loadModel, type Model } from '../model.ts';
import type { Optimizer } from '../optimizer/optimizer.ts';
import { optimizerOf } from '../optimizer/registry.ts';
import { movedParameters, parameterCount } from '../parameters.ts';
import { gradientPath, unsupportedNodes } from '../path.ts';
import { refusal } from '../unsupported.ts';
import { forward, type Plan } from './core.ts';
import { byOpenRows, embeddingsOf } from './embedding/lookup.ts';
import { piecesOf } from './pieces.ts';
import { epochGraph, evaluateGraph, stepGraph, type GraphPlan } from './graphs.ts';
import { clippingOf } from './private/method.ts';
import {
  ENGINE_VERSION,
  type DataSpec,
  type TrainingArtifacts,
  type TrainingManifest,
  type TrainingOptions,
} from './manifest.ts';

/**
 * Training graphs for a forward ONNX model whose bytes hold all its tensors (see `readModelFile`). The
 * same bytes and options give the same bytes, which are the caller's.
 *
 * Throws what reading a model throws (MODEL_UNREADABLE …), MODEL_NO_PARAMETERS,
 * MODEL_UNSUPPORTED_OPERATOR with every such node at once, MODEL_VALUE_UNKNOWN for an unknown output,
 * MODEL_OUTPUT_UNFIT when the output does not fit the loss, TRAINING_OPTIONS_INVALID, and with
 * `privacy` what {@link clippingOf} throws.
 */
export function buildTraining(bytes: Uint8Array, options: TrainingOptions): TrainingArtifacts {
  const plan = planTraining(bytes, options);
  const file = (graph: ReturnType<typeof stepGraph>): Uint8Array =>
    writeModel(graph, { producer: 'medley', version: ENGINE_VERSION });
  return {
    manifest: plan.manifest,
    step: file(stepGraph(plan)),
    epoch: file(epochGraph(plan)),
    evaluate: file(evaluateGraph(plan)),
  };
}

/** What the graphs of a training are written from. Throws what {@link buildTraining} throws. */
export function planTraining(bytes: Uint8Array, options: TrainingOptions): GraphPlan {
  const optimizer = optimizerOf(options.optimizer, options);
  const loss = lossOf(options.loss);
  const model = loadModel(bytes, options);
  const moved = movedParameters(model.parameters);
  if (moved.length === 0) {
    throw new MedleyError(
      'MODEL_NO_PARAMETERS',
      'no float initializer reaches an output by a differentiable path',
    );
  }
  const output = checkedOutput(model, options.output);
  const labelShape = output.dtype === 'float32' ? loss.labelShape(output.shape ?? []) : undefined;
  if (output.shape === undefined || labelShape === undefined) {
    const has = `${output.dtype ?? 'unknown'} ${shapeText(output.shape)}`;
    throw new MedleyError(
      'MODEL_OUTPUT_UNFIT',
      `${typeof options.loss === 'string' ? options.loss : options.loss.kind} takes ${loss.wants}; "${output.name}" is ${has}`,
    );
  }
  const inputs = model.graph.inputs.map(dataSpec);
  const labels = { name: 'labels', dtype: loss.labelDtype, shape: labelShape };
  const base: Plan = {
    ...formsOf(model, options, optimizer),
    loss,
    optimizer,
    output: output.name,
    outputShape: output.shape,
  };
  const { record, numbers, ...clipping } = clippingOf(base, options, { inputs, labels }, forward);
  const manifest: TrainingManifest = {
    engine: ENGINE_VERSION,
    sourceSha256: toHex(sha256(bytes)),
    sourceOpset: model.opset,
    opset: OPSET,
    loss: lossRecord(options.loss),
    optimizer: options.optimizer,
    output: { name: output.name, dtype: 'float32', shape: output.shape },
    inputs,
    labels,
    ...(loss.labelRule === undefined ? {} : { labelRule: loss.labelRule(output.shape) }),
    parameters: model.parameters,
    parameterCount: parameterCount(model.parameters),
    trainableCount: parameterCount(moved),
    frozen: model.frozen,
    batchNorm: options.batchNorm ?? 'asExported',
    runningVariance: options.runningVariance ?? 'torch',
    slots: optimizer.slots,
    ...(optimizer.starts === undefined ? {} : { slotStarts: optimizer.starts }),
    ...(options.clip === undefined ? {} : { clip: options.clip }),
    ...(optimizer.vectors === undefined ? {} : { vectors: optimizer.vectors }),
    ...sparseRecord(base),
    ...record,
    hyperparameters: {
      ...optimizer.hyperparameters,
      ...(base.isRandom === true ? { seed: 0 } : {}),
      ...numbers,
    },
    feeds: inputs.map(({ name }) => `input:${name}`),
  };
  return { ...base, ...clipping, manifest };
}

/**
 * The graph that learns and the one that only looks, over the same weights. Clipping by example looks
 * for operators that keep rows apart, so Dropout stays there what it is.
 */
function formsOf(
  model: Model,
  options: TrainingOptions,
  optimizer: Optimizer,
): Pick<Plan, 'model' | 'training' | 'inference' | 'isRandom' | 'pieces'> {
  const training = trainingForm(model.graph, options.runningVariance ?? 'torch');
  const masked = options.privacy === undefined ? repeatable(training, model.constants) : undefined;
  const looking = inferenceForm(model.graph);
  // What looks at rows draws the same numbers each time.
  const inference = (masked && repeatable(looking, model.constants)) ?? looking;
  const form = masked ?? training;
  const embeddings = mayOpen(options, optimizer) ? embeddingsOf(form, model) : [];
  return {
    model,
    training: byOpenRows(form, embeddings),
    inference,
    isRandom: masked !== undefined,
    pieces: piecesOf(model.parameters, embeddings, options.privacy !== undefined),
  };
}

/** Names of the embeddings of which an update touches only the rows its batch looks up. */
function sparseRecord({ pieces }: Plan): Pick<TrainingManifest, 'sparseEmbeddings'> {
  const names = pieces.moved.flatMap(({ embedding }) => embedding?.name ?? []);
  return names.length === 0 ? {} : { sparseEmbeddings: names };
}

/** Whether updates may leave out the rows of embeddings that a batch does not look up. */
function mayOpen({ privacy, sparseEmbeddings = 'exact' }: TrainingOptions, optimizer: Optimizer) {
  if (!['exact', 'lazy', 'never'].includes(sparseEmbeddings))
    throw new MedleyError('TRAINING_OPTIONS_INVALID', 'sparseEmbeddings is exact, lazy or never');
  if (privacy !== undefined || (optimizer.vectors ?? []).length > 0) return false;
  return sparseEmbeddings === 'lazy'
    ? optimizer.leavesOut !== undefined
    : sparseEmbeddings === 'exact' && optimizer.leavesOut === 'exact';
}

/** The output to train on, with its inferred shape, once every node on the way is known to be supported. */
function checkedOutput(model: Model, wanted: string | undefined): Value {
  const { b, placed } = placeAlone(model);
  const floats = model.graph.outputs.filter(({ name }) => isFloat(placed.values.get(name)?.dtype));
  const chosen = wanted ?? (floats[0] ?? model.graph.outputs[0])?.name;
  const declared = model.graph.outputs.find(({ name }) => name === chosen);
  const value = chosen === undefined ? undefined : placed.values.get(chosen);
  if (declared === undefined || value === undefined) {
    throw new MedleyError('MODEL_VALUE_UNKNOWN', `the model has no output "${chosen ?? ''}"`);
  }
  const moved = movedParameters(model.parameters);
  const sources = moved.flatMap(({ name }) => placed.values.get(name)?.name ?? []);
  const path = gradientPath(b, placed, sources, [value.name]);
  const faults = unsupportedNodes(b, placed, path);
  if (faults.length > 0) throw refusal(faults);
  const shape = value.shape ?? declared.shape;
  return { name: declared.name, dtype: value.dtype, shape: shape && withBatch(model, shape) };
}

/** Rows of the output are rows of the input: an inferred first size without a name takes the input's. */
function withBatch(model: Model, shape: Shape): Shape {
  const [first, ...rest] = shape;
  const batch = model.graph.inputs[0]?.shape?.[0];
  return typeof first === 'string' && batch !== undefined ? [batch, ...rest] : shape;
}

function dataSpec(input: Value): DataSpec {
  if (input.dtype === undefined || input.shape === undefined || input.shape.length === 0) {
    throw new MedleyError(
      'MODEL_INVALID',
      `the input "${input.name}" has no type, no shape or no row axis`,
    );
  }
  return { name: input.name, dtype: input.dtype, shape: input.shape };
}
