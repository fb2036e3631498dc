import { MedleyError } from '@medley/kit';

/** Far above the subnormal singles, whose coarse rounding could not be scaled below a bound. */
const SMALLEST_BOUND = 1e-30;

/** Where a named tensor stands in a flat update; spans are for messages only and need not cover it. */
export interface TensorSpan {
  readonly name: string;
  /** First coordinate. */
  readonly offset: number;
  readonly length: number;
}

/** What clipping did. */
export interface ClipReport {
  /** L2 norm before. Reveals something about the data: keep it at the site. */
  readonly normL2: number;
  /** What every coordinate was multiplied with, in (0, 1]. */
  readonly factor: number;
}

/**
 * Scales `update` in place to an L2 norm of at most `clipNormL2`: x · min(1, C/‖x‖) (Abadi et al.
 * 2016, algorithm 1). The bound holds for the rounded result too, computed in double precision, so
 * that it can serve as a sensitivity.
 *
 * Throws UPDATE_NOT_FINITE naming the tensor and coordinate of the first NaN or infinity (the update
 * is unchanged then), CLIP_INVALID for a bound below 1e-30 or not finite, or a span outside.
 */
export function clipL2(
  update: Float32Array | Float64Array,
  clipNormL2: number,
  spans: readonly TensorSpan[] = [],
): ClipReport {
  if (!Number.isFinite(clipNormL2) || clipNormL2 < SMALLEST_BOUND) {
    throw new MedleyError('CLIP_INVALID', 'the clipping norm must be positive and finite');
  }
  checkFinite(update, spans);
  const before = normL2(update);
  if (before <= clipNormL2) return { normL2: before, factor: 1 };
  // ‖x‖ may round to infinity although every coordinate is finite; then clip in two steps.
  const first = Number.isFinite(before) ? 1 : 1 / largest(update);
  if (first !== 1) scale(update, first);
  let factor = Math.min(1, clipNormL2 / normL2(update));
  scale(update, factor);
  // Rounding can leave the norm a few units in the last place above the bound.
  const shrink = 1 - (update instanceof Float32Array ? 2 ** -22 : 2 ** -50);
  while (normL2(update) > clipNormL2) {
    scale(update, shrink);
    factor *= shrink;
  }
  return { normL2: before, factor: factor * first };
}

/** ‖values‖₂ in double precision, safe from overflow and underflow of the squares. */
export function normL2(values: Float32Array | Float64Array): number {
  const top = largest(values);
  if (top === 0 || !Number.isFinite(top)) return top;
  let sum = 0;
  for (const value of values) sum += (value / top) ** 2;
  return top * Math.sqrt(sum);
}

/**
 * Refuses an update with a NaN or an infinity: UPDATE_NOT_FINITE naming tensor and coordinate.
 * Throws CLIP_INVALID for a span that does not lie inside the update.
 */
export function checkFinite(
  update: Float32Array | Float64Array,
  spans: readonly TensorSpan[] = [],
): void {
  for (const { name, offset, length } of spans) {
    const inside =
      Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0;
    if (!inside || offset + length > update.length) {
      throw new MedleyError('CLIP_INVALID', `tensor ${name} does not lie inside the update`);
    }
  }
  const at = update.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  const span = spans.find(({ offset, length }) => at >= offset && at < offset + length);
  const where =
    span === undefined
      ? `coordinate ${at} of ${update.length}`
      : `tensor ${span.name}, element ${at - span.offset} of ${span.length} (coordinates ${span.offset} to ${span.offset + span.length - 1})`;
  throw new MedleyError('UPDATE_NOT_FINITE', where);
}

function largest(values: Float32Array | Float64Array): number {
  let top = 0;
  for (const value of values) top = Math.max(top, Math.abs(value));
  return top;
}

function scale(values: Float32Array | Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}
