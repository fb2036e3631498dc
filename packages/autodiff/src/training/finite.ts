import { MedleyError } from '@medley/kit';
import type { Elements } from '../session.ts';
import type { DataSpec, TrainingManifest } from './manifest.ts';

/** Throws TRAINING_NOT_FINITE naming the first tensor that holds NaN or infinity. */
export function checkFinite(manifest: TrainingManifest, parameters: Float32Array): void {
  const at = firstNotFinite(parameters);
  if (at < 0) return;
  const owner = manifest.parameters.find(
    ({ offset, count }) => at >= offset && at < offset + count,
  );
  throw new MedleyError('TRAINING_NOT_FINITE', `"${owner?.name ?? '?'}" is no longer finite`);
}

/** Throws TRAINING_NOT_FINITE naming the first step whose loss is NaN or infinity. */
export function checkLosses(losses: ArrayLike<number>): void {
  const at = firstNotFinite(losses);
  if (at >= 0) throw new MedleyError('TRAINING_NOT_FINITE', `the loss of step ${at} is not finite`);
}

/** Throws TRAINING_DATA_INVALID naming the first place that holds NaN or infinity, without its row's values. */
export function checkInput({ name }: DataSpec, data: Elements): void {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return;
  const at = firstNotFinite(data);
  if (at >= 0)
    throw new MedleyError('TRAINING_DATA_INVALID', `"${name}" is not finite at element ${at}`);
}

/** Index of the first element that is NaN or infinite, else −1; a plain loop, as it runs after every step. */
function firstNotFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
