import { floatOf, intOf } from '../../graph/graph.ts';
import {
  ints,
  rankOf,
  refused,
  scalar,
  scalarLike,
  type Entry,
  type Rewrite,
  type Rule,
} from './rewrite.ts';

/** Stands for minus infinity: its exponential is 0, and it never makes NaN. */
const LOWEST = -3.4028234663852886e38;

/** [batch, rows, heads · size] as [batch, heads, rows, size]. */
function toHeads(r: Rewrite, x: string, heads: number): string {
  const cut = r.op('Reshape', [x, ints(r, [0, 0, heads, -1])]);
  return r.op('Transpose', [cut], { perm: [0, 2, 1, 3] });
}

/** The way back. */
function fromHeads(r: Rewrite, x: string): readonly [string, string] {
  return [r.op('Transpose', [x], { perm: [0, 2, 1, 3] }), ints(r, [0, 0, -1])];
}

function fixedSize(r: Rewrite, name: string, axis: number): number {
  const size = r.value(name)?.shape?.at(axis);
  if (typeof size !== 'number') throw refused(r, `axis ${axis} of "${name}" has no fixed size`);
  return size;
}

/** [batch, heads, …] as [batch, groups, heads / groups, …]. */
function grouped(r: Rewrite, x: string, groups: number, each: number): string {
  const shape = r.op('Shape', [x]);
  const part = (from: number, to: number) => r.op('Slice', [shape, ints(r, [from]), ints(r, [to])]);
  const sizes = r.op('Concat', [part(0, 1), ints(r, [groups, each]), part(2, 4)], { axis: 0 });
  return r.op('Reshape', [x, sizes]);
}

/** Query heads `each` times as many as key heads share the keys in turn. */
function product(r: Rewrite, left: string, right: string, heads: number, each: number): string {
  if (each === 1) return r.op('MatMul', [left, right]);
  const parts = grouped(r, left, heads / each, each);
  const made = r.op('MatMul', [parts, r.op('Unsqueeze', [right, ints(r, [2])])]);
  const shape = r.op('Shape', [made]);
  const part = (from: number, to: number) => r.op('Slice', [shape, ints(r, [from]), ints(r, [to])]);
  return r.op('Reshape', [
    made,
    r.op('Concat', [part(0, 1), ints(r, [heads]), part(3, 5)], { axis: 0 }),
  ]);
}

// Attention of operator set 23 (scaled dot products, Vaswani et al. 2017), with grouped heads.
const attention: Rule = (r) => {
  const { node } = r;
  if (r.input(6) !== '') throw refused(r, 'lengths of the keys are not read');
  if (node.outputs[3] && intOf(node, 'qk_matmul_output_mode', 0) !== 0) {
    throw refused(r, 'this qk_matmul_output_mode is not read');
  }
  const isFlat = rankOf(r, r.input(0)) === 3;
  const heads = isFlat ? intOf(node, 'q_num_heads', 0) : fixedSize(r, r.input(0), 1);
  const keyHeads = isFlat ? intOf(node, 'kv_num_heads', 0) : fixedSize(r, r.input(1), 1);
  if (heads < 1 || keyHeads < 1 || heads % keyHeads !== 0) {
    throw refused(r, 'its numbers of heads do not fit');
  }
  const split = (index: number, count: number): string =>
    isFlat ? toHeads(r, r.input(index), count) : r.input(index);
  const query = split(0, heads);
  const joined = (index: number, past: string): string => {
    const own = split(index, keyHeads);
    return past === '' ? own : r.op('Concat', [past, own], { axis: 2 });
  };
  const [keys, values] = [joined(1, r.input(4)), joined(2, r.input(5))];
  r.bind(1, keys);
  r.bind(2, values);
  const width = fixedSize(r, r.input(0), -1) / (isFlat ? heads : 1);
  const scale = floatOf(node, 'scale', 0) || 1 / Math.sqrt(width);
  const turned = r.op('Transpose', [keys], { perm: [0, 1, 3, 2] });
  const raw = product(r, query, turned, heads, heads / keyHeads);
  const scaled = r.op('Mul', [raw, scalarLike(r, scale, r.input(0))]);
  r.bind(3, scaled);
  const weights = r.op('Softmax', [masked(r, scaled, r.input(4))], { axis: -1 });
  const made = product(r, weights, values, heads, heads / keyHeads);
  const [inputs, op] = isFlat ? [fromHeads(r, made), 'Reshape'] : [[made], 'Identity'];
  r.finish({ op, inputs, outputs: node.outputs.slice(0, 1), attributes: new Map() });
};

