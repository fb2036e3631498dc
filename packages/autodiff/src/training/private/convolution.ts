import { dims, intOf, intsOf, stringOf, type Value } from '../../graph/graph.ts';
import { isStatic, sizeOf } from '../../graph/shape.ts';
import { sharedProduct } from './sequence.ts';
import { squares, type PerExample, type Tap } from './tap.ts';

/**
 * Convolution as a product shared by the T places of its output, over what each place sees
 * ("unfolding"; Bu et al. 2022, section 3.2). The gradient of the bias is the sum over the places.
 */
export function convolution(tap: Tap): PerExample | undefined {
  const { b, node, index, dY, weight } = tap;
  const spatial = dims(dY).slice(2);
  if (index === 2) {
    const axes = b.ints(spatial.map((_, i) => i + 2));
    const each = b.op('ReduceSum', [dY, axes], { keepdims: 0 });
    return { squares: squares(b, each), each };
  }
  const kernel = dims(weight).slice(2);
  const [rows, outputs] = dims(dY);
  const isAuto = !['NOTSET', 'VALID'].includes(stringOf(node, 'auto_pad', 'NOTSET'));
  if (index !== 1 || isAuto || typeof outputs !== 'number') return undefined;
  if (!isStatic(kernel) || !isStatic(spatial)) return undefined;
  const groups = intOf(node, 'group', 1);
  const seen = unfolded(tap, kernel, spatial);
  const places = sizeOf(spatial)!;
  const slopes = b.adopt({
    ...b.op('Reshape', [dY, b.ints([0, groups, outputs / groups, places])]),
    shape: [rows!, groups, outputs / groups, places],
  });
  return product(tap, groups, seen, slopes);
}

/** `seen` [rows, groups, K, T] and `slopes` [rows, groups, M, T], by Gram matrices or written out as [.., M, K]. */
function product({ b }: Tap, groups: number, seen: Value, slopes: Value): PerExample {
  const swap = (value: Value): Value => b.op('Transpose', [value], { perm: [0, 1, 3, 2] });
  const [places, from, to] = [dims(seen)[3], dims(seen)[2], dims(slopes)[2]].map(Number);
  if (groups === 1 && 2 * places! * places! < from! * to!)
    return sharedProduct(b, swap(seen), swap(slopes));
  const each = b.op('Reshape', [
    b.op('MatMul', [slopes, swap(seen)]),
    b.ints([0, groups * to! * from!]),
  ]);
  return { squares: squares(b, each), each };
}

/** What each place of the output sees: [rows, groups, channels per group × kernel, places]. */
function unfolded(tap: Tap, kernel: readonly number[], spatial: readonly number[]): Value {
  const { b, node, inputs } = tap;
  const x = inputs[0]!;
  const [rows, channels] = dims(x);
  const rank = kernel.length;
  const groups = intOf(node, 'group', 1);
  const strides = intsOf(node, 'strides') ?? kernel.map(() => 1);
  const dilations = intsOf(node, 'dilations') ?? kernel.map(() => 1);
  const isValid = stringOf(node, 'auto_pad', 'NOTSET') === 'VALID';
  const pads = (isValid ? undefined : intsOf(node, 'pads')) ?? Array<number>(2 * rank).fill(0);
  const sides = [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)];
  const padded = pads.every((pad) => pad === 0) ? x : b.op('Pad', [x, b.ints(sides)]);
  const places = spatial.reduce((total, dim) => total * dim, 1);
  const axes = b.ints(kernel.map((_, i) => i + 2));
  const views = offsets(kernel).map((offset) => {
    const starts = offset.map((at, i) => at * dilations[i]!);
    const ends = starts.map((start, i) => start + strides[i]! * (spatial[i]! - 1) + 1);
    const view = b.op('Slice', [padded, b.ints(starts), b.ints(ends), axes, b.ints(strides)]);
    return b.op('Reshape', [view, b.ints([0, Number(channels), 1, places])]);
  });
  const joined = views.length === 1 ? views[0]! : b.op('Concat', views, { axis: 2 });
  const depth = (Number(channels) / groups) * views.length;
  const made = b.op('Reshape', [joined, b.ints([0, groups, depth, places])]);
  return b.adopt({ ...made, shape: [rows!, groups, depth, places] });
}

/** Every place of a kernel, row-major. */
function offsets(kernel: readonly number[]): readonly (readonly number[])[] {
  return kernel.reduce<readonly (readonly number[])[]>(
    (found, size) =>
      found.flatMap((offset) => Array.from({ length: size }, (_, at) => [...offset, at])),
    [[]],
  );
}
