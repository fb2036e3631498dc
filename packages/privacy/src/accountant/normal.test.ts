import { expect, test } from '@jest/globals';
import { erfc, logAdd, logErfc, logSubtract, massBetween, normalTails } from './normal.ts';

// Values of the complementary error function to 16 digits (Abramowitz and Stegun, table 7.1 and 7.2,
// and the asymptotic series for the far tail).
test.each([
  [0, 1],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [2, 0.004677734981047266],
  [2.5, 4.069520174449589e-4],
  [3, 2.209049699858544e-5],
  [5, 1.5374597944280347e-12],
  [10, 2.088487583762545e-45],
  [-1, 1.8427007929497148],
])('erfc(%d)', (x, expected) => {
  expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-13);
});

test('the logarithm of erfc goes on where erfc ends', () => {
  expect(logErfc(1)).toBeCloseTo(Math.log(erfc(1)), 13);
  expect(logErfc(5)).toBeCloseTo(Math.log(1.5374597944280347e-12), 12);
  // −x² − ln(x√π) + ln(1 − 1/(2x²) + …)
  const x = 60;
  const tail = -x * x - Math.log(x * Math.sqrt(Math.PI)) + Math.log1p(-1 / (2 * x * x));
  expect(Math.abs(logErfc(x) - tail)).toBeLessThan(1e-7);
});

test('normal masses are exact on both sides of 0', () => {
  const mass = (from: number, to: number) => massBetween(normalTails(from), normalTails(to));
  expect(mass(-Infinity, Infinity)).toBe(1);
  expect(mass(-1, 1)).toBeCloseTo(0.6826894921370859, 14);
  expect(mass(8, 9) / 6.22e-16).toBeCloseTo(1, 3);
  expect(mass(-9, -8)).toBe(mass(8, 9));
  expect(mass(2, 1)).toBe(0);
});

test('sums and differences of logarithms', () => {
  expect(logAdd(Math.log(2), Math.log(3))).toBeCloseTo(Math.log(5), 14);
  expect(logAdd(-Infinity, 1)).toBe(1);
  expect(logAdd(-Infinity, -Infinity)).toBe(-Infinity);
  expect(logSubtract(Math.log(5), Math.log(3))).toBeCloseTo(Math.log(2), 14);
  expect(logSubtract(1, 1)).toBe(-Infinity);
  expect(logSubtract(1, -Infinity)).toBe(1);
});
