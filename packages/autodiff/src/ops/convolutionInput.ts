import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import { isStatic, sizeOf } from '../graph/shape.ts';
import { combine, known, pad, reshape, sizeAt, sizesFrom, type Size } from './sizes.ts';
import type { Geometry } from './convolutionWeight.ts';

/** What an input gradient is made of: ∂/∂x of Σ ⟨dY, Conv(x, w)⟩. */
export interface InputTask extends Geometry {
  readonly b: Builder;
  /** [N, C, sizes…], of which the gradient has the shape. */
  readonly x: Value;
  readonly dY: Value;
  /** [O, C / group, kernel…]. */
  readonly w: Value;
}

/** The gradient of the input by the formula that was fastest for such shapes. */
export function inputGradient(task: InputTask): Value {
  return mayFlip(task) && isWide(task) ? byFlippedConv(task) : byConvTranspose(task);
}

/**
 * Whether the flipped Conv gives its matrix product enough rows, and images large enough to pay for
 * the turned kernel; depthwise kernels have their own path.
 */
function isWide({ x, w, group }: InputTask): boolean {
  const [outs, ins] = dims(w);
  const positions = sizeOf(dims(x).slice(2)) ?? MANY_POSITIONS;
  if (ins === 1 && outs === group) return true;
  return (typeof ins !== 'number' || ins >= WIDE_ROWS) && positions >= MANY_POSITIONS;
}

const WIDE_ROWS = 16;
const MANY_POSITIONS = 100;

/** Whether the flipped kernel exists: steps of one, and no more padding than the kernel reaches. */
function mayFlip({ w, strides, dilations, begins, ends }: InputTask): boolean {
  return dims(w)
    .slice(2)
    .every((k, i) => {
      const reach = typeof k === 'number' ? (k - 1) * dilations[i]! : -1;
      return strides[i] === 1 && begins[i]! <= reach && ends[i]! <= reach;
    });
}

/** Conv(dY, w) with the kernel reversed and its channels exchanged. */
export function byFlippedConv({ b, x, dY, w, dilations, begins, ends, group }: InputTask): Value {
  const kernel = dims(w).slice(2) as readonly number[];
  const reach = kernel.map((k, i) => (k - 1) * dilations[i]!);
  const pads = [begins, ends].flatMap((side) => side.map((count, i) => reach[i]! - count));
  const made = b.op('Conv', [dY, exchanged(b, reversed(b, w, kernel), group)], {
    dilations,
    pads,
    group,
  });
  return known(b, made, x, dims(x));
}

function reversed(b: Builder, w: Value, kernel: readonly number[]): Value {
  const axes = kernel.flatMap((k, i) => (k > 1 ? [i + 2] : []));
  if (axes.length === 0) return w;
  const all = (number: number): Value => b.ints(axes.map(() => number));
  const made = b.op('Slice', [w, all(-1), all(-Number.MAX_SAFE_INTEGER), b.ints(axes), all(-1)]);
  return known(b, made, w, dims(w));
}

/** [O, C / group, …] as [C, O / group, …]: the kernel that leads back. */
function exchanged(b: Builder, w: Value, group: number): Value {
  const rank = dims(w).length;
  const later = Array.from({ length: rank - 2 }, (_, i) => i);
  if (group === 1) return b.op('Transpose', [w], { perm: [1, 0, ...later.map((i) => i + 2)] });
  const [outs, ins] = [sizeAt(b, w, 0), sizeAt(b, w, 1)];
  const kernel = sizesFrom(b, w, 2);
  const part = combine(b, 'Div', outs, group);
  if (part === 1 && ins === 1) return w;
  const split = reshape(b, w, [group, part, ins, ...kernel]);
  const turned = b.op('Transpose', [split], { perm: [0, 2, 1, ...later.map((i) => i + 3)] });
  return reshape(b, turned, [combine(b, 'Mul', ins, group), part, ...kernel]);
}

/** ConvTranspose(dY, w), with zeros where the kernel never reached the end of the input. */
export function byConvTranspose(task: InputTask): Value {
  const { b, x, dY, w, strides, dilations, begins, ends, group } = task;
  const kernel = dims(w).slice(2);
  const sizes = [dims(x).slice(2), dims(dY).slice(2), kernel];
  const attributes = { strides, dilations, group };
  const pads = [...begins, ...ends];
  if (sizes.every(isStatic)) {
    const [from, to, k] = sizes as (readonly number[])[];
    const output_padding = strides.map((stride, i) => {
      const covered = stride * (to![i]! - 1) + dilations[i]! * (k![i]! - 1) + 1;
      return from![i]! - covered + begins[i]! + ends[i]!;
    });
    return known(
      b,
      b.op('ConvTranspose', [dY, w], { ...attributes, pads, output_padding }),
      x,
      dims(x),
    );
  }
  if (strides.every((stride) => stride === 1)) {
    return known(b, b.op('ConvTranspose', [dY, w], { ...attributes, pads }), x, dims(x));
  }
  // Without end padding: what it would cut off may lie inside the input when steps leave a rest.
  const made = b.op('ConvTranspose', [dY, w], {
    ...attributes,
    pads: pads.map((count, i) => (i < strides.length ? count : 0)),
  });
  const open = b.adopt({
    ...made,
    dtype: x.dtype,
    shape: [...dims(x).slice(0, 2), ...kernel.map(b.fresh)],
  });
  const none = strides.map((): Size => 0);
  const rest = strides.map((_, i) =>
    combine(b, 'Sub', sizeAt(b, x, i + 2), sizeAt(b, open, i + 2)),
  );
  return known(b, pad(b, open, 2, none, rest), x, dims(x));
}
