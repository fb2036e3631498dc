import { floatOf, intOf, stringOf } from '../../graph/graph.ts';
import { floatTensor } from '../../graph/tensor.ts';
import {
  forEach,
  ints,
  rankOf,
  scalar,
  scalarLike,
  without,
  type Entry,
  type Rewrite,
  type Rule,
} from './rewrite.ts';

// Before 7 the second operand was laid along `axis` of the first; now trailing axes must agree.
const broadcastAttribute: Rule = (r) => {
  const attributes = without(r.node, 'axis', 'broadcast');
  const [left, right] = [r.input(0), r.input(1)];
  if (intOf(r.node, 'broadcast', 0) !== 1 || !r.node.attributes.has('axis')) {
    r.finish({ attributes });
    return;
  }
  const [rank, own] = [rankOf(r, left), rankOf(r, right)];
  const at = intOf(r.node, 'axis', 0);
  const behind = rank - (at < 0 ? at + rank : at) - own;
  const axes = Array.from({ length: Math.max(0, behind) }, (_, i) => own + i);
  const laid = axes.length === 0 ? right : r.op('Unsqueeze', [right, ints(r, axes)]);
  r.finish({ inputs: [left, laid], attributes });
};

// Before 11 the bounds were attributes.
const clip: Rule = (r) => {
  if (!r.node.attributes.has('min') && !r.node.attributes.has('max')) {
    r.finish({});
    return;
  }
  const x = r.input(0);
  const bound = (name: string): string =>
    r.node.attributes.has(name) ? scalarLike(r, floatOf(r.node, name, 0), x) : '';
  r.finish({ inputs: [x, bound('min'), bound('max')], attributes: new Map() });
};

// Before 7 a slope of several numbers was one per channel.
const prelu: Rule = (r) => {
  const [x, slope] = [r.input(0), r.input(1)];
  const shape = r.value(slope)?.shape;
  const rank = r.value(x)?.shape?.length ?? 0;
  const isPerChannel = shape?.length === 1 && shape[0] !== 1 && rank > 2;
  const axes = Array.from({ length: rank - 2 > 0 ? rank - 2 : 0 }, (_, i) => i + 1);
  r.finish(isPerChannel ? { inputs: [x, r.op('Unsqueeze', [slope, ints(r, axes)])] } : {});
};

// Before 6 the type had a name.
const TYPES: Readonly<Record<string, number>> = {
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
};

const cast: Rule = (r) => {
  const attributes = new Map(without(r.node, 'saturate', 'round_mode'));
  if (r.node.attributes.get('to')?.kind === 'string') {
    const type = TYPES[stringOf(r.node, 'to', '').toUpperCase()] ?? 0;
    attributes.set('to', { kind: 'int', value: type });
  }
  r.finish({ attributes });
};

/** Attributes that say nothing about the types that are run. */
const drop =
  (...names: readonly string[]): Rule =>
  (r) =>
    r.finish({ attributes: without(r.node, ...names) });

// Gelu of operator set 20, by its definition: x·Φ(x), or the tanh approximation.
const gelu: Rule = (r) => {
  const { op } = r;
  const x = r.input(0);
  const number = (value: number): string => scalarLike(r, value, x);
  const isTanh = stringOf(r.node, 'approximate', 'none') === 'tanh';
  const cubic = (): string => op('Mul', [op('Mul', [x, x]), op('Mul', [x, number(0.044715)])]);
  const inner = isTanh
    ? op('Tanh', [op('Mul', [op('Add', [x, cubic()]), number(Math.sqrt(2 / Math.PI))])])
    : op('Erf', [op('Mul', [x, number(Math.SQRT1_2)])]);
  const half = op('Mul', [x, number(0.5)]);
  finish(r, 'Mul', [half, op('Add', [inner, number(1)])]);
};

// Swish of operator set 24: x·sigmoid(αx).
const swish: Rule = (r) => {
  const x = r.input(0);
  const alpha = floatOf(r.node, 'alpha', 1);
  const scaled = alpha === 1 ? x : r.op('Mul', [x, scalarLike(r, alpha, x)]);
  finish(r, 'Mul', [x, r.op('Sigmoid', [scaled])]);
};

// Experimental operators of the first operator sets, by ONNX 1.4's documentation of them.
const affine: Rule = (r) => {
  const scaled = r.op('Mul', [r.input(0), scalar(r, floatOf(r.node, 'alpha', 1))]);
  finish(r, 'Add', [scaled, scalar(r, floatOf(r.node, 'beta', 0))]);
};

const scale: Rule = (r) => finish(r, 'Mul', [r.input(0), scalar(r, floatOf(r.node, 'scale', 1))]);

const scaledTanh: Rule = (r) => {
  const inner = r.op('Mul', [r.input(0), scalar(r, floatOf(r.node, 'beta', 1))]);
  finish(r, 'Mul', [r.op('Tanh', [inner]), scalar(r, floatOf(r.node, 'alpha', 1))]);
};

const parametricSoftplus: Rule = (r) => {
  const inner = r.op('Mul', [r.input(0), scalar(r, floatOf(r.node, 'beta', 1))]);
  finish(r, 'Mul', [r.op('Softplus', [inner]), scalar(r, floatOf(r.node, 'alpha', 1))]);
};

const imageScaler: Rule = (r) => {
  const bias = r.node.attributes.get('bias');
  const values = bias?.kind === 'floats' ? bias.value : [];
  const scaled = r.op('Mul', [r.input(0), scalar(r, floatOf(r.node, 'scale', 1))]);
  finish(r, 'Add', [scaled, r.constant(floatTensor([values.length, 1, 1], values))]);
};

function finish(r: Rewrite, op: string, inputs: readonly string[]): void {
  r.finish({ op, inputs, attributes: new Map() });
}

const BINARY = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'And', 'Or', 'Xor', 'Equal', 'Greater', 'Less'];

/** Elementwise operators, and Gemm, whose third operand broadcasts in the same way. */
export const ELEMENTWISE: readonly Entry[] = [
  ...forEach(BINARY, { before: 7, rule: broadcastAttribute }),
  { op: 'Gemm', before: 7, rule: drop('broadcast') },
  { op: 'Clip', before: 11, rule: clip },
  { op: 'PRelu', before: 7, rule: prelu },
  { op: 'Cast', rule: cast },
  { op: 'CastLike', rule: drop('saturate', 'round_mode') },
  { op: 'Gelu', since: 20, rule: gelu },
  { op: 'Swish', since: 24, rule: swish },
  { op: 'Affine', before: 10, rule: affine },
  { op: 'Scale', before: 10, rule: scale },
  { op: 'ScaledTanh', before: 10, rule: scaledTanh },
  { op: 'ParametricSoftplus', before: 10, rule: parametricSoftplus },
  { op: 'ImageScaler', before: 10, rule: imageScaler },
];
