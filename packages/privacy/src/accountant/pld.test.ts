import { describe, expect, test } from '@jest/globals';
import { noiseFor } from './calibrate.ts';
import { deltaOfMu, epsilonOfMu, limitMu } from './gdp.ts';
import { deltaFromLosses, epsilonFromLosses } from './pld.ts';
import { epsilonFromRdp, rdpOf } from './rdp.ts';

// Opacus states upper bounds, its estimate plus 0.01 (prv_accountant.py, accountants_test.py).
test.each([
  [0.04, 1.5, 2249, 1e-5, 6.777395712150674],
  [0.001, 0.8, 100, 1e-6, 0.270403364],
  [0.001, 1.5, 100, 1e-6, 0.0393694193],
  [0.001, 2, 100, 1e-6, 0.0291045369],
  [0.05, 0.8, 100, 1e-6, 6.74105194],
  [0.05, 1.5, 100, 1e-6, 1.95385314],
  [0.05, 2, 100, 1e-6, 1.28363738],
  [0.2, 1.5, 100, 1e-6, 8.49897786],
  [0.2, 3, 100, 1e-6, 3.38122051],
  [0.001, 1.5, 1000, 1e-6, 0.0998206603],
  [0.05, 1.5, 1000, 1e-6, 6.20996925],
  [0.001, 1.5, 20_000, 1e-6, 0.437005109],
])('q = %d, σ = %d, %d steps, δ = %d', (rate, noiseMultiplier, steps, delta, bound) => {
  const epsilon = epsilonFromLosses({ rate, noiseMultiplier, steps }, delta);
  expect(epsilon).toBeLessThanOrEqual(bound);
  expect(epsilon).toBeGreaterThanOrEqual(bound - 0.02);
});

// Google's dp_accounting, pld_privacy_accountant_test.py and accountant_test.py.
test('δ at ε = 1 for q = 0.2, σ = 0.5, 3 steps', () => {
  const delta = deltaFromLosses({ rate: 0.2, noiseMultiplier: 0.5, steps: 3 }, 1);
  expect(Math.abs(delta - 0.15594)).toBeLessThan(1e-3);
});

test('three Gaussian mechanisms with σ = √3 are one with σ = 1', () => {
  const delta = deltaFromLosses({ rate: 1, noiseMultiplier: Math.sqrt(3), steps: 3 }, 1);
  expect(deltaOfMu(1, 1)).toBeCloseTo(0.126936, 5);
  expect(delta).toBeGreaterThanOrEqual(deltaOfMu(1, 1) - 1e-12);
  expect(Math.abs(delta - deltaOfMu(1, 1))).toBeLessThan(1e-5);
});

describe('the noise that a target takes', () => {
  test.each([
    [2250, 1.34765625],
    [2000, 1.2915],
  ])('ε = 8 over %d steps at q = 0.04', (steps, expected) => {
    const noise = noiseFor({ rate: 0.04, steps, epsilon: 8, delta: 1e-5, accountant: 'pld' });
    expect(noise).toBeLessThanOrEqual(expected + 1e-3);
    expect(noise).toBeGreaterThan(expected - 0.01);
  });

  test.each([
    ['one step at q = 0.01', 0.01, 1, 1, 0.67379294682],
    ['25 steps at q = 0.001 with sensitivity 6', 0.001, 25, 6, 3.20956502598],
  ])('%s: the published noise spends ε = 1', (_, rate, steps, sensitivity, noise) => {
    const mechanism = { rate, noiseMultiplier: noise / sensitivity, steps };
    expect(Math.abs(epsilonFromLosses(mechanism, 1e-5) - 1)).toBeLessThan(2e-3);
  });

  test('25 steps without sampling, sensitivity 6, δ = 0.78760074', () => {
    const target = { rate: 1, epsilon: 1, delta: 0.78760074, precision: 1e-4 } as const;
    expect(6 * noiseFor({ ...target, steps: 25, accountant: 'pld' })).toBeCloseTo(10, 2);
    expect(noiseFor({ ...target, steps: 1, accountant: 'pld' })).toBeCloseTo(1 / 3, 3);
  });
});

describe('beside the other accountants', () => {
  test.each([
    [0.02, 1.2, 400],
    [0.3, 5, 60],
    [0.001, 1, 100],
  ])('q = %d, σ = %d, %d steps: never above the Rényi figure', (rate, noiseMultiplier, steps) => {
    const mechanism = { rate, noiseMultiplier, steps };
    const rdp = epsilonFromRdp(rdpOf(mechanism), 1e-6).epsilon;
    expect(epsilonFromLosses(mechanism, 1e-6)).toBeLessThan(rdp);
  });

  test('the central limit for q = 0.04, σ = 1.5, 2249 steps', () => {
    const epsilon = epsilonOfMu(limitMu({ rate: 0.04, noiseMultiplier: 1.5, steps: 2249 }), 1e-5);
    expect(epsilon).toBeGreaterThan(6.59);
    expect(epsilon).toBeLessThan(6.6);
    const calibrated = limitMu({ rate: 0.04, noiseMultiplier: 1.3232421875, steps: 2249 });
    expect(Math.abs(epsilonOfMu(calibrated, 1e-5) - 8)).toBeLessThan(0.01);
  });

  test('δ falls with ε, and no noise is found out', () => {
    const mechanism = { rate: 0.1, noiseMultiplier: 1, steps: 20 };
    const deltas = [0, 0.5, 1, 2, 4].map((epsilon) => deltaFromLosses(mechanism, epsilon));
    expect(deltas).toEqual([...deltas].sort((a, b) => b - a));
    expect(deltaFromLosses({ rate: 0.1, noiseMultiplier: 0, steps: 2 }, 50)).toBeCloseTo(0.19, 12);
    expect(epsilonFromLosses({ rate: 0, noiseMultiplier: 1, steps: 2 }, 1e-5)).toBe(0);
  });
});

test('a delta below what the arithmetic resolves is refused', () => {
  expect(() => epsilonFromLosses({ rate: 0.1, noiseMultiplier: 1, steps: 1 }, 1e-12)).toThrow(
    expect.objectContaining({ code: 'PRIVACY_PARAMETERS_INVALID' }),
  );
});
