import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { composeRdp, deltaFromRdp, epsilonFromRdp, logMoment, ORDERS, rdpOf } from './rdp.ts';
import { noiseFor } from './calibrate.ts';

const relative = (found: number, expected: number): number => Math.abs(found / expected - 1);

/** ln A(α) by the trapezoidal rule on the integrand, which falls off like a normal density. */
function quadrature(rate: number, sigma: number, order: number): number {
  const log = (x: number): number => {
    const exponent = (2 * x - 1) / (2 * sigma ** 2);
    const ratio =
      exponent > 30
        ? exponent + Math.log(rate + (1 - rate) * Math.exp(-exponent))
        : Math.log1p(rate * Math.expm1(exponent));
    return order * ratio - x ** 2 / (2 * sigma ** 2) - 0.5 * Math.log(2 * Math.PI * sigma ** 2);
  };
  const [from, to, count] = [-14 * sigma, order + 14 * sigma, 200_000];
  const width = (to - from) / count;
  const values = Float64Array.from({ length: count + 1 }, (_, i) => log(from + i * width));
  const peak = values.reduce((most, value) => Math.max(most, value), -Infinity);
  return peak + Math.log(values.reduce((sum, value) => sum + Math.exp(value - peak), 0) * width);
}

// Figures of the open accountants of Google (dp_accounting, rdp_privacy_accountant_test.py) and of
// Opacus (accountants_test.py).
describe('published figures', () => {
  const curve = (orders: readonly number[]) =>
    rdpOf({ rate: 0.01, noiseMultiplier: 2.5, steps: 50 }, orders);

  test.each([
    [5, 2.18075656e-3],
    [50, 2.38460375e-2],
    [100, 167.416308],
  ])('q = 0.01, σ = 2.5, 50 steps, α = %d', (order, expected) => {
    expect(relative(curve([order])[0]!, expected)).toBeLessThan(1e-6);
  });

  // The published figures sum absolute values of alternating terms: upper bounds of the exact ones.
  test.each([
    [1.5, 6.70579741e-4, 6.50070897e-4],
    [2.5, 1.0854871e-3, 1.08541806e-3],
  ])(
    'q = 0.01, σ = 2.5, 50 steps, α = %d stays under the published bound',
    (order, bound, exact) => {
      expect(curve([order])[0]).toBeLessThanOrEqual(bound);
      expect(relative(curve([order])[0]!, exact)).toBeLessThan(1e-6);
    },
  );

  test('conversion of a constant curve of 1.1 over the orders 2 to 32', () => {
    const orders = Array.from({ length: 31 }, (_, i) => i + 2);
    const found = epsilonFromRdp(new Float64Array(31).fill(1.1), 1e-5, orders);
    expect(found.epsilon).toBeCloseTo(1.32783806176, 9);
    expect(found).toMatchObject({ order: 32, isEdge: true });
  });

  test('a Gaussian mechanism with σ = 4.530877117 at δ = 1e-6', () => {
    const orders = Array.from({ length: 99_001 }, (_, i) => 1 + (i + 1) / 1000);
    const gaussian = rdpOf({ rate: 1, noiseMultiplier: 4.530877117, steps: 1 }, orders);
    expect(epsilonFromRdp(gaussian, 1e-6, orders).epsilon).toBeCloseTo(1, 6);
  });

  test('no cancellation at q = 0.4, σ = 12, α = 58.5 to 59.5', () => {
    for (let order = 58.5; order <= 59.5; order += 0.1)
      expect(logMoment(0.4, 12, order)).toBeGreaterThan(0);
  });

  test('q = 0.04, σ = 1.5, 2250 steps, δ = 1e-5', () => {
    const spent = rdpOf({ rate: 0.04, noiseMultiplier: 1.5, steps: 2250 });
    const found = epsilonFromRdp(spent, 1e-5);
    expect(found.epsilon).toBeCloseTo(7.32911117143, 6);
    expect(found).toMatchObject({ order: 3.9, isEdge: false });
  });

  test.each([
    [2250, 1.416],
    [2000, 1.3562],
  ])('noise for ε = 8 over %d steps', (steps, expected) => {
    const noise = noiseFor({ rate: 0.04, steps, epsilon: 8, delta: 1e-5, precision: 1e-6 });
    expect(Math.abs(noise - expected)).toBeLessThan(5e-4);
  });
});

