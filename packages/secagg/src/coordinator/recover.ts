import { equalBytes } from '@medley/kit';
import { combine, lagrangeAt, lagrangeAtZero } from '../arithmetic/shamir.ts';

/** A released share of one secret, by the index of the silo that released it. */
export interface Helper {
  readonly index: number;
  readonly share: Uint8Array;
}

/** Lagrange coefficients at zero of a helper set. */
export type Coefficients = (indices: readonly number[]) => readonly bigint[];

/** {@link lagrangeAtZero}, computed once for each helper set: most secrets share one set. */
export function rememberedCoefficients(): Coefficients {
  const known = new Map<string, readonly bigint[]>();
  return (indices) => {
    const key = indices.join();
    const coefficients = known.get(key) ?? lagrangeAtZero(indices);
    known.set(key, coefficients);
    return coefficients;
  };
}

/** Sets of helpers tried before giving up: bounds the work that wrong shares can cause. */
const MOST_TRIES = 4_096;

/**
 * The secret behind `helpers` that `fits`, and the helpers whose shares are not on its polynomial.
 * Tries the first `threshold` helpers, then runs of neighbours (which steps around one wrong share
 * at once), then all other sets in order. Undefined when none fits.
 */
export function recoverSecret(
  helpers: readonly Helper[],
  threshold: number,
  coefficients: Coefficients,
  fits: (secret: Uint8Array) => boolean,
): { readonly secret: Uint8Array; readonly wrong: readonly number[] } | undefined {
  if (helpers.length < threshold) return undefined;
  let tries = 0;
  for (const chosen of helperSets(helpers, threshold)) {
    const secret = combine(
      coefficients(chosen.map((helper) => helper.index)),
      chosen.map((helper) => helper.share),
    );
    if (fits(secret)) {
      // The first set that is tried is right in every honest run: nobody to blame, nothing to check.
      return { secret, wrong: tries === 0 ? [] : strayed(helpers, chosen) };
    }
    tries += 1;
    if (tries >= MOST_TRIES) return undefined;
  }
  return undefined;
}

function strayed(helpers: readonly Helper[], good: readonly Helper[]): readonly number[] {
  const indices = good.map((helper) => helper.index);
  const shares = good.map((helper) => helper.share);
  return helpers
    .filter((helper) => !good.includes(helper))
    .filter(({ index, share }) => !equalBytes(share, combine(lagrangeAt(indices, index), shares)))
    .map((helper) => helper.index);
}

function* helperSets(helpers: readonly Helper[], size: number): Generator<readonly Helper[]> {
  const twice = [...helpers, ...helpers];
  const runs = helpers.length === size ? 1 : helpers.length;
  for (let start = 0; start < runs; start++) yield twice.slice(start, start + size);
  yield* combinations(helpers, size);
}

function* combinations(helpers: readonly Helper[], size: number): Generator<readonly Helper[]> {
  const at = Array.from({ length: size }, (_, i) => i);
  for (;;) {
    yield at.map((i) => helpers[i]!);
    let slot = size - 1;
    while (slot >= 0 && at[slot] === helpers.length - size + slot) slot -= 1;
    if (slot < 0) return;
    at[slot]! += 1;
    for (let i = slot + 1; i < size; i++) at[i] = at[i - 1]! + 1;
  }
}
