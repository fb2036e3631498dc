import { constantOf, dims, intOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { product, sum } from '../graph/symbol.ts';
import { combine, sizeAt, vector, type Size } from './sizes.ts';
import { zerosLike } from './iota.ts';

// Each operand takes its part of dY.
const concat: GradientRule = ({ b, attributes, inputs, needs }, [g]) => {
  const axis = axisOf(intOf({ attributes }, 'axis', 0), dims(g!).length) ?? 0;
  if (inputs.length === 1) return [g];
  let start: Size = 0;
  return inputs.map((x, i) => {
    const begin = start;
    const end = combine(b, 'Add', begin, sizeAt(b, x!, axis));
    start = end;
    if (needs[i] !== true) return undefined;
    const part = b.op('Slice', [g, vector(b, [begin]), vector(b, [end]), b.ints([axis])]);
    return b.adopt({ ...part, dtype: g!.dtype, shape: dims(x!) });
  });
};

// An output that nothing used counts with zeros.
const split: GradientRule = (c, dY) => {
  const { b, attributes, inputs } = c;
  const axis = axisOf(intOf({ attributes }, 'axis', 0), dims(inputs[0]!).length) ?? 0;
  const parts = dY.map((g, i) => g ?? zerosLike(b, outputOf(c, i, axis)));
  const joined = parts.length === 1 ? parts[0]! : b.op('Concat', parts, { axis });
  return [b.adopt({ ...joined, dtype: parts[0]!.dtype, shape: dims(inputs[0]!) })];
};

function outputOf(
  { attributes, inputs, outputs, demand }: GradientContext,
  i: number,
  axis: number,
): Value {
  const known = outputs[i];
  if (known !== undefined && known.name !== '') return known;
  const [x, sizes] = inputs;
  const lengths = splitSizes(dims(x!)[axis]!, sizes, outputs.length, { attributes });
  return demand(
    i,
    x!.dtype!,
    dims(x!).map((dim, at) => (at === axis ? (lengths[i] ?? `?${x!.name}.split${i}`) : dim)),
  );
}

function inferConcat(c: InferContext): readonly Inferred[] {
  const [first] = c.inputs;
  const rank = c.inputs.find((x) => x?.shape !== undefined)?.shape?.length;
  const axis = axisOf(intOf(c, 'axis', 0), rank ?? 0);
  if (
    first === undefined ||
    axis === undefined ||
    c.inputs.some((x) => x?.shape?.length !== rank)
  ) {
    return [{ dtype: first?.dtype, shape: undefined }];
  }
  const total = c.inputs.reduce<Dim>((all, x) => sum(all, dims(x!)[axis]!), 0);
  const contents = c.inputs.map((x) => x?.content);
  const content = contents.every((part) => part !== undefined) ? contents.flat() : undefined;
  const shape = dims(first).map((dim, i) =>
    i === axis
      ? total
      : agreed(
          c.inputs.map((x) => dims(x!)[i]!),
          dim,
        ),
  );
  return [{ dtype: first.dtype, shape, content }];
}

/** A size that all operands have, as the one that knows most says it. */
const agreed = (sizes: readonly Dim[], fallback: Dim): Dim =>
  sizes.find((size) => typeof size === 'number') ??
  sizes.find((size) => !String(size).startsWith('?')) ??
  fallback;

/** The sizes of the parts, undefined where they are not known. */
function splitSizes(
  size: Dim,
  sizes: Value | undefined,
  count: number,
  node: Pick<InferContext, 'attributes'>,
): readonly (Dim | undefined)[] {
  if (sizes !== undefined) return sizes.content ?? constantOf(sizes) ?? [];
  const parts = intOf(node, 'num_outputs', count);
  if (typeof size !== 'number' || parts <= 0) return parts === 1 ? [size] : [];
  const each = Math.ceil(size / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(each, size - i * each)));
}

function inferSplit(c: InferContext): readonly Inferred[] {
  const [x, split] = c.inputs;
  const axis = axisOf(intOf(c, 'axis', 0), x?.shape?.length ?? 0);
  const size = axis === undefined ? undefined : x?.shape?.[axis];
  const lengths = size === undefined ? [] : splitSizes(size, split, c.outputCount, c);
  let start = 0;
  return Array.from({ length: c.outputCount }, (_, i) => {
    const length = lengths[i] ?? c.fresh();
    const isVector = x?.shape?.length === 1 && typeof length === 'number';
    const content = isVector ? x.content?.slice(start, start + length) : undefined;
    if (typeof length === 'number') start += length;
    return {
      dtype: x?.dtype,
      shape: x?.shape?.map((dim, at) => (at === axis ? length : dim)),
      content,
    };
  });
}

// x has each element of an axis once for every repetition: dY as [r0, d0, r1, d1, …] summed over the r.
const tile: GradientRule = ({ b, inputs: [x, repeats] }, [g]) => {
  const rank = dims(x!).length;
  if (rank === 0) return [g];
  const times = constantOf(repeats);
  const apart = dims(x!).flatMap((_, i): readonly Size[] => [
    times?.[i] ?? b.op('Slice', [repeats, b.ints([i]), b.ints([i + 1])]),
    sizeAt(b, x!, i),
  ]);
  const cut = b.op('Reshape', [g, vector(b, apart)]);
  const axes = b.ints(dims(x!).map((_, i) => 2 * i));
  const summed = b.op('ReduceSum', [cut, axes], { keepdims: 0 });
  return [b.adopt({ ...summed, dtype: g!.dtype, shape: dims(x!) })];
};

function inferTile(c: InferContext): readonly Inferred[] {
  const [x, repeats] = c.inputs;
  const times = repeats?.content;
  const shape = x?.shape?.map((dim, i) => {
    const count = times?.[i];
    return count === undefined ? c.fresh() : product([dim, count]);
  });
  return [{ dtype: x?.dtype, shape }];
}

/** Concat, Split and Tile. */
export const JOIN: readonly Operator[] = [
  { op: 'Concat', infer: inferConcat, gradient: concat },
  {
    op: 'Split',
    infer: inferSplit,
    gradient: split,
    settings: [1],
    convention: 'zeros for outputs without influence',
  },
  { op: 'Tile', infer: inferTile, gradient: tile, settings: [1] },
];
