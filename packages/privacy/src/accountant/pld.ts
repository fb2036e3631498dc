import { MedleyError } from '@medley/kit';
import { convolvePower } from './fourier.ts';
import { checkDelta, checkEpsilon, checkMechanism, type SampledGaussian } from './mechanism.ts';
import { logAdd, massBetween, normalTails, type Tails } from './normal.ts';

/** Bounds of the width of a grid cell of privacy losses, in nats. */
const [FINEST_CELL, WIDEST_CELL] = [1e-5, 5e-3];
/** Cells per standard deviation of one step's loss: the grid adds less than 0.2 % to its variance. */
const CELLS_PER_DEVIATION = 10;
/** Cells of one composed distribution. */
const MOST_CELLS = 2 ** 20;
/** Mass that truncation may move to an infinite loss, in each of its places. */
const TAIL = 1e-12;
/** Below this the rounding of the transform would show. */
const LEAST_DELTA = 1e-9;

/** Removing a record from the data, or adding one: the two directions of neighbouring. */
type Direction = 'remove' | 'add';

/** Masses at losses (first + i)·cell, and the mass at an infinite loss. */
interface LossDistribution {
  readonly cell: number;
  readonly first: number;
  readonly masses: Float64Array;
  readonly infinite: number;
}

/**
 * δ(ε) of the composed mechanism from its privacy loss distribution, an upper bound.
 *
 * The losses are moved to a grid so that the hockey-stick divergence is exact at the grid points and
 * never too small between them ("connect the dots": Doroshenko et al. 2022), convolved by Fourier
 * transform (Koskela et al. 2020), and what is cut off counts as an infinite loss. The worse of
 * adding and removing a record is taken. Takes seconds for thousands of steps.
 *
 * Throws PRIVACY_PARAMETERS_INVALID.
 */
export function deltaFromLosses(mechanism: SampledGaussian, epsilon: number): number {
  checkEpsilon(epsilon);
  return Math.max(...composed(mechanism).map((losses) => hockeyStick(losses, epsilon)));
}

/**
 * The smallest ε with δ(ε) ≤ `delta` for {@link deltaFromLosses}. Throws PRIVACY_PARAMETERS_INVALID,
 * also for a delta below 1e-9, which the arithmetic does not resolve.
 */
export function epsilonFromLosses(mechanism: SampledGaussian, delta: number): number {
  checkDelta(delta);
  if (delta < LEAST_DELTA) {
    throw new MedleyError('PRIVACY_PARAMETERS_INVALID', `delta ${delta} is below ${LEAST_DELTA}`);
  }
  return Math.max(...composed(mechanism).map((losses) => leastEpsilon(losses, delta)));
}

function composed(mechanism: SampledGaussian): readonly LossDistribution[] {
  checkMechanism(mechanism);
  const { rate, noiseMultiplier, steps } = mechanism;
  if (rate === 0 || steps === 0) return [atZero(0)];
  if (noiseMultiplier === 0) return [atZero(1 - (1 - rate) ** steps)];
  return (['remove', 'add'] as const).map((direction) => compose(mechanism, direction));
}

function atZero(infinite: number): LossDistribution {
  return { cell: FINEST_CELL, first: 0, masses: Float64Array.of(1 - infinite), infinite };
}

/** Where the loss ln(1 − q + q·exp((2x − 1)/2σ²)) is `loss`; −∞ below its infimum ln(1 − q). */
function outcomeAt(rate: number, sigma: number, loss: number): number {
  const excess = rate === 1 ? Math.exp(loss) : Math.expm1(loss) + rate;
  return excess <= 0 ? -Infinity : 0.5 + sigma ** 2 * Math.log(excess / rate);
}

/** Loss of an outcome when a record is removed: the density with the record over that without. */
function lossAt(rate: number, sigma: number, x: number): number {
  return logAdd(Math.log1p(-rate), Math.log(rate) + (2 * x - 1) / (2 * sigma ** 2));
}

