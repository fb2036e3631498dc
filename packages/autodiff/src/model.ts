import { MedleyError } from '@medley/kit';
import type { onnx } from './generated/onnx.js';
import { Builder } from './graph/builder.ts';
import { decodeModel, safeInteger } from './file/codec.ts';
import { isFloat } from './graph/dtype.ts';
import { fold } from './file/fold.ts';
import type { Graph, Value } from './graph/graph.ts';
import { place, type Placed } from './graph/place.ts';
import { readGraph } from './file/reader.ts';
import { elementCount, floatsOf, type Tensor } from './graph/tensor.ts';
import { upgrade } from './file/upgrade.ts';
import { infer } from './ops/registry.ts';
import { differentiableInputs, gradientPath } from './path.ts';

/** A weight of a model and its place in the flat vector. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly count: number;
  /** Index of its first element in the flat vector of all parameters. */
  readonly offset: number;
}

/** A model read, checked and brought to operator set 18. */
export interface Model {
  readonly proto: onnx.ModelProto;
  /** Operator set of the file. */
  readonly opset: number;
  readonly graph: Graph;
  readonly constants: ReadonlyMap<string, Tensor>;
  /** See Folded.copies. */
  readonly copies: ReadonlyMap<string, string>;
  /** In the order of the file's initializers; weights that were merged come last. */
  readonly parameters: readonly Parameter[];
}

/**
 * Reads a model for training. Its parameters are the float32 initializers from which a gradient
 * reaches an output: bounds, ratios, shapes and constants are not among them.
 *
 * Throws MODEL_UNREADABLE, MODEL_TOO_LARGE, MODEL_EXTERNAL_DATA, MODEL_DUPLICATE_NAME, MODEL_INVALID,
 * MODEL_UNSUPPORTED_OPSET, MODEL_PARAMETER_NOT_FLOAT.
 */
export function loadModel(bytes: Uint8Array): Model {
  const proto = decodeModel(bytes);
  const standard = proto.opsetImport.find((entry) =>
    ['', 'ai.onnx', undefined, null].includes(entry.domain),
  );
  if (standard === undefined)
    throw new MedleyError('MODEL_INVALID', 'the model names no ONNX operator set');
  const opset = safeInteger(standard.version ?? 0, 'the operator set');
  const { graph, constants, copies } = fold(upgrade(readGraph(proto.graph!), opset));
  const model = { proto, opset, graph, constants, copies };
  return { ...model, parameters: parametersOf(model) };
}

/** The forward graph in a builder of its own, weights and all as constants. */
export function placeAlone(model: Pick<Model, 'graph' | 'constants'>): {
  b: Builder;
  placed: Placed;
} {
  const b = new Builder(infer);
  const inputs = model.graph.inputs.map((input) => [input.name, placeInput(b, input)] as const);
  return { b, placed: place(b, model.graph, model.constants, new Map(inputs)) };
}

/** A graph input of the model as an input of `b`. Throws MODEL_INVALID without type or rank. */
export function placeInput(b: Builder, input: Value, name = input.name): Value {
  if (input.dtype === undefined || input.shape === undefined) {
    throw new MedleyError('MODEL_INVALID', `the input "${input.name}" says no type or shape`);
  }
  return b.input(name, input.dtype, input.shape);
}

/** The flat vector of all parameters as the file holds them, in manifest order; owned by the caller. */
export function flatParameters(model: Model): Float32Array {
  const flat = new Float32Array(parameterCount(model.parameters));
  for (const { name, offset } of model.parameters)
    flat.set(floatsOf(model.graph.initializers.get(name)!), offset);
  return flat;
}

/** Length of the flat vector. */
export function parameterCount(parameters: readonly Parameter[]): number {
  const last = parameters.at(-1);
  return last === undefined ? 0 : last.offset + last.count;
}

function parametersOf(model: Pick<Model, 'graph' | 'constants'>): readonly Parameter[] {
  const { b, placed } = placeAlone(model);
  const candidates = [...model.graph.initializers].filter(
    ([name, tensor]) => isFloat(tensor.dtype) && !isMachineScalar(name, tensor),
  );
  const names = new Map(candidates.map(([name]) => [placed.values.get(name)!.name, name]));
  const targets = model.graph.outputs.flatMap(({ name }) => placed.values.get(name)?.name ?? []);
  const used = new Set<string>();
  for (const { node } of gradientPath(b, placed, names.keys(), targets)) {
    for (const input of differentiableInputs(node))
      if (names.has(input)) used.add(names.get(input)!);
  }
  let offset = 0;
  return candidates
    .filter(([name]) => used.has(name))
    .map(([name, tensor]) => {
      if (tensor.dtype !== 'float32') {
        throw new MedleyError(
          'MODEL_PARAMETER_NOT_FLOAT',
          `the weight "${name}" is of type ${tensor.dtype}`,
        );
      }
      const parameter = { name, shape: tensor.dims, count: elementCount(tensor.dims), offset };
      offset += parameter.count;
      return parameter;
    });
}

/** A scalar that an exporter made of a number in the code (PyTorch: `val_3`, `onnx::Mul_12`). */
function isMachineScalar(name: string, tensor: Tensor): boolean {
  return (
    tensor.dims.length === 0 && /^(val_\d+|\d+|onnx::.*|ortshared.*|scalar.*)$|constant/i.test(name)
  );
}
