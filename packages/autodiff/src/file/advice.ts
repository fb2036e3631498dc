import type { onnx } from '../generated/onnx.js';
import { originsOf, parametersIn, type Origins } from './origin.ts';

/** Something about a model that does not stop training but may spoil it. */
export interface Warning {
  readonly kind:
    'batchNormFolded' | 'batchNormFrozen' | 'weightsUntied' | 'weightsFolded' | 'drawsInRuntime';
  readonly sentence: string;
  readonly advice: string;
}

const TORCHSCRIPT =
  'torch.onnx.export(model, …, dynamo=False, training=TrainingMode.TRAINING, do_constant_folding=False)';

/**
 * What to know before training a model of this file: PyTorch's default exporter
 * folds BatchNormalization into the convolution before it, even from a model in training mode, and
 * without folding writes it as one that keeps its statistics.
 */
export function warningsOf(proto: onnx.ModelProto): readonly Warning[] {
  const graph = proto.graph ?? {};
  const file = { proto, nodes: graph.node ?? [], origins: originsOf(graph) };
  return [normsFolded, normsFrozen, weightsFolded, weightsUntied, draws].flatMap(
    (check) => check(file) ?? [],
  );
}

/** A file and what its exporter tells of it. */
interface Told {
  readonly proto: onnx.ModelProto;
  readonly nodes: readonly onnx.INodeProto[];
  readonly origins: Origins | undefined;
}

function normsFolded(file: Told): Warning | undefined {
  const { nodes, origins } = file;
  const statistics = [...(origins?.buffers ?? [])].find((name) => name.endsWith('running_mean'));
  // TorchScript keeps the names of weights, except of those that it folded something into.
  const isFolded = nodes.some(
    ({ opType, input }) => /^Conv/.test(opType ?? '') && /^onnx::Conv/.test(input?.[1] ?? ''),
  );
  const kind = 'batchNormFolded';
  const advice = `Export the model with ${TORCHSCRIPT}.`;
  if (isFolded) {
    const sentence = 'The exporter has folded BatchNormalization into the convolutions before it.';
    return { kind, sentence, advice };
  }
  if (statistics !== undefined && normsOf(nodes).length === 0) {
    const sentence = `The exporter has folded BatchNormalization into the layers before it: the code has "${statistics}", the file does not.`;
    return { kind, sentence, advice };
  }
  if (origins !== undefined || !isDynamo(file.proto) || !mayBeFolded(nodes)) return undefined;
  return {
    kind,
    sentence:
      "The model has convolutions without any normalisation and comes from PyTorch's default exporter, which folds BatchNormalization into them.",
    advice: `If the model has BatchNorm layers, export it with ${TORCHSCRIPT}; otherwise ignore this.`,
  };
}

function normsFrozen({ nodes }: Told): Warning | undefined {
  const norms = normsOf(nodes);
  if (norms.length === 0 || norms.some(({ output }) => (output ?? []).length !== 1)) {
    return undefined;
  }
  return {
    kind: 'batchNormFrozen',
    sentence: 'The BatchNormalization of the model keeps the statistics of the file.',
    advice: "Set batchNorm: 'train' to normalise by batches, or leave it to fine-tune.",
  };
}

function weightsFolded({ proto, origins }: Told): Warning | undefined {
  const folded = origins && foldedOf(origins, proto.graph?.initializer ?? []);
  return (
    folded && {
      kind: 'weightsFolded',
      sentence: `The exporter has computed "${folded.name}" out of ${folded.parts.map((part) => `"${part}"`).join(', ')} and stored only the result, which is trained in its place.`,
      advice: `Export the model with ${TORCHSCRIPT}.`,
    }
  );
}

function weightsUntied({ proto, origins }: Told): Warning | undefined {
  // Where the exporter tells what it made of what, they are one weight again.
  const untied = origins ? undefined : untiedOf(proto.graph?.initializer ?? []);
  if (untied === undefined) return undefined;
  return {
    kind: 'weightsUntied',
    sentence: `"${untied}" is one tensor in the code but two in the file: the exporter has stored it transposed as well, and the two are trained apart.`,
    advice: `Export the model with ${TORCHSCRIPT}.`,
  };
}

function draws({ nodes }: Told): Warning | undefined {
  const drawing =
    drawnInside(nodes) ?? nodes.find(({ opType }) => opType === 'Multinomial')?.opType;
  if (!drawing) return undefined;
  return {
    kind: 'drawsInRuntime',
    sentence: `A node ${drawing} draws numbers that no seed of the training decides.`,
    advice: 'Where a training has to give the same bits again, export the model without it.',
  };
}

