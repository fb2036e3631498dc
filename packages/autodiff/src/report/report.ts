import { placeAlone } from '../alone.ts';
import type { Warning } from '../file/advice.ts';
import type { Graph } from '../graph/graph.ts';
import { inspectModel, type Port } from '../inspect.ts';
import { loadModel } from '../model.ts';
import { optimizerOf } from '../optimizer/registry.ts';
import type { Role } from '../parameters.ts';
import type { Unsupported } from '../path.ts';
import type { TrainingOptions } from '../training/manifest.ts';
import { nodeCost } from './cost.ts';

/** What a training will be and cost, before anything runs. */
export interface TrainingReport {
  readonly batchSize: number;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** How often each operator occurs in the file. */
  readonly operators: Readonly<Record<string, number>>;
  /** Tensors and elements by what happens to them. */
  readonly parameters: Readonly<Record<Role | 'frozen', { tensors: number; elements: number }>>;
  /** Bytes of results that a step may hold until its backward pass: an estimate from above. */
  readonly activationBytes: number;
  /** Bytes of weights, gradient and optimizer state, in and out. */
  readonly stateBytes: number;
  /** Additions and multiplications of one step, forward and backward (twice the forward ones). */
  readonly flopsPerStep: number;
  /** True when sizes without a number were counted as 1, so that the figures are too small. */
  readonly isPartial: boolean;
  /** Every node in the way of training; empty when the model can be trained. */
  readonly unsupported: readonly Unsupported[];
  readonly warnings: readonly Warning[];
}

/**
 * Reads a model for a training without running or building it, so that everything that stands in the
 * way is told at once. Throws what `inspectModel` throws, and TRAINING_OPTIONS_INVALID for an optimizer
 * that cannot be.
 */
export function trainingReport(
  bytes: Uint8Array,
  options: Omit<TrainingOptions, 'loss'>,
  { batchSize }: { readonly batchSize: number },
): TrainingReport {
  const { inputs, outputs, operators, unsupported, warnings } = inspectModel(bytes, options);
  const model = loadModel(bytes, options);
  const { b, placed } = placeAlone({ ...model, graph: withBatch(model.graph, batchSize) });
  let isPartial = false;
  const costs = placed.nodes.map(({ node }) =>
    nodeCost(node, (name) => {
      const value = b.value(name);
      isPartial ||= value?.shape?.every((size) => typeof size === 'number') !== true && name !== '';
      return value;
    }),
  );
  const { parameters, frozen } = model;
  const of = (role: Role) => {
    const own = parameters.filter((one) => one.role === role);
    return { tensors: own.length, elements: own.reduce((sum, { count }) => sum + count, 0) };
  };
  const roles = { trainable: of('trainable'), local: of('local'), buffer: of('buffer') };
  const fixed = frozen.map((name) => model.graph.initializers.get(name)?.dims ?? []);
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
  const moved = roles.trainable.elements + roles.local.elements;
  const slots = optimizerOf(options.optimizer, options).slots.length;
  return {
    batchSize,
    inputs,
    outputs,
    operators,
    parameters: {
      ...roles,
      frozen: {
        tensors: fixed.length,
        elements: sum(fixed.map((dims) => dims.reduce((product, size) => product * size, 1))),
      },
    },
    activationBytes: sum(costs.map(({ bytes: held }) => held)),
    stateBytes: 4 * (2 * (moved * (1 + slots) + roles.buffer.elements) + moved),
    flopsPerStep: 3 * sum(costs.map(({ flops }) => flops)),
    isPartial,
    unsupported,
    warnings,
  };
}

/** The graph with the size of the rows known. */
function withBatch(graph: Graph, rows: number): Graph {
  const symbol = graph.inputs[0]?.shape?.[0];
  if (typeof symbol !== 'string') return graph;
  const inputs = graph.inputs.map((input) =>
    input.shape === undefined
      ? input
      : { ...input, shape: input.shape.map((size) => (size === symbol ? rows : size)) },
  );
  // What the file says of values in between names the old symbol.
  return { ...graph, inputs, hints: undefined };
}
