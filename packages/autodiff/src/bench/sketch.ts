import { seededRng } from '@medley/kit';
import { writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { elementCount, floatTensor, intTensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { ENGINE_VERSION } from '../training/manifest.ts';

/** Writes the forward model of a bench case layer by layer, with weights of a fixed seed. */
export class Sketch {
  readonly b = new Builder(infer);
  readonly #rng = seededRng('bench');

  /** Rows of one input. */
  input(dtype: 'float32' | 'int64', row: Shape): Value {
    return this.b.input('input', dtype, ['batch', ...row]);
  }

  /** Weights uniform in ±√(1/fan), as torch's layers start. */
  weight(name: string, dims: readonly number[], fan: number): Value {
    const bound = Math.sqrt(1 / fan);
    const words = new Uint32Array(this.#rng.bytes(4 * elementCount(dims)).slice().buffer);
    const values = Float32Array.from(words, (word) => (word / 2 ** 31 - 1) * bound);
    return this.b.constant(floatTensor(dims, values), name);
  }

  /** A vector of one number. */
  fill(name: string, count: number, value: number): Value {
    return this.b.constant(floatTensor([count], new Float32Array(count).fill(value)), name);
  }

  /** `x`·Wᵀ + b for `x` of rank 2. */
  dense(name: string, x: Value, from: number, to: number): Value {
    const weight = this.weight(`${name}.weight`, [to, from], from);
    return this.b.op('Gemm', [x, weight, this.weight(`${name}.bias`, [to], from)], { transB: 1 });
  }

  /** `x`·W + b along the last axis, for any rank. */
  project(name: string, x: Value, from: number, to: number): Value {
    const product = this.b.op('MatMul', [x, this.weight(`${name}.weight`, [from, to], from)]);
    return this.b.op('Add', [product, this.weight(`${name}.bias`, [to], from)]);
  }

  layerNorm(name: string, x: Value, width: number): Value {
    const affine = [this.fill(`${name}.weight`, width, 1), this.fill(`${name}.bias`, width, 0)];
    return this.b.op('LayerNormalization', [x, ...affine], { axis: -1, epsilon: { float: 1e-5 } });
  }

  /** Sizes where 0 keeps that of the input. */
  reshape(x: Value, sizes: readonly number[]): Value {
    return this.b.op('Reshape', [x, this.b.constant(intTensor([sizes.length], sizes))]);
  }

  /** The model file with `output` as its only output. */
  file(output: Value): Uint8Array {
    const graph = this.b.graph('bench', [this.b.named(output, 'output')]);
    return writeModel(graph, { producer: 'medley', version: ENGINE_VERSION });
  }
}
