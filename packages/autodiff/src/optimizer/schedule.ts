import { MedleyError } from '@medley/kit';

/** How the learning rate moves with the number of updates done. Rates are above 0, counts of updates whole. */
export type LearningRateSchedule =
  | { readonly kind: 'constant'; readonly rate: number }
  /** rate·factor^⌊step/every⌋; torch.optim.lr_scheduler.StepLR. */
  | {
      readonly kind: 'step';
      readonly rate: number;
      readonly every: number;
      /** @default 0.1 */
      readonly factor?: number;
    }
  /** rate·factor^step; torch.optim.lr_scheduler.ExponentialLR. */
  | { readonly kind: 'exponential'; readonly rate: number; readonly factor: number }
  /** In a straight line from `rate` to `end` over `steps`, then `end`. */
  | {
      readonly kind: 'linear';
      readonly rate: number;
      readonly steps: number;
      /** @default 0 */
      readonly end?: number;
    }
  /**
   * Up in a straight line over `warmUp` updates, then half a cosine down to `end` at `steps`
   * (Loshchilov and Hutter 2017, eq. 5).
   */
  | {
      readonly kind: 'cosine';
      readonly rate: number;
      readonly steps: number;
      /** @default 0 */
      readonly warmUp?: number;
      /** @default 0 */
      readonly end?: number;
    }
  /** Smith and Topin 2018 as in torch.optim.lr_scheduler.OneCycleLR (two phases of cosines). */
  | {
      readonly kind: 'oneCycle';
      /** The highest rate. */
      readonly rate: number;
      readonly steps: number;
      /** Share of the steps in which the rate rises. @default 0.3 */
      readonly rise?: number;
      /** The first rate is rate/startDivisor. @default 25 */
      readonly startDivisor?: number;
      /** The last is the first/endDivisor. @default 1e4 */
      readonly endDivisor?: number;
    };

/**
 * The learning rate of update `step`, from 0; beyond the last step of a schedule its end. Throws
 * TRAINING_OPTIONS_INVALID for a schedule outside its ranges.
 */
export function learningRateAt(schedule: LearningRateSchedule, step: number): number {
  check(schedule, step);
  switch (schedule.kind) {
    case 'constant':
      return schedule.rate;
    case 'step':
      return schedule.rate * (schedule.factor ?? 0.1) ** Math.floor(step / schedule.every);
    case 'exponential':
      return schedule.rate * schedule.factor ** step;
    case 'linear': {
      const share = Math.min(1, step / schedule.steps);
      return schedule.rate * (1 - share) + (schedule.end ?? 0) * share;
    }
    case 'cosine': {
      const { rate, steps, warmUp = 0, end = 0 } = schedule;
      if (step < warmUp) return (rate * (step + 1)) / warmUp;
      return cosine(rate, end, (step - warmUp) / (steps - warmUp));
    }
    case 'oneCycle': {
      const { rate, steps, rise = 0.3, startDivisor = 25, endDivisor = 1e4 } = schedule;
      const start = rate / startDivisor;
      const top = rise * steps - 1;
      if (top > 0 && step <= top) return cosine(start, rate, step / top);
      return cosine(rate, start / endDivisor, (step - top) / (steps - 1 - top));
    }
  }
}

/** The rates of `count` updates from update `first` on, for an epoch. Throws what {@link learningRateAt} throws. */
export function learningRates(
  schedule: LearningRateSchedule,
  first: number,
  count: number,
): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => learningRateAt(schedule, first + i));
}

/** Half a cosine from `from` at 0 to `to` at 1. */
function cosine(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(1, share)))) / 2;
}

function check(schedule: LearningRateSchedule, step: number): void {
  const { kind, ...settings } = schedule;
  const isPositive = Object.entries(settings).every(
    ([name, value]: [string, number]) =>
      Number.isFinite(value) && (value > 0 || (value === 0 && ['end', 'warmUp'].includes(name))),
  );
  const steps = 'steps' in schedule ? schedule.steps : 1;
  const warmUp = 'warmUp' in schedule ? (schedule.warmUp ?? 0) : 0;
  const rise = 'rise' in schedule ? (schedule.rise ?? 0.3) : 0.5;
  const every = 'every' in schedule ? schedule.every : 1;
  const counts = [step, steps, warmUp, every];
  const isWhole = counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  if (!isPositive || !isWhole || warmUp >= steps + (kind === 'cosine' ? 0 : 1) || rise >= 1) {
    throw new MedleyError('TRAINING_OPTIONS_INVALID', `the ${kind} schedule is outside its ranges`);
  }
}
