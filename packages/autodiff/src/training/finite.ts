import { MedleyError } from '@medley/kit';
import type { TrainingManifest } from './manifest.ts';

/** Throws TRAINING_NOT_FINITE naming the first tensor that holds NaN or infinity. */
export function checkFinite(manifest: TrainingManifest, parameters: Float32Array): void {
  const at = parameters.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const owner = manifest.parameters.find(
    ({ offset, count }) => at >= offset && at < offset + count,
  );
  throw new MedleyError('TRAINING_NOT_FINITE', `"${owner?.name ?? '?'}" is no longer finite`);
}

/** Throws TRAINING_NOT_FINITE naming the first step whose loss is NaN or infinity. */
export function checkLosses(losses: ArrayLike<number>): void {
  const at = Array.prototype.findIndex.call(losses, (loss: number) => !Number.isFinite(loss));
  if (at >= 0) throw new MedleyError('TRAINING_NOT_FINITE', `the loss of step ${at} is not finite`);
}
