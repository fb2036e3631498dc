/**
 * Discrete Fourier transform in place, decimation in time (Cooley and Tukey 1965). `real` and
 * `imaginary` have the same power of two as length. The inverse is not scaled.
 */
export function transform(real: Float64Array, imaginary: Float64Array, inverse = false): void {
  const size = real.length;
  reverseBits(real, imaginary);
  const turn = ((inverse ? 2 : -2) * Math.PI) / size;
  const cosine = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos(turn * i));
  const sine = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin(turn * i));
  for (let half = 1; half < size; half *= 2) {
    const stride = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const [even, odd] = [start + k, start + k + half];
        const [c, s] = [cosine[k * stride]!, sine[k * stride]!];
        const [x, y] = [real[odd]!, imaginary[odd]!];
        const [u, v] = [x * c - y * s, x * s + y * c];
        real[odd] = real[even]! - u;
        imaginary[odd] = imaginary[even]! - v;
        real[even]! += u;
        imaginary[even]! += v;
      }
    }
  }
}

/** The `times`-fold circular convolution of `masses` with itself, in place; its length a power of two. */
export function convolvePower(masses: Float64Array, times: number): void {
  const imaginary = new Float64Array(masses.length);
  transform(masses, imaginary);
  for (let i = 0; i < masses.length; i++) {
    const [x, y] = [masses[i]!, imaginary[i]!];
    const length = Math.hypot(x, y) ** times;
    const angle = Math.atan2(y, x) * times;
    masses[i] = (length * Math.cos(angle)) / masses.length;
    imaginary[i] = (length * Math.sin(angle)) / masses.length;
  }
  transform(masses, imaginary, true);
}

function reverseBits(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    [real[i], real[j]] = [real[j]!, real[i]!];
    [imaginary[i], imaginary[j]] = [imaginary[j]!, imaginary[i]!];
  }
}
