import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import type { Maybe } from '../../graph/infer.ts';
import type { Activation } from './activations.ts';

/** One direction of a recurrent node, with what does not change from step to step. */
export interface Direction {
  /** Recurrent weights, [gates·hidden, hidden]. */
  readonly recurrent: Value;
  /** Bias of the recurrent part where it is not simply added to the input's: [gates·hidden]. */
  readonly bias: Value | undefined;
  /** Peepholes of an LSTM: [3·hidden], in the order input, output, forget. */
  readonly peepholes: Value | undefined;
  readonly activations: readonly Activation[];
}

/** A direction, and what a cell takes from it outside the body, once. */
export interface Setting {
  readonly hidden: number;
  readonly clip: number;
  /** input_forget of an LSTM, linear_before_reset of a GRU. */
  readonly isCoupled: boolean;
}

/** What a cell computes in a step: `x` is the input's part of the gates, [batch, gates·hidden]. */
export type Step = (b: Builder, x: Value, states: readonly Value[]) => readonly Value[];

/** A kind of recurrent node. */
export interface Cell {
  readonly gates: number;
  readonly states: number;
  readonly activations: readonly string[];
  /** Names the attribute that {@link Setting.isCoupled} stands for. */
  readonly coupling: string | undefined;
  /** Writes into `b` what does not change from step to step; gives the step. */
  readonly open: (b: Builder, d: Direction, s: Setting) => Step;
}

function parts(b: Builder, value: Value, sizes: readonly number[], axis: number): readonly Value[] {
  return sizes.length === 1
    ? [value]
    : b.many('Split', [value, b.ints(sizes)], { axis }, sizes.length);
}

/** x + h·Wᵀ as one node. */
const product = (b: Builder, h: Value, w: Value, x: Maybe): Value =>
  b.op('Gemm', x === undefined ? [h, w] : [h, w, x], { transB: 1 });

const clipper =
  ({ clip }: Setting) =>
  (b: Builder, x: Value): Value =>
    clip === 0 ? x : b.op('Clip', [x, b.scalar(-clip, x), b.scalar(clip, x)]);

/** h′ = f(x + h·Rᵀ) */
const rnn: Cell = {
  gates: 1,
  states: 1,
  activations: ['Tanh'],
  coupling: undefined,
  open: (_, d, s) => {
    const bounded = clipper(s);
    return (b, x, [h]) => {
      const sum = product(b, h!, d.recurrent, x);
      return [d.activations[0]!(b, bounded(b, sum))];
    };
  },
};

/** Gates in the order update z, reset r, candidate n: h′ = (1 − z)·n + z·h. */
const gru: Cell = {
  gates: 3,
  states: 1,
  activations: ['Sigmoid', 'Tanh'],
  coupling: 'linear_before_reset',
  open: (outer, d, s) => {
    const [f, g] = d.activations as [Activation, Activation];
    const { hidden } = s;
    const sizes = [2 * hidden, hidden];
    const bounded = clipper(s);
    const weights = s.isCoupled ? [d.recurrent] : parts(outer, d.recurrent, sizes, 0);
    const blend = (b: Builder, n: Value, z: Value, h: Value): Value =>
      b.op('Add', [n, b.op('Mul', [z, b.op('Sub', [h, n])])]);
    return (b, x, [h]) => {
      const [xGates, xNew] = parts(b, x, sizes, -1);
      const gates = (sum: Value): readonly Value[] =>
        parts(b, f(b, bounded(b, sum)), [hidden, hidden], -1);
      if (!s.isCoupled) {
        const [z, r] = gates(product(b, h!, weights[0]!, xGates));
        const sum = product(b, b.op('Mul', [r, h]), weights[1]!, xNew);
        return [blend(b, g(b, bounded(b, sum)), z!, h!)];
      }
      const [hGates, hNew] = parts(b, product(b, h!, weights[0]!, d.bias), sizes, -1);
      const [z, r] = gates(b.op('Add', [hGates, xGates]));
      const sum = b.op('Add', [b.op('Mul', [r, hNew]), xNew]);
      return [blend(b, g(b, bounded(b, sum)), z!, h!)];
    };
  },
};

/** Gates in the order input i, output o, forget f, candidate g: c′ = f·c + i·g, h′ = o·tanh(c′). */
const lstm: Cell = {
  gates: 4,
  states: 2,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  coupling: 'input_forget',
  open: (outer, d, s) => {
    const { hidden } = s;
    const [f, g, h] = d.activations as [Activation, Activation, Activation];
    const bounded = clipper(s);
    const peep = d.peepholes && parts(outer, d.peepholes, [hidden, hidden, hidden], 0);
    const cellOf = (b: Builder, [i, forget, n]: readonly Value[], c: Value): Value => {
      const kept = s.isCoupled ? b.op('Sub', [b.scalar(1, i), i]) : forget;
      return b.op('Add', [b.op('Mul', [kept, c]), b.op('Mul', [i, n])]);
    };
    const peeped = (b: Builder, x: Value, c: Value, at: number): Value =>
      f(b, bounded(b, b.op('Add', [x, b.op('Mul', [c, peep![at]])])));
    return (b, x, [before, c]) => {
      const sum = product(b, before!, d.recurrent, x);
      if (peep === undefined) {
        const [gates, news] = parts(b, bounded(b, sum), [3 * hidden, hidden], -1);
        const [i, o, forget] = parts(b, f(b, gates!), [hidden, hidden, hidden], -1);
        const next = cellOf(b, [i!, forget!, g(b, news!)], c!);
        return [b.op('Mul', [o, h(b, next)]), next];
      }
      const [xi, xo, xf, xn] = parts(b, sum, [hidden, hidden, hidden, hidden], -1);
      const i = peeped(b, xi!, c!, 0);
      const next = cellOf(b, [i, peeped(b, xf!, c!, 2), g(b, bounded(b, xn!))], c!);
      return [b.op('Mul', [peeped(b, xo!, next, 1), h(b, next)]), next];
    };
  },
};

/** The recurrent operators. */
export const CELLS: Readonly<Record<string, Cell>> = { RNN: rnn, GRU: gru, LSTM: lstm };
