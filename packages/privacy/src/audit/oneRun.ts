import { MedleyError } from '@medley/kit';
import { checkDelta } from '../accountant/mechanism.ts';

/** What an auditor guessed about canaries that each were in the data with probability ½, by themselves. */
export interface CanaryGuesses {
  /** m: canaries that might have been in. */
  readonly canaries: number;
  /** r: those about which a guess was made, at most m. */
  readonly guesses: number;
  /** v: guesses that were right. */
  readonly correct: number;
}

/**
 * The largest ε that one training run refutes: were the mechanism (ε, δ)-differentially private, so many
 * right guesses would come with a probability below `falseAlarm` (Steinke, Nasr, Jagielski 2023,
 * "Privacy auditing with one (1) training run", theorem 5.2). 0 when nothing is refuted. A claim below
 * it is false but for that chance; a claim above it is not proven.
 *
 * Throws PRIVACY_PARAMETERS_INVALID.
 */
export function epsilonLowerBound(
  guesses: CanaryGuesses,
  { delta, falseAlarm = 0.05 }: { readonly delta: number; readonly falseAlarm?: number },
): number {
  const { canaries, guesses: r, correct } = guesses;
  checkDelta(delta);
  const isWhole = [canaries, r, correct].every(Number.isSafeInteger);
  if (
    !isWhole ||
    correct < 0 ||
    correct > r ||
    r > canaries ||
    !(falseAlarm > 0 && falseAlarm < 1)
  ) {
    throw new MedleyError(
      'PRIVACY_PARAMETERS_INVALID',
      `${correct} of ${r} guesses about ${canaries} canaries, false alarm ${falseAlarm}`,
    );
  }
  const isRefuted = (epsilon: number): boolean => chanceOf(guesses, epsilon, delta) < falseAlarm;
  if (r === 0 || !isRefuted(0)) return 0;
  let [low, high] = [0, 1];
  while (isRefuted(high) && high < 64) [low, high] = [high, 2 * high];
  while (high - low > 1e-6) {
    const middle = (low + high) / 2;
    if (isRefuted(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Bound of the chance of v or more right guesses: a binomial tail and what δ may add to it. */
function chanceOf(
  { canaries, guesses: r, correct: v }: CanaryGuesses,
  epsilon: number,
  delta: number,
): number {
  const right = 1 / (1 + Math.exp(-epsilon));
  const probability = binomial(r, right);
  let tail = 0;
  for (let k = v; k <= r; k++) tail += probability[k]!;
  let [below, worst] = [0, 0];
  for (let i = 1; i <= v; i++) {
    below += probability[v - i]!;
    worst = Math.max(worst, below / i);
  }
  return Math.min(1, tail + 2 * canaries * delta * worst);
}

/** Probabilities of 0…n successes, in log space by recurrence. */
function binomial(n: number, success: number): Float64Array {
  const odds = Math.log(success) - Math.log1p(-success);
  let log = n * Math.log1p(-success);
  return Float64Array.from({ length: n + 1 }, (_, k) => {
    if (k > 0) log += Math.log((n - k + 1) / k) + odds;
    return Math.exp(log);
  });
}
