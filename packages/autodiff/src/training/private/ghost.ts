import { differentiate } from '../../differentiate.ts';
import type { Builder } from '../../graph/builder.ts';
import { dims, type Node, type Value } from '../../graph/graph.ts';
import type { Placed } from '../../graph/place.ts';
import { operatorOf } from '../../ops/registry.ts';
import { gradientPath } from '../../path.ts';
import { elementwise } from './broadcast.ts';
import { clipFactors } from './clip.ts';
import { convolution } from './convolution.ts';
import { embedding } from './embedding.ts';
import { gemm, matMul } from './linear.ts';
import { normalisation } from './normalisation.ts';
import { rowAxes } from './rows.ts';
import { perRow, weightGradient, type PerExample, type Tap } from './tap.ts';

/** A forward pass over a batch, ready to be clipped by example. */
export interface ForwardRows {
  readonly b: Builder;
  readonly placed: Placed;
  /** The weights that training moves. */
  readonly weights: readonly Value[];
  /** Inputs, labels and row weights: rows on axis 0. */
  readonly data: readonly Value[];
  /** Loss of each row, [rows]. */
  readonly losses: Value;
  /** What each row's loss is multiplied by before clipping, [rows]. */
  readonly rowWeights: Value;
}

/** Clipped gradients, summed over the examples. */
export interface ClippedSum {
  /** One for each weight, in its shape. */
  readonly sums: readonly Value[];
  /** L2 norm of the whole gradient of each example before clipping, [rows]. */
  readonly norms: Value;
}

type TapRule = (tap: Tap) => PerExample | undefined;

const RULES: ReadonlyMap<string, TapRule> = new Map<string, TapRule>([
  ['Gemm', gemm],
  ['MatMul', matMul],
  ['Conv', convolution],
  ['Gather', embedding],
  ...[
    'LayerNormalization',
    'InstanceNormalization',
    'GroupNormalization',
    'BatchNormalization',
  ].map((op): [string, TapRule] => [op, normalisation]),
  ...'Add Sub Mul Div Pow PRelu Where Sum Max Min Mean Expand'
    .split(' ')
    .map((op): [string, TapRule] => [op, elementwise]),
]);

