import { MedleyError } from '@medley/kit';
import { exportModel } from '../export.ts';
import { decodeModel, encodeModel } from '../file/codec.ts';
import { OPSET, writeModel } from '../file/writer.ts';
import { onnx } from '../generated/onnx.js';
import { Builder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { doubleTensor, floatTensor, intTensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { flatParameters } from '../parameters.ts';
import { planTraining } from '../training/build.ts';
import { update } from '../training/core.ts';
import { closed, opened } from '../training/open.ts';
import type { GraphPlan } from '../training/graphs.ts';
import { ENGINE_VERSION, type TrainingOptions } from '../training/manifest.ts';

const PRODUCER = { producer: 'medley', version: ENGINE_VERSION } as const;

/**
 * The model with its training in the file's `training_info`, as the ONNX standard describes it
 * (onnx.proto, TrainingInfoProto): the graph is the model that only looks, and
 *
 * - `algorithm` is one update: forward pass while learning, loss, gradients, optimizer. Beside the
 *   model's inputs it takes `labels`, `sample_weights`, `learning_rate` and the vectors of the options;
 *   the optimizer's state and hyperparameters are its initializers.
 * - `update_binding` says which of its outputs replaces which initializer of either graph.
 * - `initialization` and its binding start the optimizer's state anew; the weights start as they are.
 *
 * The standard runs both graphs as one, so that they have one operator set: a model of another set than
 * 18 is written at set 18, one of set 18 stays as it is but for weights that an exporter had merged.
 *
 * Throws what buildTraining throws, and TRAINING_OPTIONS_INVALID with `privacy`.
 */
export function writeTrainingInfo(bytes: Uint8Array, options: TrainingOptions): Uint8Array {
  if (options.privacy !== undefined) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      'training_info has no place for the noise of a private training',
    );
  }
  const plan = planTraining(bytes, options);
  const file = decodeModel(inferenceFile(plan, bytes));
  const { graph, binding, state } = algorithm(plan, namesOf(file.graph!));
  const initialization = start(plan, state);
  const info: onnx.ITrainingInfoProto = {
    initialization: graphProto(initialization.graph),
    initializationBinding: initialization.binding,
    algorithm: graphProto(graph),
    updateBinding: binding,
  };
  file.trainingInfo = [new onnx.TrainingInfoProto(info)];
  return encodeModel(file);
}

/** The model that only looks, every weight an initializer of its own. */
function inferenceFile({ model, inference }: GraphPlan, bytes: Uint8Array): Uint8Array {
  if (model.opset === OPSET && inference === model.graph)
    return exportModel(bytes, flatParameters(model));
  const initializers = new Map([...inference.initializers, ...model.constants]);
  return writeModel({ ...inference, initializers }, PRODUCER);
}

function graphProto(graph: Graph): onnx.IGraphProto {
  return decodeModel(writeModel(graph, PRODUCER)).graph!;
}

/** Every name of the file's graph: what the algorithm makes has to have others. */
function namesOf(graph: onnx.IGraphProto): Set<string> {
  const nodes = (graph.node ?? []).flatMap((node) => [node.name ?? '', ...(node.output ?? [])]);
  const others = [...(graph.initializer ?? []), ...(graph.input ?? [])].map(
    ({ name }) => name ?? '',
  );
  return new Set([...nodes, ...others]);
}

interface Algorithm {
  readonly graph: Graph;
  readonly binding: onnx.IStringStringEntryProto[];
  /** The initializers that hold the slots, in their order, and the count of updates. */
  readonly state: { readonly slots: readonly string[]; readonly stepCount: string };
}