/** One step's losses on the grid. */
function singleStep(
  { rate, noiseMultiplier: sigma }: SampledGaussian,
  direction: Direction,
  cell: number,
): LossDistribution {
  const isRemove = direction === 'remove';
  const reach = 8 * sigma;
  const [low, high] = [lossAt(rate, sigma, -reach), lossAt(rate, sigma, 1 + reach)];
  const [from, to] = isRemove ? [low, high] : [-high, -low];
  const first = Math.floor(from / cell);
  const count = Math.ceil(to / cell) - first + 1;
  const grid = new Float64Array(count);
  // Tails at an edge of a cell of the noise alone and of the noise around 1.
  const edge = (at: number): readonly [Tails, Tails] => {
    const loss = (first + at) * cell;
    const x = outcomeAt(rate, sigma, isRemove ? loss : -loss);
    return [normalTails(x / sigma), normalTails((x - 1) / sigma)];
  };
  let left = edge(0);
  for (let i = 0; i + 1 < count; i++) {
    const right = edge(i + 1);
    const [a, b] = isRemove ? [left, right] : [right, left];
    const without = massBetween(a[0], b[0]);
    const withIt = massBetween(a[1], b[1]);
    const mixed = (1 - rate) * without + rate * withIt;
    const [p, q] = isRemove ? [mixed, without] : [without, mixed];
    // The share at the right end that keeps both masses of the cell.
    const share = (p - q * Math.exp((first + i) * cell)) / -Math.expm1(-cell);
    const upper = Math.min(Math.max(share, 0), p);
    grid[i]! += p - upper;
    grid[i + 1]! += upper;
    left = right;
  }
  const kept = grid.reduce((sum, mass) => sum + mass, 0);
  return { cell, first, masses: grid, infinite: Math.max(0, 1 - kept) };
}

function cellFor({ rate, noiseMultiplier }: SampledGaussian): number {
  const deviation = rate * Math.sqrt(Math.expm1(Math.min(1, noiseMultiplier ** -2)));
  return Math.min(Math.max(deviation / CELLS_PER_DEVIATION, FINEST_CELL), WIDEST_CELL);
}

function compose(mechanism: SampledGaussian, direction: Direction): LossDistribution {
  const { steps } = mechanism;
  let cell = cellFor(mechanism);
  for (;;) {
    const single = singleStep(mechanism, direction, cell);
    const [low, high] = range(single, steps);
    const count = high - low + 1;
    if (count > MOST_CELLS || single.masses.length > MOST_CELLS) {
      cell *= 2;
      continue;
    }
    const size = 2 ** Math.ceil(Math.log2(Math.max(2, count)));
    const ring = new Float64Array(size);
    single.masses.forEach((mass, i) => (ring[modulo(single.first + i, size)]! += mass));
    convolvePower(ring, steps);
    const sums = Float64Array.from({ length: count }, (_, i) =>
      Math.max(0, ring[modulo(low + i, size)]!),
    );
    const infinite = -Math.expm1(steps * Math.log1p(-single.infinite)) + 2 * TAIL;
    return { cell, first: low, masses: sums, infinite };
  }
}

/** Grid indices between which all but 2·TAIL of the sum of `steps` losses lies (Chernoff). */
function range(single: LossDistribution, steps: number): readonly [number, number] {
  const { masses: mass, first, cell } = single;
  const bound = (sign: 1 | -1): number => {
    let best = Infinity;
    for (let power = -3; power <= 12; power += 0.5) {
      const lambda = 2 ** power;
      let moment = 0;
      const peak = sign === 1 ? (first + mass.length - 1) * cell : -first * cell;
      for (let i = 0; i < mass.length; i++)
        moment += mass[i]! * Math.exp(lambda * (sign * (first + i) * cell - peak));
      const log = steps * (Math.log(moment) + lambda * peak);
      best = Math.min(best, (log - Math.log(TAIL)) / lambda);
    }
    return Math.ceil(Math.min(best / cell, steps * Math.abs(peakIndex(single, sign))));
  };
  return [-bound(-1), bound(1)];
}

function peakIndex({ first, masses: mass }: LossDistribution, sign: 1 | -1): number {
  return sign === 1 ? Math.max(0, first + mass.length - 1) : Math.min(0, first);
}

const modulo = (index: number, size: number): number => ((index % size) + size) % size;

function hockeyStick({ cell, first, masses: mass, infinite }: LossDistribution, epsilon: number) {
  let delta = infinite;
  for (let i = mass.length - 1; i >= 0; i--) {
    const loss = (first + i) * cell;
    if (loss <= epsilon) break;
    delta -= Math.expm1(epsilon - loss) * mass[i]!;
  }
  return Math.min(1, delta);
}

/** Solves δ(ε) = delta in the cell where it is crossed: δ = tail − e^ε·weighted there. */
function leastEpsilon(losses: LossDistribution, delta: number): number {
  const { cell, first, masses: mass, infinite } = losses;
  if (infinite > delta) return Infinity;
  let tail = infinite;
  let weighted = 0;
  for (let i = mass.length - 1; i >= 0; i--) {
    const loss = (first + i) * cell;
    const crossing = weighted > 0 ? Math.log((tail - delta) / weighted) : -Infinity;
    if (tail > delta && crossing >= loss) return Math.max(0, crossing);
    if (loss <= 0) break;
    tail += mass[i]!;
    weighted += mass[i]! * Math.exp(-loss);
  }
  return tail > delta && weighted > 0 ? Math.max(0, Math.log((tail - delta) / weighted)) : 0;
}
