import { MedleyError, type Rng } from '@medley/kit';

/** Numbers drawn at once; 32 bytes each. */
const BLOCK = 4096;

/**
 * `n` independent draws of N(0, σ²) in float32, owned by the caller; `stdDev` σ from 0.
 *
 * Each is half the sum of four standard normal draws by Box and Muller (1958) on uniforms of 53 random
 * bits. Floating-point samplers have gaps in the low bits that can give a sum away (Mironov 2012); with
 * one draw the gaps can be searched, with four the search is out of reach (Holohan and Braghin 2021,
 * section 5). What remains is a float32 sample, not an exact one: where that is too little, use the
 * discrete Gaussian. The rng must be cryptographic: kit's `systemRng` outside tests. Not constant-time.
 *
 * Throws TRAINING_OPTIONS_INVALID for a σ that is negative or not finite.
 */
export function gaussianNoise(rng: Rng, n: number, stdDev: number): Float32Array {
  if (!(stdDev >= 0 && stdDev < Infinity))
    throw new MedleyError('TRAINING_OPTIONS_INVALID', 'the deviation of the noise must be from 0');
  const noise = new Float32Array(n);
  for (let start = 0; start < n; start += BLOCK) {
    const count = Math.min(BLOCK, n - start);
    const u = uniforms(rng, 4 * count);
    for (let i = 0; i < count; i++) {
      const sum = pairSum(u[4 * i]!, u[4 * i + 1]!) + pairSum(u[4 * i + 2]!, u[4 * i + 3]!);
      noise[start + i] = (stdDev * sum) / 2;
    }
  }
  return noise;
}

/** The sum of the two normal draws that Box and Muller give for uniforms in [0, 1). */
function pairSum(first: number, second: number): number {
  // 1 − u is in (0, 1], so that the logarithm is finite.
  const radius = Math.sqrt(-2 * Math.log(1 - first));
  const angle = 2 * Math.PI * second;
  return radius * (Math.cos(angle) + Math.sin(angle));
}

/** `n` uniform reals in [0, 1) with 53 random bits each. */
export function uniforms(rng: Rng, n: number): Float64Array {
  const bytes = rng.bytes(8 * n);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const high = view.getUint32(8 * i, true) >>> 5;
    const low = view.getUint32(8 * i + 4, true) >>> 6;
    found[i] = (high * 2 ** 26 + low) / 2 ** 53;
  }
  return found;
}
