import { MedleyError } from '@medley/kit';
import type { Builder } from '../graph/builder.ts';
import { dtypeCode } from '../graph/dtype.ts';
import { floatOf, stringOf, type Node, type Value } from '../graph/graph.ts';
import type { Compilation } from './compile.ts';

/** One tensor of an update with its state, and the numbers of the update in its type. */
interface Update {
  readonly b: Builder;
  readonly node: Node;
  readonly rate: Value;
  /** Updates done before, in the tensor's type. */
  readonly count: Value;
  /** True but for the first update. */
  readonly isLater: Value;
  readonly x: Value;
  /** The gradient with the node's norm_coefficient times `x` added. */
  readonly gradient: Value;
  readonly state: readonly Value[];
}

/** New tensor, then its new state in the order of the inputs. */
type Rule = (u: Update) => readonly Value[];

const number = (u: Update, name: string, fallback: number): Value =>
  u.b.scalar(floatOf(u.node, name, fallback), u.x);
const oneLess = (u: Update, value: Value): Value => u.b.op('Sub', [u.b.scalar(1, u.x), value]);

/** Adam: the rate is corrected by √(1 − βᵗ)/(1 − αᵗ) from the second update on. */
const adam: Rule = (u) => {
  const { b, gradient, state } = u;
  const [alpha, beta] = [number(u, 'alpha', 0.9), number(u, 'beta', 0.999)];
  const blend = (before: Value | undefined, now: Value, share: Value): Value =>
    b.op('Add', [b.op('Mul', [before, share]), b.op('Mul', [now, oneLess(u, share)])]);
  const first = blend(state[0], gradient, alpha);
  const second = blend(state[1], b.op('Mul', [gradient, gradient]), beta);
  const power = (share: Value): Value => oneLess(u, b.op('Pow', [share, u.count]));
  const ratio = b.op('Div', [b.op('Sqrt', [power(beta)]), power(alpha)]);
  const corrected = b.op('Where', [u.isLater, b.op('Mul', [u.rate, ratio]), u.rate]);
  const divisor = b.op('Add', [b.op('Sqrt', [second]), number(u, 'epsilon', 1e-6)]);
  const moved = b.op('Sub', [u.x, b.op('Mul', [corrected, b.op('Div', [first, divisor])])]);
  const after = floatOf(u.node, 'norm_coefficient_post', 0);
  const next = after === 0 ? moved : b.op('Mul', [moved, b.scalar(1 - after, u.x)]);
  return [next, first, second];
};

/** Adagrad: the rate is divided by 1 + t·decay_factor. */
const adagrad: Rule = (u) => {
  const { b, gradient, state } = u;
  const slower = b.op('Add', [
    b.scalar(1, u.x),
    b.op('Mul', [u.count, number(u, 'decay_factor', 0)]),
  ]);
  const sum = b.op('Add', [state[0], b.op('Mul', [gradient, gradient])]);
  const divisor = b.op('Add', [b.op('Sqrt', [sum]), number(u, 'epsilon', 1e-6)]);
  const step = b.op('Mul', [b.op('Div', [u.rate, slower]), b.op('Div', [gradient, divisor])]);
  return [b.op('Sub', [u.x, step]), sum];
};

/** Momentum: the first gradient counts whole; with Nesterov's mode the step looks ahead. */
const momentum: Rule = (u) => {
  const { b, gradient, state } = u;
  const alpha = number(u, 'alpha', 0);
  const beta = b.op('Where', [u.isLater, number(u, 'beta', 0), b.scalar(1, u.x)]);
  const next = b.op('Add', [b.op('Mul', [state[0], alpha]), b.op('Mul', [gradient, beta])]);
  const isNesterov = stringOf(u.node, 'mode', 'standard') === 'nesterov';
  const step = isNesterov ? b.op('Add', [gradient, b.op('Mul', [next, alpha])]) : next;
  return [b.op('Sub', [u.x, b.op('Mul', [u.rate, step])]), next];
};

const RULES: Readonly<Record<string, { readonly rule: Rule; readonly states: number }>> = {
  Adam: { rule: adam, states: 2 },
  Adagrad: { rule: adagrad, states: 1 },
  Momentum: { rule: momentum, states: 1 },
};

/**
 * ONNX's Adam, Adagrad or Momentum of any number of tensors: inputs R, T, X₁ … Xₙ, G₁ … Gₙ and then
 * each state of all of them. Throws MODEL_UNSUPPORTED_OPERATOR for another operator and MODEL_INVALID
 * for a number of inputs that does not fit.
 */
export function updateNode({ b, values }: Compilation, node: Node): readonly Value[] {
  const entry = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
  if (entry === undefined) {
    throw new MedleyError(
      'MODEL_UNSUPPORTED_OPERATOR',
      `node "${node.name}" (${node.op}): ONNX's training domain has no such operator`,
    );
  }
  const [rate, count, ...rest] = node.inputs.map((name) => values.get(name));
  const kinds = 2 + entry.states;
  const tensors = rest.length / kinds;
  if (
    rate === undefined ||
    count === undefined ||
    !Number.isInteger(tensors) ||
    rest.includes(undefined)
  ) {
    throw new MedleyError(
      'MODEL_INVALID',
      `node "${node.name}" (${node.op}) has to have R, T and ${kinds} inputs for each tensor`,
    );
  }
  const isLater = b.op('Greater', [count, zero(b)]);
  const results = Array.from({ length: tensors }, (_, i) => {
    const part = (kind: number): Value => rest[kind * tensors + i]!;
    const x = part(0);
    const to = dtypeCode(x.dtype ?? 'float32');
    const like = (value: Value): Value =>
      value.dtype === x.dtype ? value : b.op('Cast', [value], { to });
    const norm = b.scalar(floatOf(node, 'norm_coefficient', 0), x);
    return entry.rule({
      b,
      node,
      rate: like(rate),
      count: like(count),
      isLater,
      x,
      gradient: b.op('Add', [b.op('Mul', [x, norm]), part(1)]),
      state: Array.from({ length: entry.states }, (__, k) => part(2 + k)),
    });
  });
  return Array.from({ length: 1 + entry.states }, (_, k) => results.map((all) => all[k]!)).flat();
}

function zero(b: Builder): Value {
  return b.constant({ dtype: 'int64', dims: [], bytes: new Uint8Array(8) });
}
