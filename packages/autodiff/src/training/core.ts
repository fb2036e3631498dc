import { differentiate } from '../differentiate.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { place } from '../graph/place.ts';
import type { Shape } from '../graph/shape.ts';
import { rowLosses, weightedMean, type Loss } from '../loss/loss.ts';
import type { Model } from '../model.ts';
import type { Optimizer } from '../optimizer/optimizer.ts';
import { gradientPath } from '../path.ts';

/** What the graphs of one training have in common. */
export interface Plan {
  readonly model: Model;
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  /** Name of the output in the model. */
  readonly output: string;
  readonly outputShape: Shape;
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
}

/** The state an update moves on. */
export interface State {
  readonly slots: readonly Value[];
  readonly stepCount: Value;
  readonly hyper: Readonly<Record<string, Value>>;
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

/** Forward pass and losses: outputs, the loss of each row, and their weighted mean. */
export function forward(b: Builder, plan: Plan, batch: Batch) {
  const { model, loss } = plan;
  const parameters = unpack(b, model, batch.parameters);
  const bound = new Map(batch.inputs);
  model.parameters.forEach(({ name }, i) => bound.set(name, parameters[i]!));
  const placed = place(b, model.graph, model.constants, bound);
  const output = b.adopt({ ...placed.values.get(plan.output)!, shape: plan.outputShape });
  const mark = b.nodes.length;
  const rows = rowLosses(b, loss, output, batch.labels);
  const mean = weightedMean(b, rows, batch.weights);
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
  const { placed, parameters, mean } = forward(b, plan, batch);
  const sources = parameters.map(({ name }) => name);
  const path = gradientPath(b, placed, sources, [mean.name]);
  const seeds = new Map([[mean.name, b.scalar(1)]]);
  const gradients = differentiate(b, path, seeds, parameters);
  const flat = gradients.map((g) =>
    g.shape?.length === 1 ? g : b.op('Reshape', [g, b.ints([-1])]),
  );
  const gradient = flat.length === 1 ? flat[0]! : b.op('Concat', flat, { axis: 0 });
  const next = plan.optimizer.update({ b, ...state, parameters: batch.parameters, gradient });
  return { ...next, gradient, loss: mean };
}
