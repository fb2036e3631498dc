import { MedleyError, seededRng, uniformReal } from '@medley/kit';
import { Builder } from './graph/builder.ts';
import { floatTensor } from './graph/tensor.ts';
import { writeModel } from './file/writer.ts';
import { infer } from './ops/registry.ts';
import { ENGINE_VERSION } from './training/manifest.ts';

/** Form of a multilayer perceptron; without hidden layers it is a linear (logistic) model. */
export interface MlpOptions {
  /** Numbers of a row. */
  readonly features: number;
  /** Width of each hidden layer. */
  readonly hidden: readonly number[];
  /** Numbers the model gives: logits of classes, or values. */
  readonly outputs: number;
  readonly activation: 'relu' | 'tanh';
  /** The same seed gives the same weights. */
  readonly seed: string;
  /** @default 'input' */
  readonly inputName?: string;
  /** @default 'output' */
  readonly outputName?: string;
}

/**
 * A multilayer perceptron as an ONNX file: input [batch, features], output [batch, outputs], weights
 * named as PyTorch's Sequential names them (`net.0.weight` [out, in], `net.0.bias`, `net.2.weight` …).
 *
 * Weights before ReLU are uniform in ±√(6/in) (He et al. 2015), others in ±√(6/(in + out)) (Glorot and
 * Bengio 2010); biases are 0. Throws TRAINING_OPTIONS_INVALID for a width that is no whole number from 1.
 */
export function buildMlp(options: MlpOptions): Uint8Array {
  const widths = [options.features, ...options.hidden, options.outputs];
  if (widths.some((width) => !Number.isSafeInteger(width) || width < 1)) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      'every width of the model must be a whole number from 1',
    );
  }
  const rng = seededRng(options.seed);
  const b = new Builder(infer);
  let value = b.input(options.inputName ?? 'input', 'float32', ['batch', options.features]);
  options.hidden.concat(options.outputs).forEach((width, layer) => {
    const from = widths[layer]!;
    const isLast = layer === options.hidden.length;
    const isHe = !isLast && options.activation === 'relu';
    const bound = Math.sqrt(6 / (isHe ? from : from + width));
    const weights = Float32Array.from(
      { length: width * from },
      () => (2 * uniformReal(rng) - 1) * bound,
    );
    const weight = b.constant(floatTensor([width, from], weights), `net.${2 * layer}.weight`);
    const bias = b.constant(floatTensor([width], new Float32Array(width)), `net.${2 * layer}.bias`);
    const name = isLast ? (options.outputName ?? 'output') : undefined;
    value = b.op('Gemm', [value, weight, bias], { transB: 1 }, name);
    if (!isLast) value = b.op(options.activation === 'relu' ? 'Relu' : 'Tanh', [value]);
  });
  return writeModel(b.graph('mlp', [value]), { producer: 'medley', version: ENGINE_VERSION });
}
