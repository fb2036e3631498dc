import type { AttributeInput } from '../../graph/graph.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Case } from './case.ts';

const [T, B, I, H] = [3, 2, 2, 2];

interface Options {
  readonly directions?: number;
  readonly bias?: boolean;
  readonly lengths?: Tensor;
  readonly initial?: boolean;
  readonly peepholes?: boolean;
  readonly targets?: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly kinks?: readonly number[];
}

const GATES = { RNN: 1, GRU: 3, LSTM: 4 };

function recurrent(op: keyof typeof GATES, options: Options = {}): Case {
  const { directions: d = 1, bias = true, initial = true } = options;
  const rows = GATES[op] * H;
  const states = op === 'LSTM' ? 2 : 1;
  return {
    op,
    operands: [
      [T, B, I],
      [d, rows, I],
      [d, rows, H],
      bias ? [d, 2 * rows] : undefined,
      options.lengths,
      initial ? [d, B, H] : undefined,
      ...(op === 'LSTM' ? [initial ? [d, B, H] : undefined] : []),
      ...(options.peepholes === true ? [[d, 3 * H]] : []),
    ],
    outputs: 1 + states,
    targets: options.targets ?? Array.from({ length: 1 + states }, (_, i) => i),
    from: -1.1,
    to: 1.3,
    kinks: options.kinks ?? [],
    attributes: {
      hidden_size: H,
      ...(d === 2 ? { direction: 'bidirectional' } : {}),
      ...options.attributes,
    },
  };
}

const lengths: Tensor = {
  dtype: 'int32',
  dims: [B],
  bytes: new Uint8Array(Int32Array.of(3, 1).buffer),
};

const each = (op: keyof typeof GATES): readonly Case[] => [
  recurrent(op),
  recurrent(op, { bias: false, initial: false }),
  recurrent(op, { targets: [0], attributes: { direction: 'reverse' } }),
  recurrent(op, { targets: [1], lengths }),
  recurrent(op, { directions: 2 }),
  recurrent(op, { directions: 2, lengths, initial: false }),
];

/** Recurrent operators with their attributes. */
export const RECURRENT: readonly Case[] = [
  ...each('RNN'),
  ...each('GRU'),
  ...each('LSTM'),
  recurrent('RNN', {
    attributes: {
      activations: { strings: ['Affine'] },
      activation_alpha: { floats: [0.4] },
      activation_beta: { floats: [0.1] },
    },
  }),
  recurrent('RNN', { attributes: { activations: { strings: ['Softsign'] }, clip: { float: 5 } } }),
  recurrent('GRU', { attributes: { linear_before_reset: 1 } }),
  recurrent('GRU', { directions: 2, lengths, attributes: { linear_before_reset: 1 } }),
  recurrent('GRU', { bias: false, attributes: { linear_before_reset: 1 } }),
  recurrent('GRU', {
    attributes: {
      activations: { strings: ['HardSigmoid', 'ScaledTanh'] },
      activation_alpha: { floats: [0.1, 1.2] },
      activation_beta: { floats: [0.5, 0.7] },
    },
  }),
  recurrent('LSTM', { peepholes: true }),
  recurrent('LSTM', { directions: 2, peepholes: true, lengths }),
  recurrent('LSTM', { targets: [2] }),
  recurrent('LSTM', { attributes: { input_forget: 1 } }),
  recurrent('LSTM', { attributes: { clip: { float: 5 } } }),
];
