import { MedleyError } from '@medley/kit';
import type { onnx } from './generated/onnx.js';
import { decodeModel, encodeModel, safeInteger } from './file/codec.ts';
import { bytesOf, floatTensor } from './graph/tensor.ts';
import { readTensor } from './file/reader.ts';
import { transposed } from './file/settle.ts';
import { outputOf } from './file/unshare.ts';
import { IR_VERSION, OPSET, writeModel, writeTensor } from './file/writer.ts';
import { loadModel, type Model } from './model.ts';
import { parameterCount, type ModelOptions } from './parameters.ts';

/** Oldest operator set that the runtime loads. */
const OLDEST_RUN = 7;

/** What to build into an exported model beside its weights; how to read it as for its training. */
export interface ExportOptions extends ModelOptions {
  /** Puts (x − mean) / scale before the model, feature by feature along the last axis of `input`. */
  readonly standardise?: {
    readonly input: string;
    readonly mean: Float32Array;
    /** Standard deviations; none may be 0. */
    readonly scale: Float32Array;
  };
  /** Written into the file's metadata; a key that is there is replaced. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The forward model with the given weights (flat, in manifest order). Everything else of the file stays
 * as it is: operator set (unless it is so old that the runtime does not load it), names, documentation,
 * metadata. What was exported in training mode runs in
 * inference: BatchNormalization by its running statistics, no Dropout.
 *
 * Throws MODEL_PARAMETERS_MISMATCH for a vector of another length, TRAINING_NOT_FINITE for one that is
 * not finite, TRAINING_OPTIONS_INVALID for a standardisation that does not fit the input, and what
 * reading a model throws.
 */
export function exportModel(
  bytes: Uint8Array,
  parameters: Float32Array,
  options: ExportOptions = {},
): Uint8Array {
  const model = loadModel(bytes, options);
  const wanted = parameterCount(model.parameters);
  if (parameters.length !== wanted) {
    throw new MedleyError(
      'MODEL_PARAMETERS_MISMATCH',
      `${parameters.length} parameters given, ${wanted} wanted`,
    );
  }
  if (model.opset < OLDEST_RUN) rewrite(model);
  const graph = model.proto.graph!;
  const given = new Map((graph.initializer ?? []).map((tensor) => [tensor.name ?? '', tensor]));
  const initializers = new Map(given);
  for (const { name, shape, offset, count } of model.parameters) {
    const values = parameters.subarray(offset, offset + count);
    if (values.some((value) => !Number.isFinite(value))) {
      throw new MedleyError('TRAINING_NOT_FINITE', `the weight "${name}" is not finite`);
    }
    const written = writeTensor(name, { dtype: 'float32', dims: shape, bytes: bytesOf(values) });
    const before = initializers.get(name);
    initializers.set(name, { ...(before ?? {}), ...plain(written), floatData: [] });
  }
  setApart(model, given, initializers);
  toInference(graph);
  if (options.standardise !== undefined) standardise(model, graph, options.standardise);
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    model.proto.metadataProps = model.proto.metadataProps.filter((entry) => entry.key !== key);
    model.proto.metadataProps.push({ key, value });
  }
  return encodeModel(model.proto);
}

