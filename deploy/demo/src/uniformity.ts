/**
 * Pearson's statistic of byte values against the uniform distribution over 256 values. With 255
 * degrees of freedom a uniform source exceeds 377.1 with probability 10⁻⁶ (Wilson and Hilferty 1931).
 */
export function chiSquareOfBytes(parts: Iterable<Uint8Array>): number {
  const counts = new Float64Array(256);
  let total = 0;
  for (const part of parts) {
    total += part.length;
    for (const byte of part) counts[byte]! += 1;
  }
  if (total === 0) return NaN;
  const expected = total / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