function algorithm(plan: GraphPlan, taken: Set<string>): Algorithm {
  const { manifest, model, optimizer } = plan;
  const b = new Builder(infer, { taken, count: 0 });
  const known = (value: Value): Value => b.adopt(value);
  const weights = model.parameters.map(({ name, shape }) =>
    known({ name, dtype: 'float32', shape }),
  );
  const flat = weights.map((value) => b.op('Reshape', [value, b.ints([-1])]));
  const parameters = flat.length === 1 ? flat[0]! : b.op('Concat', flat, { axis: 0 });
  const inputs = new Map(manifest.inputs.map((spec) => [spec.name, known(spec)]));
  const { labels: spec, trainableCount } = manifest;
  const labels = b.input('labels', spec.dtype, spec.shape);
  const rowWeights = b.input('sample_weights', 'float32', [spec.shape[0]!]);
  const rate = b.input('learning_rate', 'float64', []);
  const vectors = Object.fromEntries(
    (optimizer.vectors ?? []).map((name) => [name, b.input(name, 'float32', [trainableCount])]),
  );
  const numbers = Object.entries(manifest.hyperparameters).map(
    ([name, value]) => [name, variable(b.constant(doubleTensor([], [value]), name))] as const,
  );
  const hyper = { ...Object.fromEntries(numbers), learning_rate: rate };
  const slots = manifest.slots.map((name) => variable(b.constant(startOf(plan, name), name)));
  const stepCount = variable(b.constant(intTensor([], [0]), 'step_count'));
  const nextCount = b.op('Add', [stepCount, b.constant(intTensor([], [1]))]);
  const t = b.op('Cast', [nextCount], { to: 11 });
  const open = opened(b, plan, { parameters, slots, vectors }, inputs);
  const batch = { parameters: open.parameters, places: open.places, inputs, labels };
  const updated = update(
    b,
    plan,
    { ...batch, weights: rowWeights },
    { ...open, hyper, numbers: optimizer.numbers(b, hyper, t) },
  );
  const next = { ...closed(b, open, updated), loss: updated.loss };
  const bound: [string, Value][] = [
    ...tensors(b, plan, next.parameters),
    ...slots.map((slot, i): [string, Value] => [slot.name, next.slots[i]!]),
    [stepCount.name, nextCount],
  ];
  const results = bound.map(([key, value]) => [key, output(b, value, `next_${key}`)] as const);
  const loss = output(b, next.loss, 'loss');
  return {
    graph: b.graph('algorithm', [...results.map(([, value]) => value), loss]),
    binding: results.map(([key, value]) => ({ key, value: value.name })),
    state: { slots: slots.map(({ name }) => name), stepCount: stepCount.name },
  };
}

/** `value` under `wish`, or the next free name. */
function output(b: Builder, value: Value, wish: string): Value {
  return b.op('Identity', [value], {}, wish);
}

/** An initializer that updates replace: its first content is no constant. */
function variable({ name, dtype, shape }: Value): Value {
  return { name, dtype, shape };
}

function startOf({ manifest }: GraphPlan, slot: string) {
  const value = manifest.slotStarts?.[slot] ?? 0;
  const { trainableCount } = manifest;
  return floatTensor([trainableCount], new Float32Array(trainableCount).fill(value));
}

/** The flat vector cut into the tensors that it holds. */
function tensors(b: Builder, { model }: GraphPlan, flat: Value): [string, Value][] {
  const sizes = model.parameters.map(({ count }) => count);
  const parts =
    sizes.length === 1 ? [flat] : b.many('Split', [flat, b.ints(sizes)], { axis: 0 }, sizes.length);
  return model.parameters.map(({ name, shape }, i) => [
    name,
    b.op('Reshape', [parts[i], b.ints(shape)]),
  ]);
}

/** The optimizer's state as it is before the first update. */
function start({ manifest }: GraphPlan, state: Algorithm['state']) {
  const b = new Builder(infer);
  const size = b.ints([manifest.trainableCount]);
  const slots = manifest.slots.map((slot) => {
    const value = floatTensor([1], [manifest.slotStarts?.[slot] ?? 0]);
    return b.op('ConstantOfShape', [size], { value }, `initial_${slot}`);
  });
  const none = b.op(
    'ConstantOfShape',
    [b.ints([])],
    { value: intTensor([1], [0]) },
    'initial_step_count',
  );
  const keys = [...state.slots, state.stepCount];
  const values = [...slots, none];
  const binding = keys.map((key, i) => ({ key, value: values[i]!.name }));
  return { graph: b.graph('initialization', values), binding };
}