/** In place: what the file stored once for several gets tensors of its own, and its nodes read these. */
function setApart(
  { proto, copies, splits, tied, restored }: Model,
  given: ReadonlyMap<string, onnx.ITensorProto>,
  initializers: Map<string, onnx.ITensorProto>,
): void {
  for (const [name, source] of copies) {
    const before = given.get(source);
    if (before !== undefined && !initializers.has(name)) {
      initializers.set(name, { ...before, name });
    }
  }
  for (const [name, tensor] of restored) {
    if (!initializers.has(name)) initializers.set(name, plain(writeTensor(name, tensor)));
  }
  for (const [name, owner] of tied) {
    const tensor = transposed(readTensor(initializers.get(owner)!, `initializer "${owner}"`));
    const written = { ...plain(writeTensor(name, tensor)), floatData: [] };
    initializers.set(name, { ...given.get(name), ...written });
  }
  const graph = proto.graph!;
  graph.initializer = [...initializers.values()];
  graph.node = (graph.node ?? []).filter(
    (node) => !(node.output ?? []).some((name) => copies.has(name)),
  );
  for (const node of graph.node) {
    const inputs = splits.get(outputOf({ outputs: node.output ?? [] }));
    const all = [...(node.input ?? [])];
    for (const [i, name] of inputs ?? []) {
      while (all.length <= i) all.push('');
      all[i] = name;
    }
    node.input = all;
  }
  // Before IR version 4 initializers had to be graph inputs as well, which the new ones are not.
  if (safeInteger(proto.irVersion, 'the IR version') < 4) proto.irVersion = number(4);
}

/** In place: the graph at our operator set, for files that the runtime no longer loads. */
function rewrite({ proto, graph, constants }: Model): void {
  const initializers = new Map([...graph.initializers, ...constants]);
  const written = writeModel({ ...graph, initializers }, { producer: '', version: '' });
  proto.graph = decodeModel(written).graph!;
  proto.opsetImport = [{ domain: '', version: number(OPSET) }];
  proto.irVersion = number(IR_VERSION);
  proto.functions = [];
}

/** See Wire in writer.ts. */
function number(value: number): onnx.ModelProto['irVersion'] {
  return value as never;
}

/** In place, in every subgraph: the operators that work otherwise in training get their final form. */
function toInference(graph: onnx.IGraphProto): void {
  for (const node of graph.node ?? []) {
    if (node.opType === 'BatchNormalization' && !node.domain) {
      node.output = (node.output ?? []).slice(0, 1);
      node.attribute = (node.attribute ?? []).filter(({ name }) => name !== 'training_mode');
    }
    if (node.opType === 'Dropout' && !node.domain) node.input = (node.input ?? []).slice(0, 2);
    for (const { g } of node.attribute ?? []) if (g) toInference(g);
  }
}

/** The input keeps its name; what read it reads the standardised value instead. */
function standardise(
  model: Model,
  graph: onnx.IGraphProto,
  by: NonNullable<ExportOptions['standardise']>,
): void {
  const input = model.graph.inputs.find(({ name }) => name === by.input);
  const width = input?.shape?.at(-1);
  if (input?.dtype !== 'float32' || width !== by.mean.length || width !== by.scale.length) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      `mean and scale do not fit the last axis of the input "${by.input}"`,
    );
  }
  if ([...by.mean, ...by.scale].some((value) => !Number.isFinite(value)) || by.scale.includes(0)) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      'mean and scale must be finite and no scale 0',
    );
  }
  const names = ['mean', 'scale', 'centred', 'value'].map((part) =>
    free(model, `${by.input}/standardise/${part}`),
  );
  const [mean, scale, centred, value] = names as [string, string, string, string];
  for (const node of graph.node ?? []) {
    node.input = (node.input ?? []).map((name) => (name === by.input ? value : name));
  }
  graph.initializer?.push(plain(writeTensor(mean, floatTensor([by.mean.length], by.mean))));
  graph.initializer?.push(plain(writeTensor(scale, floatTensor([by.scale.length], by.scale))));
  graph.node?.unshift(
    { opType: 'Sub', name: centred, input: [by.input, mean], output: [centred] },
    { opType: 'Div', name: value, input: [centred, scale], output: [value] },
  );
}

function free(model: Model, wish: string): string {
  const taken = new Set([
    ...model.graph.initializers.keys(),
    ...model.graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  let name = wish;
  for (let i = 2; taken.has(name); i++) name = `${wish}.${i}`;
  return name;
}

/** See Wire in writer.ts: plain numbers stand where the schema's type says Long. */
function plain(tensor: ReturnType<typeof writeTensor>): onnx.ITensorProto {
  return tensor as unknown as onnx.ITensorProto;
}
