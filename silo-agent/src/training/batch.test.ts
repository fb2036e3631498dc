import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { seededRng } from '@medley/kit';
import { smallStudy } from '../../../tests/support/site.ts';
import { epochOrders, localSteps } from './batch.ts';

describe('localSteps', () => {
  const { training } = smallStudy();

  test('counts a short last batch in every epoch', () => {
    expect(localSteps(training, 9)).toBe(2 * 3);
    expect(localSteps(training, 8)).toBe(2 * 2);
  });

  test('is what the study says where it counts in steps', () => {
    const study = smallStudy((yaml) => yaml.replace('localEpochs: 2', 'localSteps: 7'));
    expect(localSteps(study.training, 9)).toBe(7);
  });
});

test('orders take exactly the steps, whole epochs see every row once', () => {
  const count = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(count, count, count, (rows, batchSize, steps) => {
      const perEpoch = Math.ceil(rows / batchSize);
      const orders = [...epochOrders(seededRng('o'), rows, batchSize, steps)];
      const taken = orders.map((order) => Math.ceil(order.length / batchSize));
      expect(taken.reduce((sum, n) => sum + n, 0)).toBe(steps);
      expect(orders).toHaveLength(Math.ceil(steps / perEpoch));
      for (const order of orders) {
        expect(new Set(order).size).toBe(order.length);
        expect(order.every((row) => row >= 0 && row < rows)).toBe(true);
      }
      for (const order of orders.slice(0, -1)) expect(order).toHaveLength(rows);
    }),
  );
});
