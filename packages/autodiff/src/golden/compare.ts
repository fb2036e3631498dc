import type { TrainingManifest } from '../training/manifest.ts';
import type { GoldenCase } from './case.ts';

/**
 * Share of the largest gradient of a training below which a gradient is taken for rounding noise.
 * Where calculus gives exactly 0 (the bias of attention keys, a bias before a normalisation), float32
 * leaves about 1e-8 of it, in every engine another. Adam and its kin divide by the root of the square
 * and so walk at random there, by at most the learning rate in a step.
 */
const NOISE = 1e-6;

/** Largest magnitude of each element's gradient over a training. */
export function reachOf(gradients: readonly Float32Array[]): Float32Array {
  const reach = new Float32Array(gradients[0]?.length ?? 0);
  for (const gradient of gradients)
    gradient.forEach((value, i) => (reach[i] = Math.max(reach[i]!, Math.abs(value))));
  return reach;
}

/** How many elements never had more than noise for a gradient. */
export function noiseCount(reach: Float32Array): number {
  const floor = NOISE * largest(reach);
  return reach.filter((value) => value < floor).length;
}

/**
 * The weights the recording began with. The exporter's trial run has moved the running statistics in
 * the file; where the recorded counter of batches says that each step was counted and nothing before,
 * the recording began with fresh ones: mean 0, variance 1.
 */
export function recordedStart(
  golden: GoldenCase,
  manifest: TrainingManifest,
  initial: Float32Array,
): Float32Array {
  const start = initial.slice();
  for (const { name, role, offset, count } of manifest.parameters) {
    const owner = name.slice(0, name.lastIndexOf('.'));
    const batches = golden.tensor(`final/${owner}.num_batches_tracked`)?.data[0];
    if (role === 'buffer' && Number(batches) === golden.steps)
      start.fill(name.endsWith('running_var') ? 1 : 0, offset, offset + count);
  }
  return start;
}

/** How far elements may be apart whose gradient is noise, here and in the recording. */
function noiseAllowance(golden: GoldenCase, reach: Float32Array) {
  const walks = golden.optimizer !== 'sgd';
  const rate = Number(golden.hyperparameters['lr']);
  return {
    grad0: 2 * NOISE * largest(reach),
    final: walks ? 2 * rate * golden.steps : 0,
  } as const;
}

/**
 * Largest error of a recorded kind of tensor (`grad0`, `final`), relative to the tensor's largest
 * magnitude, beyond {@link noiseAllowance} where the gradient is noise.
 */
export function tensorError(
  golden: GoldenCase,
  manifest: TrainingManifest,
  kind: 'grad0' | 'final',
  flat: Float32Array,
  reach: Float32Array,
): number {
  const floor = NOISE * largest(reach);
  const allowance = noiseAllowance(golden, reach)[kind];
  let worst = 0;
  for (const { name, offset, count } of manifest.parameters) {
    const expected = golden.tensor(`${kind}/${name}`)?.data;
    if (!(expected instanceof Float32Array)) continue;
    const slopes = golden.tensor(`grad0/${name}`)?.data;
    const magnitude = largest(expected) || 1;
    for (let i = 0; i < count; i++) {
      const isNoise = reach[offset + i]! < floor && Math.abs(Number(slopes?.[i] ?? 0)) < floor;
      const error = Math.abs(flat[offset + i]! - expected[i]!);
      worst = Math.max(worst, (isNoise ? error - allowance : error) / magnitude);
    }
  }
  return worst;
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
