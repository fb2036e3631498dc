import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';

/**
 * L2 norms from their squares, and the factors min(1, clip / norm) that bring each to `clip` at most
 * (Abadi et al. 2016, algorithm 1). Any shape; `clip` is a float32 scalar above 0, so that nothing is
 * divided by 0.
 */
export function clipFactors(
  b: Builder,
  squares: Value,
  clip: Value,
): { readonly norms: Value; readonly factors: Value } {
  const norms = b.op('Sqrt', [squares]);
  const factors = b.op('Div', [clip, b.op('Max', [norms, clip])]);
  return { norms, factors: b.adopt({ ...factors, shape: squares.shape }) };
}
