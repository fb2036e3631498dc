import { describe, expect, test } from '@jest/globals';
import { writeModel } from './file/writer.ts';
import { Builder } from './graph/builder.ts';
import type { Value } from './graph/graph.ts';
import { floatTensor } from './graph/tensor.ts';
import { inspectModel } from './inspect.ts';
import { infer } from './ops/registry.ts';
import { buildTraining } from './training/build.ts';

/** Layers of one block: each takes all before it, as in DenseNet-121's longest block. */
const BLOCK = 24;

/** A densely connected network (Huang et al. 2017): blocks of layers of seven nodes each. */
function denseNet(blocks: number): Uint8Array {
  const b = new Builder(infer);
  const growth = 2;
  const filled = (dims: readonly number[], value: number): Value => {
    const count = dims.reduce((product, size) => product * size, 1);
    const name = `w${b.values.size}`;
    return b.constant(floatTensor(dims, new Float32Array(count).fill(value)), name);
  };
  const norm = (x: Value, channels: number): Value => {
    const rest = [1, 0, 0, 1].map((value) => filled([channels], value));
    return b.op('Relu', [b.op('BatchNormalization', [x, ...rest])]);
  };
  const conv = (x: Value, from: number, to: number, size: number): Value => {
    const pads = Array.from({ length: 4 }, () => (size - 1) / 2);
    return b.op('Conv', [x, filled([to, from, size, size], 0.1)], { pads });
  };
  let x = b.input('x', 'float32', ['batch', growth, 8, 8]);
  for (let block = 0; block < blocks; block++) {
    const features = [x];
    for (let layer = 0; layer < BLOCK; layer++) {
      const channels = growth * features.length;
      const all = features.length === 1 ? x : b.op('Concat', features, { axis: 1 });
      const narrow = conv(norm(all, channels), channels, growth, 1);
      features.push(conv(norm(narrow, growth), growth, growth, 3));
    }
    const channels = growth * features.length;
    x = conv(b.op('Concat', features, { axis: 1 }), channels, growth, 1);
  }
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [x])]);
  const y = b.op('Gemm', [pooled, filled([growth, 3], 0.1)], {}, 'y');
  return writeModel(b.graph('dense', [y]), { producer: 'test', version: '1' });
}

describe('a network of 1,700 nodes', () => {
  const bytes = denseNet(10);

  test('is read and differentiated in seconds', () => {
    const nodes = Object.values(inspectModel(bytes).operators).reduce(
      (sum, count) => sum + count,
      0,
    );
    expect(nodes).toBeGreaterThan(1650);
    const start = performance.now();
    const { manifest } = buildTraining(bytes, {
      loss: 'cross_entropy',
      optimizer: { kind: 'sgd' },
      batchNorm: 'train',
    });
    expect(manifest.parameters.length).toBeGreaterThan(1400);
    // Twice what is asked of a quiet machine: others run beside this test.
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
