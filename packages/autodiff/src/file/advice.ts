import type { onnx } from '../generated/onnx.js';

/** Something about a model that does not stop training but may spoil it. */
export interface Warning {
  readonly kind: 'batchNormFolded' | 'batchNormFrozen';
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
  const isFrozen = norms.length > 0 && norms.every(({ output }) => (output ?? []).length === 1);
  if (isFrozen) {
    warnings.push({
      kind: 'batchNormFrozen',
      sentence: 'The BatchNormalization of the model keeps the statistics of the file.',
      advice: "Set batchNorm: 'train' to normalise by batches, or leave it to fine-tune.",
    });
  }
  return warnings;
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