function masked(r: Rewrite, scores: string, past: string): string {
  const softcap = floatOf(r.node, 'softcap', 0);
  const cap = scalar(r, softcap);
  const capped =
    softcap > 0 ? r.op('Mul', [r.op('Tanh', [r.op('Div', [scores, cap])]), cap]) : scores;
  const mask = r.input(3);
  const lowest = scalarLike(r, LOWEST, r.input(0));
  const isBool = r.value(mask)?.dtype === 'bool';
  const open =
    mask === ''
      ? capped
      : isBool
        ? r.op('Where', [mask, capped, lowest])
        : r.op('Add', [capped, mask]);
  if (intOf(r.node, 'is_causal', 0) !== 1) return open;
  const sizes = r.op('Shape', [scores], { start: 2 });
  const ones = r.op('Expand', [scalar(r, 1), sizes]);
  const length = past === '' ? [] : [r.op('Shape', [past], { start: 2, end: 3 })];
  const offset = length.map((size) => r.op('Squeeze', [size, ints(r, [0])]));
  const before = r.op('Trilu', [ones, ...offset], { upper: 0 });
  return r.op('Where', [r.op('Cast', [before], { to: 9 }), open, lowest]);
}

// RotaryEmbedding of operator set 23 (Su et al. 2021): pairs of elements turned by an angle per place.
const rotary: Rule = (r) => {
  const [x, cosines, sines, places] = [0, 1, 2, 3].map(r.input) as [string, string, string, string];
  const isFlat = rankOf(r, x) === 3;
  const heads = intOf(r.node, 'num_heads', 0);
  if (isFlat && heads < 1) throw refused(r, 'it has no number of heads');
  const whole = isFlat ? toHeads(r, x, heads) : x;
  const part = intOf(r.node, 'rotary_embedding_dim', 0);
  const cut = (from: number, to: number, step = 1): string =>
    r.op('Slice', [whole, ints(r, [from]), ints(r, [to]), ints(r, [-1]), ints(r, [step])]);
  const end = part > 0 ? part : Number.MAX_SAFE_INTEGER;
  const angle = (table: string): string =>
    r.op('Unsqueeze', [places === '' ? table : r.op('Gather', [table, places]), ints(r, [1])]);
  const [cosine, sine] = [angle(cosines), angle(sines)];
  const isInterleaved = intOf(r.node, 'interleaved', 0) === 1;
  const [first, second] = isInterleaved
    ? [cut(0, end, 2), cut(1, end, 2)]
    : r.many('Split', [part > 0 ? cut(0, part) : whole], { axis: -1, num_outputs: 2 }, 2);
  const times = (a: string, b: string): string => r.op('Mul', [a, b]);
  const real = r.op('Sub', [times(cosine, first!), times(sine, second!)]);
  const imaginary = r.op('Add', [times(sine, first!), times(cosine, second!)]);
  const turned = isInterleaved
    ? interleaved(r, real, imaginary)
    : r.op('Concat', [real, imaginary], { axis: -1 });
  const rest = part > 0 ? [cut(part, Number.MAX_SAFE_INTEGER)] : [];
  const made = rest.length === 0 ? turned : r.op('Concat', [turned, ...rest], { axis: -1 });
  const [inputs, op] = isFlat ? [fromHeads(r, made), 'Reshape'] : [[made], 'Identity'];
  r.finish({ op, inputs, attributes: new Map() });
};

function interleaved(r: Rewrite, even: string, odd: string): string {
  const last = ints(r, [-1]);
  const pairs = [even, odd].map((part) => r.op('Unsqueeze', [part, last]));
  return r.op('Reshape', [r.op('Concat', pairs, { axis: -1 }), ints(r, [0, 0, 0, -1])]);
}

/** Attention and what belongs to it, by elementary operators. */
export const ATTENTION: readonly Entry[] = [
  { op: 'Attention', since: 23, rule: attention },
  { op: 'RotaryEmbedding', since: 23, rule: rotary },
];
