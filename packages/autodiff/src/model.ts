import { MedleyError } from '@medley/kit';
import type { onnx } from './generated/onnx.js';
import { decodeModel, safeInteger } from './file/codec.ts';
import { fold, weightNames } from './file/fold.ts';
import type { Graph } from './graph/graph.ts';
import { batchNormAs } from './graph/mode.ts';
import { functionOpener } from './file/function.ts';
import { originsOf } from './file/origin.ts';
import { domainOf, readGraph } from './file/reader.ts';
import { settle } from './file/settle.ts';
import { infer } from './ops/registry.ts';
import { floatsOf, type Tensor } from './graph/tensor.ts';
import { densify } from './file/sparse.ts';
import { unshare, untouched } from './file/unshare.ts';
import { upgrade } from './file/upgrade.ts';
import { stepsFirst } from './ops/recurrent/layout.ts';
import { assignRoles, type ModelOptions, type Parameter } from './parameters.ts';

/** A model file read and brought to operator set 18. */
export interface Reading {
  readonly proto: onnx.ModelProto;
  /** Operator set of the file. */
  readonly opset: number;
  readonly graph: Graph;
  readonly constants: ReadonlyMap<string, Tensor>;
  /** See Folded.copies and Unshared.copies. */
  readonly copies: ReadonlyMap<string, string>;
  /** See Unshared.splits. */
  readonly splits: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** See Settled. */
  readonly tied: ReadonlyMap<string, string>;
  readonly restored: ReadonlyMap<string, Tensor>;
}

/** A model read for training: what of it moves. */
export interface Model extends Reading {
  /** The flat vector: trainable ones, then local ones, then buffers, each in the order of the file. */
  readonly parameters: readonly Parameter[];
  /** Weights and statistics that stay as the file has them. */
  readonly frozen: readonly string[];
}

/**
 * Reads a model for training. Its parameters are the float32 initializers from which a gradient
 * reaches an output (bounds, ratios, shapes and constants are not among them) and the running
 * statistics that training replaces.
 *
 * Throws MODEL_UNREADABLE, MODEL_TOO_LARGE, MODEL_EXTERNAL_DATA, MODEL_DUPLICATE_NAME, MODEL_INVALID,
 * MODEL_UNSUPPORTED_OPSET, MODEL_UNSUPPORTED_OPERATOR for a node that has no form in operator set 18,
 * MODEL_PARAMETER_NOT_FLOAT, MODEL_NOT_FINITE, TRAINING_OPTIONS_INVALID for options that do not fit.
 */
export function loadModel(bytes: Uint8Array, options: ModelOptions = {}): Model {
  const model = readModel(bytes, options);
  const assigned = assignRoles(model, options);
  for (const { name } of assigned.parameters)
    checkFinite(name, model.graph.initializers.get(name)!);
  return { ...model, ...assigned };
}

/** Reads a model without asking which of its initializers are weights. Throws MODEL_*. */
export function readModel(bytes: Uint8Array, options: ModelOptions = {}): Reading {
  const proto = decodeModel(bytes);
  const standard = proto.opsetImport.find(({ domain }) => domainOf(domain) === '');
  if (standard === undefined)
    throw new MedleyError('MODEL_INVALID', 'the model names no ONNX operator set');
  const opset = safeInteger(standard.version ?? 0, 'the operator set');
  densify(proto.graph!);
  const read = readGraph(proto.graph!);
  const unshared = options.unshare === false ? untouched(read) : unshare(read);
  const apart = settle(unshared, originsOf(proto.graph!));
  const open = functionOpener(proto, opset);
  const folded = fold(
    stepsFirst(upgrade(apart.graph, { opset, infer, open })),
    infer,
    options.unshare === false ? () => false : weightNames(proto.producerName),
  );
  return {
    proto,
    opset,
    graph: batchNormAs(folded.graph, options.batchNorm ?? 'asExported'),
    constants: new Map([...folded.constants, ...apart.constants]),
    copies: new Map([...folded.copies, ...apart.copies]),
    splits: apart.splits,
    tied: apart.tied,
    restored: apart.restored,
  };
}

function checkFinite(name: string, tensor: Tensor): void {
  if (floatsOf(tensor).every(Number.isFinite)) return;
  throw new MedleyError('MODEL_NOT_FINITE', `the weight "${name}" holds NaN or infinity`);
}
