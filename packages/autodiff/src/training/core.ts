import { differentiate } from '../differentiate.ts';
import type { Builder } from '../graph/builder.ts';
import { bufferUpdates } from '../buffers.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { KEY, noKey } from '../graph/chance.ts';
import { place } from '../graph/place.ts';
import type { Shape } from '../graph/shape.ts';
import type { Loss } from '../loss/loss.ts';
import type { Model } from '../model.ts';
import type { Numbers, Optimizer } from '../optimizer/optimizer.ts';
import { movedParameters, parameterCount } from '../parameters.ts';
import { gradientPath } from '../path.ts';
import { clippedGradients, noised, privacyInputs } from './private/clipped.ts';
import type { ClippingMethod } from './private/method.ts';

/** What the graphs of one training have in common. */
export interface Plan {
  readonly model: Model;
  /** The model's graph as it runs while learning, running statistics updated. */
  readonly training: Graph;
  /** The model's graph as it runs on rows only to look at. */
  readonly inference: Graph;
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  /** Name of the output in the model. */
  readonly output: string;
  readonly outputShape: Shape;
  /** How gradients are clipped by example; absent where they are not. */
  readonly clipping?: ClippingMethod;
  /** True when the training graph reads a key; the hyperparameter `seed` decides it. */
  readonly isRandom?: boolean;
}

/** The values a forward pass is fed with. */
export interface Batch {
  /** Flat, [parameterCount]. */
  readonly parameters: Value;
  /** By the model's input names. */
  readonly inputs: ReadonlyMap<string, Value>;
  readonly labels: Value;
  /** [rows] */
  readonly weights: Value;
  /** What the masks of Dropout follow from, a uint32 scalar; see `repeatable`. */
  readonly key?: Value | undefined;
}

/** The state an update moves on. */
export interface State {
  readonly slots: readonly Value[];
  readonly hyper: Numbers;
  /** What {@link Optimizer.numbers} gave, for this update. */
  readonly numbers: Numbers;
  /** What {@link Optimizer.vectors} names, each [trainableCount]. */
  readonly vectors: Numbers;
  /** What is added to the clipped sum, [trainableCount]; there where gradients are clipped. */
  readonly noise?: Value;
}

/** The flat vector cut into tensors, in the order of the model's parameters. */
function unpack(b: Builder, model: Model, flat: Value): readonly Value[] {
  const { parameters } = model;
  const parts =
    parameters.length === 1
      ? [flat]
      : b.many(
          'Split',
          [flat, b.ints(parameters.map(({ count }) => count))],
          { axis: 0 },
          parameters.length,
        );
  return parameters.map(({ shape }, i) =>
    shape.length === 1 ? parts[i]! : b.op('Reshape', [parts[i], b.ints(shape)]),
  );
}

/** Forward pass of one of the plan's graphs, and losses: of each row, and their weighted mean. */
export function forward(b: Builder, plan: Plan, graph: Graph, batch: Batch) {
  const { model, loss } = plan;
  const parameters = unpack(b, model, batch.parameters);
  const bound = new Map(batch.inputs);
  model.parameters.forEach(({ name }, i) => bound.set(name, parameters[i]!));
  if (plan.isRandom === true) bound.set(KEY, batch.key ?? noKey(b));
  const placed = place(b, graph, model.constants, bound);
  const output = b.adopt({ ...placed.values.get(plan.output)!, shape: plan.outputShape });
  const mark = b.nodes.length;
  const { rows, mean } = loss.of(b, output, batch.labels, batch.weights);
  const tail = b.nodes.slice(mark).map((node) => ({ node, source: node }));
  return {
    placed: { ...placed, nodes: [...placed.nodes, ...tail] },
    parameters,
    output,
    rows,
    mean,
  };
}

/** One update: forward, backward, optimizer. */
export function update(b: Builder, plan: Plan, batch: Batch, state: State) {
  const { gradient, loss, buffers, norms } =
    plan.clipping === undefined
      ? meanGradient(b, plan, { ...batch, key: state.numbers['random_key'] })
      : privateGradient(b, plan, batch, state);
  const before = trainableOf(b, plan.model, batch.parameters);
  const sizes = movedParameters(plan.model.parameters).map(({ count }) => count);
  const next = plan.optimizer.update({ b, ...state, parameters: before, gradient, sizes });
  const flat = buffers.length === 0 ? next.parameters : flatten(b, [next.parameters, ...buffers]);
  return { parameters: flat, slots: next.slots, gradient, loss, norms };
}

interface Found {
  /** What the optimizer sees, flat, [trainableCount]. */
  readonly gradient: Value;
  readonly loss: Value;
  /** Running statistics after the batch, in the order of the vector. */
  readonly buffers: readonly Value[];
  /** L2 norms of the examples' gradients, [rows]; there where gradients are clipped. */
  readonly norms?: Value;
}

/** The gradient of the batch's mean loss. */
function meanGradient(b: Builder, plan: Plan, batch: Batch): Found {
  const { placed, parameters, mean } = forward(b, plan, plan.training, batch);
  const moved = parameters.slice(0, movedParameters(plan.model.parameters).length);
  const sources = moved.map(({ name }) => name);
  const path = gradientPath(b, placed, sources, [mean.name]);
  const seeds = new Map([[mean.name, b.scalar(1)]]);
  const gradient = flatten(b, differentiate(b, path, seeds, moved));
  return { gradient, loss: mean, buffers: nextBuffers(plan, parameters, placed.values) };
}

/** Σ clip(∇ᵢ) and noise, over the lot size; models with running statistics do not come here. */
function privateGradient(b: Builder, plan: Plan, batch: Batch, state: State): Found {
  const { clip, lotSize } = privacyInputs(b, state.hyper);
  const { sum, norms, loss } = clippedGradients({ b, plan, batch, clip, run: forward });
  return { gradient: noised(b, sum, state.noise!, lotSize), loss, norms, buffers: [] };
}

/** The part of the flat vector that the optimizer moves. */
function trainableOf(b: Builder, { parameters }: Model, flat: Value): Value {
  const count = parameterCount(movedParameters(parameters));
  if (count === parameterCount(parameters)) return flat;
  const part = b.op('Slice', [flat, b.ints([0]), b.ints([count]), b.ints([0])]);
  return b.adopt({ ...part, dtype: 'float32', shape: [count] });
}

/** Running statistics after the batch, in the order of the vector. */
function nextBuffers(
  { model }: Plan,
  parameters: readonly Value[],
  values: ReadonlyMap<string, Value>,
): readonly Value[] {
  const updates = bufferUpdates(model.graph);
  return model.parameters.flatMap(({ name, role }, i) =>
    role === 'buffer' ? [values.get(updates.get(name) ?? '') ?? parameters[i]!] : [],
  );
}

/** Tensors one after another in one vector. */
function flatten(b: Builder, tensors: readonly Value[]): Value {
  const flat = tensors.map((tensor) =>
    tensor.shape?.length === 1 ? tensor : b.op('Reshape', [tensor, b.ints([-1])]),
  );
  return flat.length === 1 ? flat[0]! : b.op('Concat', flat, { axis: 0 });
}