const normsOf = (nodes: readonly onnx.INodeProto[]) =>
  nodes.filter(({ opType }) => opType === 'BatchNormalization');

function mayBeFolded(nodes: readonly onnx.INodeProto[]): boolean {
  const hasConvolution = nodes.some(({ opType }) => /^Conv(Transpose)?$/.test(opType ?? ''));
  return hasConvolution && normsOf(nodes).length === 0 && !isOtherNorm(nodes);
}

/** Names of calls that only lay a tensor out anew; `val_3` are steps of the exporter, which does just that. */
const LAYOUT =
  /^(val|alias|cat|chunk|clone|contiguous|detach|expand|flatten|permute|reshape|select|slice|split|squeeze|stack|t|transpose|unsqueeze|view)(_\d+)*$/;

/** A weight of the file that is a function of parameters rather than parameters laid out anew. */
function foldedOf(
  origins: Origins,
  tensors: readonly onnx.ITensorProto[],
): { readonly name: string; readonly parts: readonly string[] } | undefined {
  for (const { name, dataType } of tensors) {
    if (!name || dataType !== 1 || LAYOUT.test(name) || !origins.madeOf.has(name)) continue;
    const parts = parametersIn(origins, name);
    if (parts.length > 0) return { name, parts };
  }
  return undefined;
}

/** An operator that draws inside a subgraph. */
function drawnInside(nodes: readonly onnx.INodeProto[]): string | undefined {
  for (const { attribute } of nodes) {
    for (const { g } of attribute ?? []) {
      const inner = g?.node ?? [];
      const found = inner.find(({ opType }) =>
        /^(Random|Bernoulli|Multinomial)/.test(opType ?? ''),
      );
      const drawing = found?.opType ?? drawnInside(inner);
      if (drawing) return drawing;
    }
  }
  return undefined;
}

/** A matrix of the file that stands there a second time, transposed under a name the exporter made. */
function untiedOf(tensors: readonly onnx.ITensorProto[]): string | undefined {
  const sizeOf = ({ dims = [] }: onnx.ITensorProto): string => (dims ?? []).map(String).join('×');
  const bySize = new Map<string, onnx.ITensorProto[]>();
  for (const tensor of tensors) {
    const isNamed = tensor.dataType === 1 && !/^(onnx::|val_)/.test(tensor.name ?? '');
    if (isNamed && tensor.dims?.length === 2)
      bySize.set(sizeOf(tensor), [...(bySize.get(sizeOf(tensor)) ?? []), tensor]);
  }
  for (const tensor of tensors) {
    if (!/^(onnx::MatMul_|val_)\d+$/.test(tensor.name ?? '') || tensor.dataType !== 1) continue;
    const [rows, columns] = (tensor.dims ?? []).map(Number);
    const source = bySize
      .get(`${columns}×${rows}`)
      ?.find((other) => isTransposed(other, tensor, columns ?? 0));
    if (source !== undefined) return source.name ?? '';
  }
  return undefined;
}

function isTransposed(a: onnx.ITensorProto, b: onnx.ITensorProto, rows: number): boolean {
  const [left, right] = [a.rawData ?? new Uint8Array(), b.rawData ?? new Uint8Array()];
  if (left.length === 0 || left.length !== right.length) return false;
  const [first, second] = [left, right].map(
    (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  ) as [DataView, DataView];
  const columns = left.length / 4 / rows;
  let isUniform = true;
  for (let i = 0; i < left.length / 4; i++) {
    const value = first.getUint32(4 * i);
    const [row, column] = [Math.floor(i / columns), i % columns];
    if (value !== second.getUint32(4 * (column * rows + row))) return false;
    isUniform &&= value === first.getUint32(0);
  }
  return !isUniform;
}

/** True for files of PyTorch's exporter from 2.5 on that were not made by way of TorchScript. */
function isDynamo(proto: onnx.ModelProto): boolean {
  const [major = 0, minor = 0] = proto.producerVersion.split('.').map(Number);
  const isNew = major > 2 || (major === 2 && minor >= 5);
  if (proto.producerName !== 'pytorch' || !isNew) return false;
  // TorchScript names nodes by paths: /layer1/Conv.
  return !(proto.graph?.node ?? []).some(({ name }) => name?.startsWith('/') === true);
}

function isOtherNorm(nodes: readonly onnx.INodeProto[]): boolean {
  return nodes.some(({ opType }) => /^(Instance|Group|Layer|RMS)Normalization$/.test(opType ?? ''));
}
