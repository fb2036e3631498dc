import type { Builder } from '../../graph/builder.ts';
import { floatsAttribute, stringsOf, type Attributes, type Value } from '../../graph/graph.ts';

/** An elementwise function of a cell. */
export type Activation = (b: Builder, x: Value) => Value;

/** How many of the lists activation_alpha and activation_beta a function takes, and its defaults. */
interface Entry {
  readonly alpha?: number;
  readonly beta?: number;
  readonly write: (b: Builder, x: Value, alpha: number, beta: number) => Value;
}

const plain = (op: string): Entry => ({ write: (b, x) => b.op(op, [x]) });

const withAlpha = (op: string, alpha: number): Entry => ({
  alpha,
  write: (b, x, a) => b.op(op, [x], { alpha: { float: a } }),
});

const times = (b: Builder, x: Value, factor: number): Value =>
  factor === 1 ? x : b.op('Mul', [x, b.scalar(factor, x)]);

// Functions and defaults: ONNX operator LSTM, attributes activations, activation_alpha and _beta.
const ENTRIES: ReadonlyMap<string, Entry> = new Map([
  ['relu', plain('Relu')],
  ['tanh', plain('Tanh')],
  ['sigmoid', plain('Sigmoid')],
  ['softsign', plain('Softsign')],
  ['softplus', plain('Softplus')],
  ['leakyrelu', withAlpha('LeakyRelu', 0.01)],
  ['thresholdedrelu', withAlpha('ThresholdedRelu', 1)],
  ['elu', withAlpha('Elu', 1)],
  [
    'hardsigmoid',
    {
      alpha: 0.2,
      beta: 0.5,
      write: (b, x, a, c) => b.op('HardSigmoid', [x], { alpha: { float: a }, beta: { float: c } }),
    },
  ],
  [
    'affine',
    {
      alpha: 1,
      beta: 0,
      write: (b, x, a, c) => b.op('Add', [times(b, x, a), b.scalar(c, x)]),
    },
  ],
  [
    'scaledtanh',
    {
      alpha: 1,
      beta: 1,
      write: (b, x, a, c) => times(b, b.op('Tanh', [times(b, x, c)]), a),
    },
  ],
]);

/**
 * The functions of a node, `count` for each direction, with their slopes and offsets taken from the
 * lists in order; undefined when one is not known. `fallback` are the names where the node has none.
 */
export function activationsOf(
  node: { readonly attributes: Attributes },
  count: number,
  fallback: readonly string[],
): readonly Activation[] | undefined {
  const names = stringsOf(node, 'activations');
  const given = names === undefined || names.length === 0 ? fallback : names;
  const alphas = [...floatsAttribute(node, 'activation_alpha')];
  const betas = [...floatsAttribute(node, 'activation_beta')];
  const entries = given.map((name) => ENTRIES.get(name.toLowerCase()));
  if (entries.length !== count || entries.some((entry) => entry === undefined)) return undefined;
  return entries.map((entry): Activation => {
    const { write, alpha, beta } = entry!;
    const a = alpha === undefined ? 0 : (alphas.shift() ?? alpha);
    const c = beta === undefined ? 0 : (betas.shift() ?? beta);
    return (b, x) => write(b, x, a, c);
  });
}
