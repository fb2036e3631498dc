import type { Value } from '../graph/graph.ts';
import { Sketch } from './sketch.ts';

/** A perceptron with ReLU between its layers. */
export function perceptron(widths: readonly number[]): Uint8Array {
  const s = new Sketch();
  let x = s.input('float32', [widths[0]!]);
  for (let i = 1; i < widths.length; i++) {
    x = s.dense(`net.${2 * (i - 1)}`, x, widths[i - 1]!, widths[i]!);
    if (i < widths.length - 1) x = s.b.op('Relu', [x]);
  }
  return s.file(x);
}

/** LeNet-5 with ReLU and maximum pooling (LeCun et al. 1998) on 28 × 28. */
export function lenet(): Uint8Array {
  const s = new Sketch();
  const stage = (name: string, x: Value, from: number, to: number, pad: number): Value => {
    const weight = s.weight(`${name}.weight`, [to, from, 5, 5], from * 25);
    const bias = s.weight(`${name}.bias`, [to], from * 25);
    const pads = [pad, pad, pad, pad];
    const y = s.b.op('Conv', [x, weight, bias], { kernel_shape: [5, 5], pads });
    return s.b.op('MaxPool', [s.b.op('Relu', [y])], { kernel_shape: [2, 2], strides: [2, 2] });
  };
  const first = stage('conv1', s.input('float32', [1, 28, 28]), 1, 6, 2);
  const flat = s.b.op('Flatten', [stage('conv2', first, 6, 16, 0)], { axis: 1 });
  const a = s.b.op('Relu', [s.dense('fc1', flat, 400, 120)]);
  const b = s.b.op('Relu', [s.dense('fc2', a, 120, 84)]);
  return s.file(s.dense('fc3', b, 84, 10));
}

/** ResNet-18 in the form for 32 × 32 (He et al. 2016): a 3 × 3 stem, no pooling before the stages. */
export function resnet18(): Uint8Array {
  const s = new Sketch();
  const conv = (name: string, x: Value, c: { from: number; to: number; k: number; by: number }) => {
    const weight = s.weight(`${name}.conv`, [c.to, c.from, c.k, c.k], c.from * c.k * c.k);
    const pad = (c.k - 1) / 2;
    const y = s.b.op('Conv', [x, weight], {
      kernel_shape: [c.k, c.k],
      pads: [pad, pad, pad, pad],
      strides: [c.by, c.by],
    });
    const settings = [
      s.fill(`${name}.weight`, c.to, 1),
      s.fill(`${name}.bias`, c.to, 0),
      s.fill(`${name}.running_mean`, c.to, 0),
      s.fill(`${name}.running_var`, c.to, 1),
    ];
    return s.b.many('BatchNormalization', [y, ...settings], { training_mode: 1 }, 3)[0]!;
  };
  const block = (name: string, x: Value, from: number, to: number, by: number): Value => {
    const a = s.b.op('Relu', [conv(`${name}.1`, x, { from, to, k: 3, by })]);
    const b = conv(`${name}.2`, a, { from: to, to, k: 3, by: 1 });
    const skip = from === to ? x : conv(`${name}.down`, x, { from, to, k: 1, by });
    return s.b.op('Relu', [s.b.op('Add', [b, skip])]);
  };
  const stem = { from: 3, to: 64, k: 3, by: 1 };
  let x = s.b.op('Relu', [conv('stem', s.input('float32', [3, 32, 32]), stem)]);
  let from = 64;
  for (const [stage, to] of [64, 128, 256, 512].entries()) {
    x = block(`layer${stage}.0`, x, from, to, stage === 0 ? 1 : 2);
    x = block(`layer${stage}.1`, x, to, to, 1);
    from = to;
  }
  const pooled = s.b.op('Flatten', [s.b.op('GlobalAveragePool', [x])], { axis: 1 });
  return s.file(s.dense('fc', pooled, 512, 10));
}

/** One LSTM over 50 steps of 64 numbers; its last state of 128 gives one logit. */
export function lstm(): Uint8Array {
  const s = new Sketch();
  const [input, hidden] = [64, 128];
  const x = s.b.op('Transpose', [s.input('float32', [50, input])], { perm: [1, 0, 2] });
  const weights = [
    s.weight('lstm.weight_ih', [1, 4 * hidden, input], hidden),
    s.weight('lstm.weight_hh', [1, 4 * hidden, hidden], hidden),
    s.weight('lstm.bias', [1, 8 * hidden], hidden),
  ];
  const [, last] = s.b.many('LSTM', [x, ...weights], { hidden_size: hidden }, 2);
  return s.file(s.dense('fc', s.b.op('Squeeze', [last, s.b.ints([0])]), hidden, 1));
}

/** Four encoder layers over 64 tokens of 1,000, width 128, four heads (Vaswani et al. 2017). */
export function transformer(): Uint8Array {
  const s = new Sketch();
  const [width, heads, tokens] = [128, 4, 64];
  const table = s.weight('embedding', [1000, width], width);
  const places = s.weight('positions', [tokens, width], width);
  let x = s.b.op('Gather', [table, s.input('int64', [tokens])], { axis: 0 });
  x = s.b.op('Add', [x, places]);
  for (let i = 0; i < 4; i++) {
    const name = `layers.${i}`;
    x = s.layerNorm(`${name}.norm1`, s.b.op('Add', [x, attention(s, name, x)]), width);
    const wide = s.b.op('Relu', [s.project(`${name}.linear1`, x, width, 4 * width)]);
    const narrow = s.project(`${name}.linear2`, wide, 4 * width, width);
    x = s.layerNorm(`${name}.norm2`, s.b.op('Add', [x, narrow]), width);
  }
  const pooled = s.b.op('ReduceMean', [x, s.b.ints([1])], { keepdims: 0 });
  return s.file(s.dense('fc', pooled, width, 10));

  function attention(at: Sketch, name: string, from: Value): Value {
    const { b } = at;
    const head = (part: string, perm: readonly number[]): Value => {
      const flat = at.project(`${name}.${part}`, from, width, width);
      return b.op('Transpose', [at.reshape(flat, [0, tokens, heads, width / heads])], { perm });
    };
    const scores = b.op('MatMul', [head('query', [0, 2, 1, 3]), head('key', [0, 2, 3, 1])]);
    const scaled = b.op('Mul', [scores, b.scalar(1 / Math.sqrt(width / heads))]);
    const mixed = b.op('MatMul', [
      b.op('Softmax', [scaled], { axis: -1 }),
      head('value', [0, 2, 1, 3]),
    ]);
    const joined = at.reshape(b.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }), [
      0,
      tokens,
      width,
    ]);
    return at.project(`${name}.output`, joined, width, width);
  }
}
