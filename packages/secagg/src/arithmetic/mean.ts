import { MedleyError } from '@medley/kit';

/**
 * The weighted mean Σwx / Σw from what a round reveals: `decodedUpdate` is Σ(w/cap)·x, `weightSum`
 * is Σw. Uses one multiplication and one division of IEEE doubles per coordinate, so that every
 * party gets the same bits. Throws SECAGG_WEIGHT_INVALID when Σw or the cap is not positive.
 */
export function weightedMean(
  decodedUpdate: Float64Array,
  weightSum: number,
  weightCap: number,
): Float64Array {
  if (
    !Number.isFinite(weightSum) ||
    weightSum <= 0 ||
    !Number.isFinite(weightCap) ||
    weightCap <= 0
  ) {
    throw new MedleyError('SECAGG_WEIGHT_INVALID', 'weight sum and weight cap must be positive');
  }
  return decodedUpdate.map((sum) => (sum * weightCap) / weightSum);
}

/**
 * The parameters after a round: each parameter plus its {@link weightedMean}, added in double
 * precision and rounded once to single. A new array; bit-deterministic.
 * Throws SECAGG_LENGTH, SECAGG_WEIGHT_INVALID.
 */
export function applyMean(
  parameters: Float32Array,
  decodedUpdate: Float64Array,
  weightSum: number,
  weightCap: number,
): Float32Array {
  if (parameters.length !== decodedUpdate.length) {
    throw new MedleyError(
      'SECAGG_LENGTH',
      `an update of ${decodedUpdate.length} for ${parameters.length} parameters`,
    );
  }
  const mean = weightedMean(decodedUpdate, weightSum, weightCap);
  return parameters.map((parameter, i) => parameter + mean[i]!);
}
