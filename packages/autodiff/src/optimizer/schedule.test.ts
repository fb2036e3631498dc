import { expect, test } from '@jest/globals';
import { learningRateAt, learningRates, type LearningRateSchedule } from './schedule.ts';

const at = (schedule: LearningRateSchedule, ...steps: number[]) =>
  steps.map((step) => learningRateAt(schedule, step));

test('schedules follow their definitions', () => {
  expect(at({ kind: 'constant', rate: 0.1 }, 0, 99)).toEqual([0.1, 0.1]);
  expect(at({ kind: 'step', rate: 1, every: 3, factor: 0.5 }, 0, 2, 3, 6)).toEqual([
    1, 1, 0.5, 0.25,
  ]);
  expect(at({ kind: 'exponential', rate: 2, factor: 0.5 }, 0, 1, 3)).toEqual([2, 1, 0.25]);
  expect(at({ kind: 'linear', rate: 1, steps: 4, end: 0.2 }, 0, 2, 4, 9)).toEqual([
    1, 0.6, 0.2, 0.2,
  ]);
  const cosine = at(
    { kind: 'cosine', rate: 1, steps: 12, warmUp: 4, end: 0.2 },
    0,
    3,
    4,
    8,
    12,
    50,
  );
  [0.25, 1, 1, 0.6, 0.2, 0.2].forEach((rate, i) => expect(cosine[i]).toBeCloseTo(rate, 12));
});

test('one cycle passes the rates that PyTorch gives', () => {
  // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=10): phases end at steps 2 and 9.
  const schedule = { kind: 'oneCycle', rate: 0.1, steps: 10 } as const;
  const rates = at(schedule, 0, 1, 2, 9, 12);
  [0.004, 0.052, 0.1, 4e-7, 4e-7].forEach((rate, i) => expect(rates[i]).toBeCloseTo(rate, 12));
  expect(learningRateAt(schedule, 5)).toBeCloseTo(
    4e-7 + ((0.1 - 4e-7) * (1 + Math.cos((3 / 7) * Math.PI))) / 2,
    12,
  );
});

test('rates of several updates follow one another', () => {
  const schedule = { kind: 'exponential', rate: 1, factor: 0.5 } as const;
  expect(learningRates(schedule, 2, 3)).toEqual(Float64Array.of(0.25, 0.125, 0.0625));
});

test.each<LearningRateSchedule>([
  { kind: 'constant', rate: 0 },
  { kind: 'step', rate: 1, every: 0 },
  { kind: 'exponential', rate: 1, factor: NaN },
  { kind: 'linear', rate: 1, steps: 2.5 },
  { kind: 'cosine', rate: 1, steps: 5, warmUp: 5 },
  { kind: 'oneCycle', rate: 1, steps: 5, rise: 1 },
])('%j is refused', (schedule) => {
  expect(() => learningRateAt(schedule, 0)).toThrow(
    expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
  );
});
