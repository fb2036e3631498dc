import type { onnx } from '../generated/onnx.js';

/** Something about a model that does not stop training but may spoil it. */
export interface Warning {
  readonly kind: 'batchNormFolded' | 'batchNormFrozen' | 'weightsUntied' | 'drawsInRuntime';
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
  const nodes = proto.graph?.node ?? [];
  const isOp = (name: string) => nodes.some(({ opType }) => opType === name);
  const norms = nodes.filter(({ opType }) => opType === 'BatchNormalization');
  const warnings: Warning[] = [];
  if (
    isDynamo(proto) &&
    norms.length === 0 &&
    (isOp('Conv') || isOp('ConvTranspose')) &&
    !isOtherNorm(nodes)
  ) {
    warnings.push({
      kind: 'batchNormFolded',
      sentence:
        "The model has convolutions without any normalisation and comes from PyTorch's default exporter, which folds BatchNormalization into them.",
      advice: `If the model has BatchNorm layers, export it with ${TORCHSCRIPT}; otherwise ignore this.`,
    });
  }
  // TorchScript keeps the names of weights, except of those that it folded something into.
  const isFolded = nodes.some(
    ({ opType, input }) => /^Conv/.test(opType ?? '') && /^onnx::Conv/.test(input?.[1] ?? ''),
  );
  if (isFolded) {
    warnings.push({
      kind: 'batchNormFolded',
      sentence: 'The exporter has folded BatchNormalization into the convolutions before it.',
      advice: `Export the model with ${TORCHSCRIPT}.`,
    });
  }
  const isFrozen = norms.length > 0 && norms.every(({ output }) => (output ?? []).length === 1);
  if (isFrozen) {
    warnings.push({
      kind: 'batchNormFrozen',
      sentence: 'The BatchNormalization of the model keeps the statistics of the file.',
      advice: "Set batchNorm: 'train' to normalise by batches, or leave it to fine-tune.",
    });
  }
  const untied = untiedOf(proto.graph?.initializer ?? []);
  if (untied !== undefined) {
    warnings.push({
      kind: 'weightsUntied',
      sentence: `"${untied}" is one tensor in the code but two in the file: the exporter has stored it transposed as well, and the two are trained apart.`,
      advice: `Export the model with ${TORCHSCRIPT}.`,
    });
  }
  const drawing =
    drawnInside(nodes) ?? nodes.find(({ opType }) => opType === 'Multinomial')?.opType;
  if (drawing) {
    warnings.push({
      kind: 'drawsInRuntime',
      sentence: `A node ${drawing} draws numbers that no seed of the training decides.`,
      advice: 'Where a training has to give the same bits again, export the model without it.',
    });
  }
  return warnings;
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
