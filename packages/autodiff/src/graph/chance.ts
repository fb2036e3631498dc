import type { Builder } from './builder.ts';
import {
  attributes,
  floatOf,
  intOf,
  intsOf,
  type AttributeInput,
  type Graph,
  type Node,
  type Value,
} from './graph.ts';
import { floatTensor, intTensor, type Tensor } from './tensor.ts';

/** Name under which the nodes of {@link repeatable} read the key of an update, a uint32 scalar. */
export const KEY = 'medley/random_key';

const FLOAT = 1;
const UINT32 = 12;

/** Constants of Wellons' "lowbias32" (2018), a bijection of 32 bits with little bias. */
const MIX = { first: 0x7feb352d, second: 0x846ca68b, shift: 16, middle: 15 } as const;
/** 2³² / golden ratio: spreads successive numbers over the keys. */
const SPREAD = 0x9e3779b9;

/** Operators that draw numbers of their own, apart from Dropout; Multinomial stays the runtime's. */
const DRAWS: Readonly<Record<string, (w: Writer, node: Node, stream: number) => void>> = {
  RandomUniform: (w, node, stream) => uniform(w, node, sizesOf(w, node), stream),
  RandomUniformLike: (w, node, stream) =>
    uniform(w, node, w.op('Shape', [node.inputs[0]!]), stream),
  RandomNormal: (w, node, stream) => normal(w, node, sizesOf(w, node), stream),
  RandomNormalLike: (w, node, stream) => normal(w, node, w.op('Shape', [node.inputs[0]!]), stream),
  Bernoulli: bernoulli,
};

/**
 * The graph with the mask of every training Dropout, and what its other nodes draw, computed from {@link KEY} and the
 * place of the element by integer hashing, where the operator's own generator would go on from run to
 * run: the same key gives the same numbers, in one run or in several. Undefined where nothing is drawn.
 */
export function repeatable(
  graph: Graph,
  constants: ReadonlyMap<string, Tensor>,
): Graph | undefined {
  const tensorOf = (name: string): Tensor | undefined =>
    graph.initializers.get(name) ?? constants.get(name);
  const isOn = ({ op, domain, inputs }: Node): boolean =>
    op === 'Dropout' && domain === '' && (tensorOf(inputs[2] ?? '')?.bytes[0] ?? 0) !== 0;
  const isDraw = ({ op, domain }: Node): boolean => domain === '' && Object.hasOwn(DRAWS, op);
  const chosen = graph.nodes.filter((node) => isOn(node) || isDraw(node));
  if (chosen.length === 0) return undefined;
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node) => {
    const stream = chosen.indexOf(node);
    if (stream < 0) return [node];
    const writer = new Writer(`${node.outputs[0]!}/mask`, initializers);
    const draw = DRAWS[node.op] ?? dropout;
    draw(writer, node, stream);
    return writer.nodes;
  });
  return { ...graph, nodes, initializers };
}

/** The key of update `t` (from 1) of a training of this seed; for a list of updates a list. */
export function keyOf(b: Builder, seed: Value, t: Value): Value {
  const word = (value: Value): Value =>
    b.op('Cast', [b.op('Cast', [value], { to: 7 })], { to: UINT32 });
  const number = (value: number): Value => b.constant(uint32(value));
  const mixed = (value: Value): Value => {
    let x = b.op('Mul', [value, number(SPREAD)]);
    for (const [shift, factor] of [
      [MIX.shift, MIX.first],
      [MIX.middle, MIX.second],
    ] as const) {
      const high = b.op('BitShift', [x, number(shift)], { direction: 'RIGHT' });
      x = b.op('Mul', [b.op('BitwiseXor', [x, high]), number(factor)]);
    }
    return b.op('BitwiseXor', [
      x,
      b.op('BitShift', [x, number(MIX.shift)], { direction: 'RIGHT' }),
    ]);
  };
  return mixed(b.op('Add', [mixed(word(seed)), word(t)]));
}

/** A key where no update is made. */
export function noKey(b: Builder): Value {
  return b.constant(uint32(0));
}

/** 32 bits for each of `count` places; the lowest ones are weak. */
function bits(w: Writer, count: string, stream: number): string {
  const places = w.op('Range', [w.int(0), count, w.int(1)]);
  const start = w.op('Add', [KEY, w.word(Math.imul(stream + 1, SPREAD) >>> 0)]);
  let h = w.op('Add', [w.op('Cast', [places], { to: UINT32 }), start]);
  for (const [shift, factor] of [
    [MIX.shift, MIX.first],
    [MIX.middle, MIX.second],
  ] as const) {
    const high = w.op('BitShift', [h, w.word(shift)], { direction: 'RIGHT' });
    h = w.op('Mul', [w.op('BitwiseXor', [h, high]), w.word(factor)]);
  }
  return h;
}

