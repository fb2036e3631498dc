import { MedleyError, type Rng } from '@medley/kit';
import { layoutLength, type Slot, type VectorLayout } from '../session.ts';
import { requireLittleEndian } from './ring.ts';

/** Draws taken from the generator at a time: 64 KiB. */
const CHUNK = 16_384;

/** Δ: what one unit of the integer stands for. Exactly 1 when bound = 2^(bits−1) − 1. */
export function slotStep(slot: Slot): number {
  return slot.bound / (2 ** (slot.bits - 1) - 1);
}

/**
 * The ring vector of one silo: each coordinate clamped to ±bound and rounded stochastically,
 * z = ⌊x/Δ + U⌋ with U uniform in [0, 1), so that E[zΔ] = x (bias below 2^−32 Δ). Negative z stand
 * as two's complement. Where Δ = 1, integers are kept exactly.
 *
 * @param rng must be cryptographic outside tests; 4 bytes per coordinate are drawn, in bulk.
 * Throws SECAGG_NOT_FINITE naming slot and coordinate, SECAGG_LENGTH for a slot that is missing,
 * unknown or of another length.
 */
export function encodeVector(
  layout: VectorLayout,
  values: Readonly<Record<string, Float64Array | Float32Array>>,
  rng: Rng,
): Uint32Array {
  requireLittleEndian();
  for (const name of Object.keys(values)) {
    if (!layout.some((slot) => slot.name === name)) {
      throw new MedleyError('SECAGG_LENGTH', `the layout has no slot ${JSON.stringify(name)}`);
    }
  }
  const encoded = new Uint32Array(layoutLength(layout));
  let offset = 0;
  for (const slot of layout) {
    const given = Object.hasOwn(values, slot.name) ? values[slot.name] : undefined;
    if (given?.length !== slot.length) {
      throw new MedleyError(
        'SECAGG_LENGTH',
        `slot ${slot.name}: ${given?.length ?? 'no'} values for ${slot.length} coordinates`,
      );
    }
    encodeSlot(slot, given, encoded.subarray(offset, offset + slot.length), rng);
    offset += slot.length;
  }
  return encoded;
}

function encodeSlot(
  slot: Slot,
  values: Float64Array | Float32Array,
  out: Uint32Array,
  rng: Rng,
): void {
  const step = slotStep(slot);
  const top = 2 ** (slot.bits - 1) - 1;
  for (let start = 0; start < values.length; start += CHUNK) {
    const end = Math.min(start + CHUNK, values.length);
    const draws = drawWords(rng, end - start);
    for (let i = start; i < end; i++) {
      const x = values[i]!;
      // NaN fails every comparison.
      if (!(Math.abs(x) <= Number.MAX_VALUE)) {
        throw new MedleyError('SECAGG_NOT_FINITE', `slot ${slot.name}, coordinate ${i}`);
      }
      // Clamping x/Δ to ±top is clamping x to ±bound, and also absorbs the rounding of the division.
      const ratio = x / step;
      const scaled = ratio > top ? top : ratio < -top ? -top : ratio;
      const whole = Math.floor(scaled);
      // ⌊scaled + U⌋ without the sum, which would round in double precision for wide slots.
      const up = draws[i - start]! < (scaled - whole) * 2 ** 32 ? 1 : 0;
      out[i] = whole + up;
    }
  }
}

function drawWords(rng: Rng, n: number): Uint32Array {
  const bytes = rng.bytes(4 * n);
  if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, n);
  return new Uint32Array(new Uint8Array(bytes).buffer, 0, n);
}

/**
 * The real sums behind a ring sum, by slot name: each word read as a signed integer times Δ. Cannot
 * wrap when {@link checkTerms} passed: |Σz| < n·2^(b−1) < 2^31. Throws SECAGG_LENGTH.
 */
export function decodeSum(layout: VectorLayout, sum: Uint32Array): Record<string, Float64Array> {
  if (sum.length !== layoutLength(layout)) {
    throw new MedleyError(
      'SECAGG_LENGTH',
      `${sum.length} words for ${layoutLength(layout)} coordinates`,
    );
  }
  let offset = 0;
  return Object.fromEntries(
    layout.map((slot) => {
      const step = slotStep(slot);
      const decoded = new Float64Array(slot.length);
      for (let i = 0; i < slot.length; i++) decoded[i] = (sum[offset + i]! | 0) * step;
      offset += slot.length;
      return [slot.name, decoded];
    }),
  );
}
