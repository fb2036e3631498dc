import type { Builder } from '../graph/builder.ts';
import { constantOf, dims, intOf, type Attributes, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { addAt, places, zerosLike } from './iota.ts';
import { combine, pad, sizeAt, zeros } from './sizes.ts';

const axisIn = (attributes: Attributes, x: Value): number =>
  axisOf(intOf({ attributes }, 'axis', 0), dims(x).length) ?? 0;

const long = (b: Builder, indices: Value): Value =>
  indices.dtype === 'int64' ? indices : b.op('Cast', [indices], { to: 7 });

// What was read several times adds up.
const gatherElements: GradientRule = ({ b, attributes, inputs: [x, indices] }, [g]) => {
  const axis = axisIn(attributes, x!);
  return [b.op('ScatterElements', [zerosLike(b, x!), indices, g], { axis, reduction: 'add' })];
};

// Rows of an embedding: added into zeros by row, never a product with one-hot vectors.
const gather: GradientRule = ({ b, attributes, inputs: [x, indices] }, [g]) => {
  const axis = axisIn(attributes, x!);
  if (dims(indices!).length === 0 && constantOf(indices) !== undefined) {
    return [single(b, x!, g!, axis, constantOf(indices)![0]!)];
  }
  const [rank, width] = [dims(x!).length, dims(indices!).length];
  const others = Array.from({ length: rank - 1 }, (_, i) => i);
  const first = [axis, ...others.map((i) => (i < axis ? i : i + 1))];
  const from = Array.from({ length: width }, (_, i) => axis + i);
  const rest = others.map((i) => (i < axis ? i : i + width));
  const updates = axis === 0 ? g! : b.op('Transpose', [g], { perm: [...from, ...rest] });
  const at = b.op('Unsqueeze', [long(b, indices!), b.ints([width])]);
  const empty =
    axis === 0
      ? zerosLike(b, x!)
      : zeros(
          b,
          x!,
          first.map((i) => sizeAt(b, x!, i)),
        );
  const sums = b.op('ScatterND', [empty, at, updates], { reduction: 'add' });
  if (axis === 0) return [b.adopt({ ...sums, dtype: g!.dtype, shape: dims(x!) })];
  const back = dims(x!).map((_, i) => first.indexOf(i));
  return [b.adopt({ ...b.op('Transpose', [sums], { perm: back }), shape: dims(x!) })];
};

/** One index, which took its axis away: zeros around it. */
function single(b: Builder, x: Value, g: Value, axis: number, index: number): Value {
  const size = sizeAt(b, x, axis);
  const before = index < 0 ? combine(b, 'Add', size, index) : index;
  const after = index < 0 ? -index - 1 : combine(b, 'Sub', size, index + 1);
  const restored = b.op('Unsqueeze', [g, b.ints([axis])]);
  const none = dims(x)
    .slice(axis + 1)
    .map(() => 0);
  const padded = pad(b, restored, axis, [before, ...none], [after, ...none]);
  return b.adopt({ ...padded, dtype: g.dtype, shape: dims(x) });
}

const gatherND: GradientRule = ({ b, attributes, inputs: [x, indices] }, [g]) => {
  const batch = intOf({ attributes }, 'batch_dims', 0);
  if (batch > 0) {
    const at = b.op('GatherND', [places(b, x!), indices], { batch_dims: batch });
    return [addAt(b, x!, g!, at)];
  }
  return [b.op('ScatterND', [zerosLike(b, x!), indices, g], { reduction: 'add' })];
};

function inferGather(c: InferContext): readonly Inferred[] {
  const [x, indices] = c.inputs;
  const axis = axisOf(intOf(c, 'axis', 0), x?.shape?.length ?? 0);
  if (x?.shape === undefined || indices?.shape === undefined || axis === undefined) {
    return [{ dtype: x?.dtype, shape: undefined }];
  }
  const shape: Dim[] = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const picked = indices.content?.map((at) =>
    typeof at === 'number' ? x.content?.at(at) : undefined,
  );
  const content = picked?.every((dim) => dim !== undefined) ? picked : undefined;
  return [{ dtype: x.dtype, shape, content }];
}

function inferGatherND(c: InferContext): readonly Inferred[] {
  const [x, indices] = c.inputs;
  const depth = indices?.shape?.at(-1);
  if (x?.shape === undefined || typeof depth !== 'number') {
    return [{ dtype: x?.dtype, shape: undefined }];
  }
  const rest = x.shape.slice(intOf(c, 'batch_dims', 0) + depth);
  return [{ dtype: x.dtype, shape: [...indices!.shape!.slice(0, -1), ...rest] }];
}

const ADDS = 'what is read several times adds up';

/** Reading elements by index. */
export const GATHER: readonly Operator[] = [
  { op: 'Gather', infer: inferGather, gradient: gather, settings: [1], convention: ADDS },
  {
    op: 'GatherElements',
    infer: ({ inputs: [x, indices] }) => [{ dtype: x?.dtype, shape: indices?.shape }],
    gradient: gatherElements,
    settings: [1],
    convention: ADDS,
  },
  { op: 'GatherND', infer: inferGatherND, gradient: gatherND, settings: [1], convention: ADDS },
];
