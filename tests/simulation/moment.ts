import type { RoundStep } from '@medley/aggregator';

/** Steps of a round as the matrix names them; `open` is before the first message, `close` its checking. */
export const STEPS = [
  'open',
  'advertise',
  'share',
  'mask',
  'confirm',
  'release',
  'unmask',
  'close',
] as const;
export type StepName = (typeof STEPS)[number];

/**
 * What happens to whom:
 *
 * - `sign`: an agent has a message ready and has not written its state.
 * - `send`: the state is on its disk and the message leaves.
 * - `reply`: the aggregator has taken the message, and its answer leaves.
 * - `begin`, `end`: a transaction of the aggregator before and after its commit.
 * - `put`, `placed`: a blob before and after it stands under its name.
 */
export const KINDS = ['sign', 'send', 'reply', 'begin', 'end', 'put', 'placed'] as const;
export type MomentKind = (typeof KINDS)[number];

/** A point of a run at which a fault can strike. */
export interface Moment {
  /** Roster index of the agent; 0 for the aggregator. */
  readonly who: number;
  readonly kind: MomentKind;
  readonly step: StepName;
  readonly round: number;
  /** Counts from 1 among the moments that are alike. */
  readonly nth: number;
}

/** What the network does with a message. */
export type Verdict =
  | { readonly do: 'lose' }
  | { readonly do: 'double' }
  | { readonly do: 'delay'; readonly ms: number }
  | { readonly do: 'cut'; readonly afterPieces: number };

/** Told of every moment; what it answers is done to the message that the moment is about. */
export type Watcher = (moment: Moment) => Verdict | undefined;

export function keyOf({ who, kind, step, round, nth }: Moment): string {
  return `${who} ${kind} ${step} ${round} ${nth}`;
}

/** Numbers moments that are alike. */
export class Counter {
  readonly #seen = new Map<string, number>();

  next(moment: Omit<Moment, 'nth'>): Moment {
    const key = keyOf({ ...moment, nth: 0 });
    const nth = (this.#seen.get(key) ?? 0) + 1;
    this.#seen.set(key, nth);
    return { ...moment, nth };
  }
}

/** The row of the matrix to which a change of a round belongs. */
export function stepOfRow(step: RoundStep): StepName {
  switch (step) {
    case 'closed':
    case 'aborted':
      return 'close';
    default:
      return step;
  }
}
