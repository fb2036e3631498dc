import { placeAlone } from './alone.ts';
import { warningsOf, type Warning } from './file/advice.ts';
import { safeInteger } from './file/codec.ts';
import type { Value } from './graph/graph.ts';
import type { Dim } from './graph/shape.ts';
import { loadModel } from './model.ts';
import {
  flatParameters,
  movedParameters,
  parameterCount,
  type ModelOptions,
  type Parameter,
} from './parameters.ts';
import { gradientPath, unsupportedNodes, type Unsupported } from './path.ts';

/** An input or output of a model; sizes that have no number have a name. */
export interface Port {
  readonly name: string;
  readonly shape: readonly Dim[];
  readonly dtype: string;
}

/** What a model file holds, and whether it can be trained. */
export interface ModelReport {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly parameters: readonly Parameter[];
  /** Length of the flat vector: trainable elements and running statistics. */
  readonly parameterCount: number;
  /** Number of elements that training moves. */
  readonly trainableCount: number;
  /** Weights and statistics that stay as the file has them. */
  readonly frozen: readonly string[];
  /** How often each operator occurs in the file. */
  readonly operators: Readonly<Record<string, number>>;
  /** Every node in the way of training; empty when the model can be trained. */
  readonly unsupported: readonly Unsupported[];
  /** What may spoil a training without stopping it. */
  readonly warnings: readonly Warning[];
}

/**
 * Reads a model without running it. Throws only for files that cannot be read: MODEL_UNREADABLE,
 * MODEL_TOO_LARGE, MODEL_EXTERNAL_DATA, MODEL_DUPLICATE_NAME, MODEL_INVALID,
 * MODEL_UNSUPPORTED_OPSET, MODEL_PARAMETER_NOT_FLOAT, TRAINING_OPTIONS_INVALID.
 */
export function inspectModel(bytes: Uint8Array, options: ModelOptions = {}): ModelReport {
  const model = loadModel(bytes, options);
  const { b, placed } = placeAlone(model);
  const outputs = model.graph.outputs.map((output) => placed.values.get(output.name) ?? output);
  const moved = movedParameters(model.parameters);
  const sources = moved.flatMap(({ name }) => placed.values.get(name)?.name ?? []);
  const path = gradientPath(
    b,
    placed,
    sources,
    outputs.map(({ name }) => name),
  );
  const { proto } = model;
  return {
    irVersion: safeInteger(proto.irVersion, 'the IR version'),
    opset: model.opset,
    producer: [proto.producerName, proto.producerVersion].filter((part) => part !== '').join(' '),
    inputs: model.graph.inputs.map(port),
    outputs: model.graph.outputs.map((output, i) =>
      port({ ...outputs[i]!, name: output.name, shape: output.shape ?? outputs[i]?.shape }),
    ),
    parameters: model.parameters,
    parameterCount: parameterCount(model.parameters),
    trainableCount: parameterCount(moved),
    frozen: model.frozen,
    operators: countOperators((proto.graph?.node ?? []).map((node) => node.opType ?? '')),
    unsupported: unsupportedNodes(b, placed, path),
    warnings: warningsOf(proto),
  };
}

/**
 * Weights and running statistics as the file holds them, flat and in manifest order; owned by the
 * caller. The options are those of the training. Throws what {@link inspectModel} throws.
 */
export function initialParameters(bytes: Uint8Array, options: ModelOptions = {}): Float32Array {
  return flatParameters(loadModel(bytes, options));
}

function port({ name, shape, dtype }: Value): Port {
  return { name, shape: shape ?? [], dtype: dtype ?? 'unknown' };
}

function countOperators(names: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
