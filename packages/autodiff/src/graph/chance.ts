import type { Builder } from './builder.ts';
import { attributes, type AttributeInput, type Graph, type Node, type Value } from './graph.ts';
import { floatTensor, intTensor, type Tensor } from './tensor.ts';

/** Name under which the nodes of {@link repeatable} read the key of an update, a uint32 scalar. */
export const KEY = 'medley/random_key';

const UINT32 = 12;

/** Constants of Wellons' "lowbias32" (2018), a bijection of 32 bits with little bias. */
const MIX = { first: 0x7feb352d, second: 0x846ca68b, shift: 16, middle: 15 } as const;
/** 2³² / golden ratio: spreads successive numbers over the keys. */
const SPREAD = 0x9e3779b9;

/**
 * The graph with the mask of every training Dropout computed from {@link KEY} and the place of the
 * element by integer hashing, where the operator's own generator would go on from run to run: the same
 * key gives the same mask, in one run or in several. Undefined where there is no such Dropout.
 */
export function repeatable(
  graph: Graph,
  constants: ReadonlyMap<string, Tensor>,
): Graph | undefined {
  const tensorOf = (name: string): Tensor | undefined =>
    graph.initializers.get(name) ?? constants.get(name);
  const isOn = ({ op, domain, inputs }: Node): boolean =>
    op === 'Dropout' && domain === '' && (tensorOf(inputs[2] ?? '')?.bytes[0] ?? 0) !== 0;
  const chosen = graph.nodes.filter(isOn);
  if (chosen.length === 0) return undefined;
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node) => {
    if (!isOn(node)) return [node];
    const writer = new Writer(`${node.outputs[0]!}/mask`, initializers);
    dropout(writer, node, chosen.indexOf(node));
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

/** y = x / (1 − ratio) where hash(key + salt + place) ≥ ratio · 2³², else 0. */
function dropout(w: Writer, node: Node, index: number): void {
  const [x, ratio = ''] = node.inputs as [string, string?];
  const [y, mask = ''] = node.outputs as [string, string?];
  const share = ratio === '' ? w.constant(floatTensor([], [0.5])) : ratio;
  const places = w.op('Range', [w.int(0), w.op('Size', [x]), w.int(1)]);
  const start = w.op('Add', [KEY, w.word(Math.imul(index + 1, SPREAD) >>> 0)]);
  let h = w.op('Add', [w.op('Cast', [places], { to: UINT32 }), start]);
  for (const [shift, factor] of [
    [MIX.shift, MIX.first],
    [MIX.middle, MIX.second],
  ] as const) {
    const high = w.op('BitShift', [h, w.word(shift)], { direction: 'RIGHT' });
    h = w.op('Mul', [w.op('BitwiseXor', [h, high]), w.word(factor)]);
  }
  // The last step of the hash changes low bits only, which a comparison does not see.
  const scaled = w.op('Mul', [w.op('Cast', [share], { to: 11 }), w.double(2 ** 32)]);
  const bound = w.op('Cast', [w.op('Min', [scaled, w.double(2 ** 32 - 1)])], { to: UINT32 });
  const flat = w.op('GreaterOrEqual', [h, bound]);
  const kept = w.op('Reshape', [flat, w.op('Shape', [x])], {}, mask);
  const one = w.op('Sub', [w.double(1), w.op('Cast', [share], { to: 11 })]);
  const scale = w.op('CastLike', [w.op('Div', [w.double(1), one]), x]);
  const zero = w.op('CastLike', [w.constant(floatTensor([], [0])), x]);
  w.op('Where', [kept, w.op('Mul', [x, scale]), zero], {}, y);
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