test.each([
  [0.01, 1.1, 2],
  [0.01, 1.1, 7.3],
  [0.2, 0.7, 3.5],
  [0.4, 2, 12.1],
  [0.001, 0.8, 5],
  [0.9, 1.5, 4.4],
  [0.05, 4, 33.3],
  [0.5, 1, 1.1],
  [0.04, 1.5, 3.9],
  [0.1, 3, 1.9],
])('q = %d, σ = %d, α = %d agrees with quadrature', (rate, sigma, order) => {
  expect(relative(logMoment(rate, sigma, order), quadrature(rate, sigma, order))).toBeLessThan(
    1e-4,
  );
});

describe('properties', () => {
  const rates = fc.double({ min: 1e-4, max: 0.5, noNaN: true });
  const sigmas = fc.double({ min: 0.6, max: 8, noNaN: true });

  test('the curve grows with the order, and sampling never costs more than none', () => {
    fc.assert(
      fc.property(rates, sigmas, (rate, noiseMultiplier) => {
        const sampled = rdpOf({ rate, noiseMultiplier, steps: 1 });
        const whole = rdpOf({ rate: 1, noiseMultiplier, steps: 1 });
        return sampled.every(
          (value, i) =>
            value >= 0 &&
            value <= whole[i]! * (1 + 1e-9) &&
            (i === 0 || value >= sampled[i - 1]! * (1 - 1e-6)),
        );
      }),
      { numRuns: 25 },
    );
  });

  test('steps add up', () => {
    const one = rdpOf({ rate: 0.1, noiseMultiplier: 1, steps: 1 });
    const three = rdpOf({ rate: 0.1, noiseMultiplier: 1, steps: 3 });
    composeRdp([one, one, one]).forEach((value, i) => expect(value).toBeCloseTo(three[i]!, 10));
  });

  test('δ and ε are inverse to each other', () => {
    const spent = rdpOf({ rate: 0.05, noiseMultiplier: 1, steps: 500 });
    const { epsilon } = epsilonFromRdp(spent, 1e-6);
    expect(relative(deltaFromRdp(spent, epsilon), 1e-6)).toBeLessThan(1e-9);
  });
});

test('no sampling costs nothing; no noise costs everything', () => {
  expect(Math.max(...rdpOf({ rate: 0, noiseMultiplier: 0, steps: 9 }))).toBe(0);
  expect(Math.min(...rdpOf({ rate: 0.1, noiseMultiplier: 0, steps: 9 }))).toBe(Infinity);
  expect(epsilonFromRdp(new Float64Array(ORDERS.length), 1e-5).epsilon).toBe(0);
});

test.each([1e-300, 1e-30, 1e-12, 1e-8])('a rate of %d gives no order below 0', (rate) => {
  for (const noiseMultiplier of [0.3, 1, 5]) {
    const curve = rdpOf({ rate, noiseMultiplier, steps: 3 });
    expect(curve.every((value) => value >= 0)).toBe(true);
  }
});

test.each([
  { rate: -0.1, noiseMultiplier: 1, steps: 1 },
  { rate: 1.1, noiseMultiplier: 1, steps: 1 },
  { rate: 0.1, noiseMultiplier: NaN, steps: 1 },
  { rate: 0.1, noiseMultiplier: 1, steps: 1.5 },
])('%j is refused', (mechanism) => {
  expect(() => rdpOf(mechanism)).toThrow(
    expect.objectContaining({ code: 'PRIVACY_PARAMETERS_INVALID' }),
  );
});

test.each([0, 1, NaN])('delta %d is refused', (delta) => {
  expect(() => epsilonFromRdp(new Float64Array(ORDERS.length), delta)).toThrow(
    expect.objectContaining({ code: 'PRIVACY_PARAMETERS_INVALID' }),
  );
});