/** Operators that only rearrange a weight: its gradient keeps its norm. */
const VIEWS = new Set(['Identity', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

/**
 * Book-keeping ghost clipping (Bu et al. 2023, algorithm 1; Goodfellow 2015; Li et al. 2022): one
 * forward pass, one backward pass to the activations, the norm of each example's gradient from what
 * both left, and then the weighted sums of the gradients from the same slopes.
 *
 * Undefined, with nodes left in the builder, where rows cannot be proven independent or a weight is used in a way without a rule: then
 * {@link clippedByLoop} does it.
 */
export function clippedByGhost(f: ForwardRows, clip: Value): ClippedSum | undefined {
  const { b } = f;
  const nodes = ancestors(f.placed, f.losses.name);
  const known = rowAxes(b, nodes, f.data);
  if ('fault' in known || known.axes.get(f.losses.name) !== 0) return undefined;
  const reached = weightUses(f, known.axes);
  if (reached === undefined) return undefined;
  const taps = withSlopes(f, reached.uses);
  const found = new Map<Use, PerExample>();
  for (const [use, tap] of taps) {
    const hasRule = typeof operatorOf(use.node)?.gradient === 'function';
    const of = hasRule ? RULES.get(use.node.op)?.(tap) : undefined;
    if (of === undefined || (use.isShared && of.each === undefined)) return undefined;
    found.set(use, of);
  }
  return weighted({ f, clip, taps, found, views: reached.views });
}

interface Use {
  readonly node: Node;
  readonly index: number;
  /** Name of the weight, or of a view of it. */
  readonly weight: string;
  /** The weight is used elsewhere too. */
  readonly isShared: boolean;
}

/** Nodes that the value `name` depends on, in graph order. */
function ancestors(placed: Placed, name: string): readonly Node[] {
  const wanted = new Set([name]);
  const found = [...placed.nodes].reverse().filter(({ node }) => {
    if (!node.outputs.some((output) => wanted.has(output))) return false;
    for (const input of node.inputs) wanted.add(input);
    return true;
  });
  return found.reverse().map(({ node }) => node);
}

interface Reached {
  readonly uses: readonly Use[];
  /** Nodes that rearrange weights before that. */
  readonly views: readonly PathNode[];
}

type PathNode = ReturnType<typeof gradientPath>[number];

/** Where weights meet rows; undefined when one gets there by more than a rearrangement. */
function weightUses(
  { b, placed, weights, losses }: ForwardRows,
  axes: ReadonlyMap<string, number>,
): Reached | undefined {
  const views: PathNode[] = [];
  const roots = new Map(weights.map(({ name }) => [name, name]));
  const uses: Omit<Use, 'isShared'>[] = [];
  for (const entry of gradientPath(b, placed, [...roots.keys()], [losses.name])) {
    const { node } = entry;
    const [first] = node.inputs;
    if (!node.outputs.some((output) => axes.has(output))) {
      const root = roots.get(first ?? '');
      if (!VIEWS.has(node.op) || root === undefined) return undefined;
      roots.set(node.outputs[0]!, root);
      views.push(entry);
      continue;
    }
    node.inputs.forEach((weight, index) => {
      if (roots.has(weight)) uses.push({ node, index, weight });
    });
  }
  const marked: Use[] = [];
  for (const use of uses) {
    const root = roots.get(use.weight);
    const others = uses.filter((other) => other !== use && roots.get(other.weight) === root);
    const [value, axis] = [use.node.outputs[0]!, axes.get(use.node.outputs[0]!)];
    const areAhead = use.node.inputs.every((name) => (axes.get(name) ?? 0) === 0);
    // Slopes of two uses can be added only where both see the weight in the same form.
    const isMixed = others.some(({ weight }) => weight !== use.weight);
    if (isMixed || axis !== 0 || !areAhead || b.values.get(value)?.shape === undefined)
      return undefined;
    marked.push({ ...use, isShared: others.length > 0 });
  }
  return { uses: marked, views };
}

/** One backward pass to the outputs of the nodes that use weights, and not to the weights. */
function withSlopes(f: ForwardRows, uses: readonly Use[]): ReadonlyMap<Use, Tap> {
  const { b, placed, losses, rowWeights } = f;
  const starts = [...new Set(uses.map(({ node }) => node.outputs[0]!))];
  const values = starts.map((name) => b.values.get(name)!);
  const path = gradientPath(b, placed, starts, [losses.name]);
  const slopes = differentiate(b, path, new Map([[losses.name, rowWeights]]), values);
  const byName = new Map(starts.map((name, i) => [name, slopes[i]!]));
  return new Map(
    uses.map((use) => {
      const inputs = use.node.inputs.map((name) => b.values.get(name));
      const output = b.values.get(use.node.outputs[0]!)!;
      const given = byName.get(output.name)!;
      const dY = b.adopt({ ...given, shape: dims(output) });
      const { node, index } = use;
      return [use, { b, node, index, inputs, weight: b.values.get(use.weight)!, dY }];
    }),
  );
}

/** Norms over all weights, factors, and Σ factor · gradient for each weight. */
function weighted(c: {
  readonly f: ForwardRows;
  readonly clip: Value;
  readonly taps: ReadonlyMap<Use, Tap>;
  readonly found: ReadonlyMap<Use, PerExample>;
  readonly views: readonly PathNode[];
}): ClippedSum {
  const { f, clip, taps, found, views } = c;
  const { b, weights } = f;
  const byWeight = new Map<string, Use[]>();
  for (const use of taps.keys())
    byWeight.set(use.weight, [...(byWeight.get(use.weight) ?? []), use]);
  const sums = new Map<string, { use: Use; each: Value | undefined }>();
  const parts = [...byWeight].map(([name, uses]) => {
    const [use] = uses as [Use];
    const each =
      uses.length > 1
        ? sum(
            b,
            uses.map((u) => found.get(u)!.each!),
          )
        : found.get(use)!.each;
    sums.set(name, { use, each });
    return uses.length > 1 ? squaresOf(b, each!) : found.get(use)!.squares;
  });
  const { norms, factors } = clipFactors(b, sum(b, parts), clip);
  const scale = scaler(b, factors);
  const seeds = new Map(
    [...sums].map(([name, { use, each }]): [string, Value] => {
      const tap = taps.get(use)!;
      if (each === undefined) return [name, weightGradient(tap, scale(tap.dY))];
      const flat = b.op('MatMul', [factors, each]);
      if (dims(tap.weight).length === 1) return [name, flat];
      return [name, b.op('Reshape', [flat, b.ints(dims(tap.weight).map(Number))])];
    }),
  );
  return { sums: differentiate(b, views, seeds, weights), norms };
}

const sum = (b: Builder, values: readonly Value[]): Value =>
  values.length === 1 ? values[0]! : b.op('Sum', values);

const squaresOf = (b: Builder, each: Value): Value =>
  b.op('ReduceSumSquare', [perRow(b, each), b.ints([1])], { keepdims: 0 });

/** Slopes times the factor of their row; each product is made once. */
function scaler(b: Builder, factors: Value): (dY: Value) => Value {
  const byRank = new Map<number, Value>();
  const made = new Map<string, Value>();
  return (dY) => {
    const known = made.get(dY.name);
    if (known !== undefined) return known;
    const rank = dims(dY).length;
    const wide =
      byRank.get(rank) ??
      (rank === 1 ? factors : b.op('Unsqueeze', [factors, b.ints(axesFrom(1, rank))]));
    byRank.set(rank, wide);
    const product = b.adopt({ ...b.op('Mul', [dY, wide]), shape: dims(dY) });
    made.set(dY.name, product);
    return product;
  };
}

const axesFrom = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);