/** y = x / (1 − ratio) where hash(key + salt + place) ≥ ratio · 2³², else 0. */
function dropout(w: Writer, node: Node, stream: number): void {
  const [x, ratio = ''] = node.inputs as [string, string?];
  const [y, mask = ''] = node.outputs as [string, string?];
  const share = ratio === '' ? w.constant(floatTensor([], [0.5])) : ratio;
  // The last step of the hash changes low bits only, which a comparison does not see.
  const h = bits(w, w.op('Size', [x]), stream);
  const scaled = w.op('Mul', [w.op('Cast', [share], { to: 11 }), w.double(2 ** 32)]);
  const bound = w.op('Cast', [w.op('Min', [scaled, w.double(2 ** 32 - 1)])], { to: UINT32 });
  const flat = w.op('GreaterOrEqual', [h, bound]);
  const kept = w.op('Reshape', [flat, w.op('Shape', [x])], {}, mask);
  const one = w.op('Sub', [w.double(1), w.op('Cast', [share], { to: 11 })]);
  const scale = w.op('CastLike', [w.op('Div', [w.double(1), one]), x]);
  const zero = w.op('CastLike', [w.constant(floatTensor([], [0])), x]);
  w.op('Where', [kept, w.op('Mul', [x, scale]), zero], {}, y);
}

/** 24 bits for each place as float32, from 0 to below 2²⁴. */
function counts(w: Writer, sizes: string, stream: number): string {
  const h = bits(w, w.op('ReduceProd', [sizes], { keepdims: 0 }), stream);
  const high = w.op('BitShift', [h, w.word(8)], { direction: 'RIGHT' });
  return w.op('Reshape', [w.op('Cast', [high], { to: FLOAT }), sizes]);
}

function uniform(w: Writer, node: Node, sizes: string, stream: number): void {
  const [low, high] = [floatOf(node, 'low', 0), floatOf(node, 'high', 1)];
  const spread = w.op('Mul', [counts(w, sizes, stream), w.float((high - low) / 2 ** 24)]);
  finish(w, node, w.op('Add', [spread, w.float(low)]));
}

/** By Box and Muller 1958. */
function normal(w: Writer, node: Node, sizes: string, stream: number): void {
  // A second stream for the angle, far from those of other nodes.
  const [length, angle] = [stream, stream + 2 ** 16].map((one) => counts(w, sizes, one));
  const share = w.op('Mul', [w.op('Add', [length!, w.float(1)]), w.float(2 ** -24)]);
  const radius = w.op('Sqrt', [w.op('Mul', [w.op('Log', [share]), w.float(-2)])]);
  const turn = w.op('Cos', [w.op('Mul', [angle!, w.float(2 * Math.PI * 2 ** -24)])]);
  const scaled = w.op('Mul', [w.op('Mul', [radius, turn]), w.float(floatOf(node, 'scale', 1))]);
  finish(w, node, w.op('Add', [scaled, w.float(floatOf(node, 'mean', 0))]));
}

function bernoulli(w: Writer, node: Node, stream: number): void {
  const [p] = node.inputs as [string];
  const drawn = counts(w, w.op('Shape', [p]), stream);
  const bound = w.op('Mul', [w.op('Cast', [p], { to: FLOAT }), w.float(2 ** 24)]);
  finish(w, node, w.op('Less', [drawn, bound]));
}

/** The value in the type that the node says, or that of its input. */
function finish(w: Writer, node: Node, value: string): void {
  const to = intOf(node, 'dtype', node.inputs.length === 0 ? FLOAT : 0);
  const [y] = node.outputs as [string];
  if (to === 0) w.op('CastLike', [value, node.inputs[0]!], {}, y);
  else w.op('Cast', [value], { to }, y);
}

function sizesOf(w: Writer, node: Node): string {
  const sizes = intsOf(node, 'shape') ?? [];
  return w.constant(intTensor([sizes.length], sizes));
}

/** Writes nodes and constants under names that begin alike. */
class Writer {
  readonly nodes: Node[] = [];
  readonly #stem: string;
  readonly #initializers: Map<string, Tensor>;
  #count = 0;

  constructor(stem: string, initializers: Map<string, Tensor>) {
    this.#stem = stem;
    this.#initializers = initializers;
  }

  op(
    op: string,
    inputs: readonly string[],
    settings: Readonly<Record<string, AttributeInput>> = {},
    output = '',
  ): string {
    const name = output === '' ? this.#name() : output;
    const written = attributes(settings);
    this.nodes.push({ op, domain: '', name, inputs, outputs: [name], attributes: written });
    return name;
  }

  constant(tensor: Tensor): string {
    const name = this.#name();
    this.#initializers.set(name, tensor);
    return name;
  }

  int(value: number): string {
    return this.constant(intTensor([], [value]));
  }

  word(value: number): string {
    return this.constant(uint32(value));
  }

  float(value: number): string {
    return this.constant(floatTensor([], [value]));
  }

  double(value: number): string {
    const bytes = new Uint8Array(Float64Array.of(value).buffer);
    return this.constant({ dtype: 'float64', dims: [], bytes });
  }

  #name(): string {
    return `${this.#stem}/${++this.#count}`;
  }
}

function uint32(value: number): Tensor {
  return { dtype: 'uint32', dims: [], bytes: new Uint8Array(Uint32Array.of(value).buffer) };
}
