import { MedleyError, type Rng } from '@medley/kit';
import { skellamNoise } from '@medley/privacy';
import { encodeVector, type VectorLayout } from '@medley/secagg';
import { quantisedNorm, type Charter, type SlotValues } from '@medley/study';

/** Roundings that are tried; each fits with a probability of 0.39 at least (Kairouz et al. 2021). */
const TRIES = 200;

/**
 * The ring vector of a private study's round. With privacy of level silo its update carries this
 * silo's part of the Skellam noise, added to the integers: their norm is bounded first, by rounding
 * again until it is within what the noise was calibrated to. `rng` must be cryptographic. Throws as
 * `encodeVector` does.
 */
export function noisedVector(
  charter: Charter,
  layout: VectorLayout,
  values: SlotValues,
  rng: Rng,
): Uint32Array {
  const { privacy } = charter;
  const update = layout[0];
  if (privacy?.level !== 'silo' || update?.name !== 'update')
    return encodeVector(layout, values, rng);
  const { normL2 } = quantisedNorm(charter);
  for (let left = TRIES; left > 0; left--) {
    const encoded = encodeVector(layout, values, rng);
    if (normOf(encoded.subarray(0, update.length)) > normL2) continue;
    const noise = skellamNoise(privacy.variance, update.length, rng);
    for (let i = 0; i < noise.length; i++) encoded[i]! += noise[i]!;
    return encoded;
  }
  throw new MedleyError('STUDY_VALUES_INVALID', 'the update is longer than its clip norm');
}

function normOf(words: Uint32Array): number {
  let sum = 0;
  for (const word of words) sum += (word | 0) ** 2;
  return Math.sqrt(sum);
}
