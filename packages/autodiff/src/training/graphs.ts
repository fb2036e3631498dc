import { Builder } from '../graph/builder.ts';
import { keyOf } from '../graph/chance.ts';
import { cut } from '../graph/flat.ts';
import type { Graph, Value } from '../graph/graph.ts';
import type { Dim } from '../graph/shape.ts';
import { boolTensor, intTensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import type { Numbers } from '../optimizer/optimizer.ts';
import { forward, update, type Plan } from './core.ts';
import { allPieces } from './pieces.ts';
import { closed, dense, opened, type Opened } from './open.ts';
import type { TrainingManifest } from './manifest.ts';

/** What the graphs are written from. */
export interface GraphPlan extends Plan {
  readonly manifest: TrainingManifest;
}

/** Graph inputs that `step` and `epoch` have in common; `rates` is the shape of the learning rate. */
function stateInputs(b: Builder, { manifest, optimizer }: GraphPlan, rates: readonly Dim[]) {
  const { parameterCount, trainableCount } = manifest;
  const parameters = b.input('parameters', 'float32', [parameterCount]);
  const slots = manifest.slots.map((name) => b.input(name, 'float32', [trainableCount]));
  const stepCount = b.input('step_count', 'int64', []);
  const learningRate = b.input('learning_rate', 'float64', rates);
  const hyper = Object.fromEntries(
    Object.keys(manifest.hyperparameters).map((name) => [name, b.input(name, 'float64', [])]),
  );
  const vectors = Object.fromEntries(
    (optimizer.vectors ?? []).map((name) => [name, b.input(name, 'float32', [trainableCount])]),
  );
  return {
    parameters,
    slots,
    stepCount,
    hyper: { ...hyper, learning_rate: learningRate },
    vectors,
  };
}

/** The data as graph inputs; `rows` replaces the batch size where the whole data set is fed. */
function dataInputs(b: Builder, { manifest }: GraphPlan, rows?: Dim) {
  const shape = (sizes: readonly Dim[]): readonly Dim[] =>
    rows === undefined ? sizes : [rows, ...sizes.slice(1)];
  const inputs = new Map<string, Value>();
  manifest.inputs.forEach(({ name, dtype, shape: sizes }, i) =>
    inputs.set(name, b.input(manifest.feeds[i]!, dtype, shape(sizes))),
  );
  const labels = b.input('labels', manifest.labels.dtype, shape(manifest.labels.shape));
  return { inputs, labels };
}

/** Outputs that hold the state after an update; a model may use these names for its own values. */
function nextNames({ manifest }: GraphPlan): readonly string[] {
  return ['parameters', ...manifest.slots].map((name) => `next_${name}`);
}

/** One update on one batch. */
export function stepGraph(plan: GraphPlan): Graph {
  const b = new Builder(infer);
  b.reserve([...nextNames(plan), 'gradient', 'loss', 'norms']);
  const { parameters, stepCount, ...state } = stateInputs(b, plan, []);
  const numbers = numbersOf(b, plan, state.hyper, updateNumber(b, stepCount));
  const data = dataInputs(b, plan);
  const weights = b.input('sample_weights', 'float32', [plan.manifest.labels.shape[0]!]);
  const noise = noiseInput(b, plan, [plan.manifest.trainableCount]);
  const { slots, vectors, hyper } = state;
  const open = opened(b, plan, { parameters, slots, vectors }, data.inputs);
  const batch = { parameters: open.parameters, places: open.places, ...data, weights };
  const next = update(b, plan, batch, { ...open, hyper, numbers, ...noise });
  const after = closed(b, open, next);
  return b.graph('step', [
    b.named(after.parameters, 'next_parameters'),
    ...after.slots.map((slot, i) => b.named(slot, `next_${plan.manifest.slots[i]!}`)),
    b.named(dense(b, plan, open, next.gradients), 'gradient'),
    b.named(next.loss, 'loss'),
    ...(next.norms === undefined ? [] : [b.named(next.norms, 'norms')]),
  ]);
}

/** The optimizer's numbers, and the key of the update where the graph reads one. */
function numbersOf(b: Builder, plan: GraphPlan, hyper: Numbers, t: Value): Numbers {
  const numbers = plan.optimizer.numbers(b, hyper, t);
  if (plan.isRandom !== true) return numbers;
  return { ...numbers, random_key: b.adopt({ ...keyOf(b, hyper['seed']!, t), shape: t.shape }) };
}

/** The number of the update after `stepCount` others, from 1, float64. */
function updateNumber(b: Builder, stepCount: Value): Value {
  return b.op('Cast', [b.op('Add', [stepCount, scalarInt(b, 1)])], { to: 11 });
}

function scalarInt(b: Builder, value: number): Value {
  return b.constant(intTensor([], [value]));
}

/** What is added to the clipped sums, an input where gradients are clipped by example. */
function noiseInput(b: Builder, { clipping }: Plan, shape: readonly Dim[]): { noise?: Value } {
  return clipping === undefined ? {} : { noise: b.input('noise', 'float32', shape) };
}

/**
 * Updates on `order.length / batch_size` batches; batch k takes the rows that
 * order[k·batch_size …] names. The data is read from the outer graph, so that it is never copied.
 */
export function epochGraph(plan: GraphPlan): Graph {
  const b = new Builder(infer);
  b.reserve([...nextNames(plan), 'losses']);
  const { parameters, slots, stepCount, hyper, vectors } = stateInputs(b, plan, ['steps']);
  const order = b.input('order', 'int32', ['order']);
  const weights = b.input('sample_weights', 'float32', ['order']);
  const batchSize = b.input('batch_size', 'int64', [1]);
  const data = dataInputs(b, plan, 'rows');
  const grid = b.op('Concat', [b.ints([-1]), batchSize], { axis: 0 });
  const batch = plan.manifest.labels.shape[0]!;
  const byStep = (value: Value): Value =>
    b.adopt({ ...b.op('Reshape', [value, grid]), shape: ['steps', batch] });
  const [orders, rowWeights] = [byStep(order), byStep(weights)];
  const steps = b.op('Squeeze', [b.op('Shape', [orders], { start: 0, end: 1 }), b.ints([0])]);
  const noise = noiseInput(b, plan, ['steps', plan.manifest.trainableCount]);
  const range = b.op('Range', [scalarInt(b, 0), steps, scalarInt(b, 1)]);
  const t = updateNumber(b, b.op('Add', [range, stepCount]));
  // Made for all updates at once, so that the loop only reads them.
  const numbers = numbersOf(b, plan, hyper, b.adopt({ ...t, shape: ['steps'] }));
  const used = new Map(
    plan.pieces.moved
      .flatMap(({ embedding }) => embedding?.sources ?? [])
      .map(({ input }) => [input, b.op('Gather', [data.inputs.get(input), order], { axis: 0 })]),
  );
  const open = opened(b, plan, { parameters, slots, vectors }, used);
  const outer = { orders, rowWeights, data, hyper, numbers, open, ...noise };
  const body = loopBody(plan, b, outer);
  const carried = [...open.parameters, ...open.slots.flat()];
  const isTrue = b.constant(boolTensor([], [true]));
  const results = b
    .many('Loop', [steps, isTrue, ...carried], { body }, carried.length + 1)
    .map((value, i) =>
      b.adopt({ ...value, dtype: 'float32', shape: carried[i]?.shape ?? ['steps'] }),
    );
  const pieces = open.parameters.length;
  const after = closed(b, open, {
    parameters: results.slice(0, pieces),
    slots: open.slots.map((list, i) =>
      results.slice(pieces + i * list.length, pieces + (i + 1) * list.length),
    ),
  });
  return b.graph('epoch', [
    b.named(after.parameters, 'next_parameters'),
    ...after.slots.map((slot, i) => b.named(slot, `next_${plan.manifest.slots[i]!}`)),
    b.named(results.at(-1)!, 'losses'),
  ]);
}

interface Outer {
  readonly orders: Value;
  readonly rowWeights: Value;
  readonly data: { readonly inputs: ReadonlyMap<string, Value>; readonly labels: Value };
  readonly hyper: Numbers;
  /** Those that change from update to update are lists [steps]. */
  readonly numbers: Numbers;
  readonly open: Opened;
  /** [steps, trainableCount] */
  readonly noise?: Value;
}

function loopBody(plan: GraphPlan, outer: Builder, o: Outer): Graph {
  const b = outer.subgraph();
  const { manifest } = plan;
  const iteration = b.input('iteration', 'int64', []);
  const condition = b.input('condition', 'bool', []);
  const parameters = o.open.parameters.map(({ shape }, i) =>
    b.input(`step_parameters_${i}`, 'float32', shape!),
  );
  const slots = o.open.slots.map((list, i) =>
    list.map(({ shape }, k) => b.input(`step_${manifest.slots[k]!}_${i}`, 'float32', shape!)),
  );
  const rows = b.op('Gather', [o.orders, iteration], { axis: 0 });
  const pick = (from: Value, sizes: readonly Dim[]): Value =>
    b.adopt({ ...b.op('Gather', [from, rows], { axis: 0 }), shape: sizes });
  const batch = {
    parameters,
    places: o.open.places,
    inputs: new Map(
      manifest.inputs.map(({ name, shape }) => [name, pick(o.data.inputs.get(name)!, shape)]),
    ),
    labels: pick(o.data.labels, manifest.labels.shape),
    weights: b.op('Gather', [o.rowWeights, iteration], { axis: 0 }),
  };
  const numbers = Object.fromEntries(
    Object.entries(o.numbers).map(([name, value]) => [
      name,
      value.shape?.length === 0 ? value : b.op('Gather', [value, iteration], { axis: 0 }),
    ]),
  );
  const noise = o.noise && { noise: b.op('Gather', [o.noise, iteration], { axis: 0 }) };
  const { hyper } = o;
  const { vectors } = o.open;
  const next = update(b, plan, batch, { slots, hyper, numbers, vectors, ...noise });
  return b.graph('epoch_step', [
    b.named(condition, 'go_on'),
    ...next.parameters.map((value, i) => b.named(value, `body_parameters_${i}`)),
    ...next.slots.flatMap((list, i) =>
      list.map((slot, k) => b.named(slot, `body_${manifest.slots[k]!}_${i}`)),
    ),
    b.named(next.loss, 'body_loss'),
  ]);
}

/** Outputs and losses of rows. */
export function evaluateGraph(plan: GraphPlan): Graph {
  const b = new Builder(infer);
  b.reserve(['outputs', 'losses', 'mean_loss']);
  const parameters = b.input('parameters', 'float32', [plan.manifest.parameterCount]);
  const data = dataInputs(b, plan);
  const weights = b.input('sample_weights', 'float32', [plan.manifest.labels.shape[0]!]);
  const { output, rows, mean } = forward(b, plan, plan.inference, {
    parameters: cut(
      b,
      parameters,
      allPieces(plan.pieces).map(({ count }) => count),
    ),
    ...data,
    weights,
  });
  return b.graph('evaluate', [
    b.named(output, 'outputs'),
    b.named(rows, 'losses'),
    b.named(mean, 'mean_loss'),
  ]);
}
