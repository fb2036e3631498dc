import { decodeModel } from '../file/codec.ts';
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
    // A layer that is called twice counts twice.
    const isCounted = Number(batches) > 0 && Number(batches) % golden.steps === 0;
    if (role === 'buffer' && isCounted)
      start.fill(name.endsWith('running_var') ? 1 : 0, offset, offset + count);
  }
  return start;
}

/**
 * Names that the recording did not train although a gradient reaches them: tables of the module that are
 * no parameters, and parameters without a recorded gradient where others have one.
 */
export function untrained(golden: GoldenCase, manifest: TrainingManifest): readonly string[] {
  const hasGradient = (name: string): boolean => golden.tensor(`grad0/${name}`) !== undefined;
  const isRecorded = golden.parameters.some(hasGradient);
  return manifest.parameters
    .filter(({ name, role }) => role === 'trainable' && !hasGradient(name))
    .map(({ name }) => name)
    .filter(
      (name) => golden.buffers.includes(name) || (isRecorded && golden.parameters.includes(name)),
    );
}

/** How far elements may be apart whose gradient is noise, here and in the recording. */
function noiseAllowance({ optimizer, hyperparameters, steps }: GoldenCase, reach: Float32Array) {
  const rate = Number(hyperparameters['lr']);
  // RMSprop's first steps are longer than the rate, for its mean square begins at 0 uncorrected.
  const rush =
    optimizer === 'rmsprop' ? 1 / Math.sqrt(1 - Number(hyperparameters['alpha'] ?? 0.99)) : 1;
  return {
    grad0: 2 * NOISE * largest(reach),
    final: optimizer === 'sgd' ? 0 : 2 * rate * rush * steps,
  } as const;
}

/** By running mean: the bias just before its normalisation, which moves the mean and nothing else. */
function biasesBefore({ model }: GoldenCase): ReadonlyMap<string, readonly string[]> {
  const nodes = decodeModel(model).graph?.node ?? [];
  const makers = new Map(nodes.flatMap((node) => (node.output ?? []).map((name) => [name, node])));
  const norms = nodes.filter(({ opType }) => opType === 'BatchNormalization');
  return new Map(
    norms.map(({ input }) => [input?.[3] ?? '', makers.get(input?.[0] ?? '')?.input ?? []]),
  );
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
  const before = biasesBefore(golden);
  const places = new Map(manifest.parameters.map((parameter) => [parameter.name, parameter]));
  const isNoise = (name: string, i: number): boolean => {
    const { offset, role } = places.get(name)!;
    const slope = golden.tensor(`grad0/${name}`)?.data[i] ?? 0;
    return role !== 'buffer' && reach[offset + i]! < floor && Math.abs(Number(slope)) < floor;
  };
  let worst = 0;
  for (const { name, offset, count } of manifest.parameters) {
    const expected = golden.tensor(`${kind}/${name}`)?.data;
    if (!(expected instanceof Float32Array)) continue;
    const sources = [
      name,
      ...(before.get(name) ?? []).filter((b) => places.get(b)?.count === count),
    ];
    const magnitude = largest(expected) || 1;
    for (let i = 0; i < count; i++) {
      const error = Math.abs(flat[offset + i]! - expected[i]!);
      worst = Math.max(
        worst,
        (sources.some((source) => isNoise(source, i)) ? error - allowance : error) / magnitude,
      );
    }
  }
  return worst;
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
