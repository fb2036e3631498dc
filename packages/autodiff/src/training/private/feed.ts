import { MedleyError } from '@medley/kit';
import type { RuntimeTensor } from '../../session.ts';
import type { TrainingManifest } from '../manifest.ts';

/**
 * The noise of `steps` updates as the graphs take it; nothing where gradients are not clipped by
 * example. Throws TRAINING_PRIVACY_NOISE when it is missing, of another length, or given in vain: noise
 * that is not added must never be taken for noise that is.
 */
export function noiseFeed(
  manifest: TrainingManifest,
  noise: Float32Array | undefined,
  steps?: number,
): Readonly<Record<string, RuntimeTensor>> {
  if (manifest.privacy === undefined) {
    if (noise === undefined) return {};
    throw new MedleyError('TRAINING_PRIVACY_NOISE', 'this training adds no noise');
  }
  const wanted = (steps ?? 1) * manifest.trainableCount;
  if (noise?.length !== wanted) {
    const has = noise === undefined ? 'no' : `${noise.length} numbers of`;
    throw new MedleyError('TRAINING_PRIVACY_NOISE', `${has} noise given, ${wanted} wanted`);
  }
  const dims = steps === undefined ? [wanted] : [steps, manifest.trainableCount];
  return { noise: { dtype: 'float32', dims, data: noise } };
}

/** Throws TRAINING_OPTIONS_INVALID for a clip norm or lot size that is not above 0. */
export function checkPrivacy(
  manifest: TrainingManifest,
  numbers: Readonly<Record<string, number>>,
): void {
  if (manifest.privacy === undefined) return;
  for (const name of ['clip_norm', 'lot_size']) {
    if (!((numbers[name] ?? 0) > 0))
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `${name} must be above 0`);
  }
}
