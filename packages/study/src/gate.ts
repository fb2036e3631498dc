import { isMedleyError, type Json } from '@medley/kit';
import type { ModelState } from './modelState.ts';
import { nextState, type RoundOutcome } from './strategy.ts';

/**
 * Why a round did not move the model forward. `sum`: honest silos that clip cannot have made it (norm,
 * counts, losses). `shares`: the sum could not be opened, for the shares of a silo that is convicted.
 * `loss`, `auc`: the model that the round started from does worse than the one before.
 * `cosine`: the update points back against the last one.
 */
export type GateReason = 'sum' | 'shares' | 'loss' | 'auc' | 'cosine';

/** A round as it ends. */
export interface SettledRound {
  readonly state: ModelState;
  /** The round's figures; `{kind, gate}` alone where the sum is none. */
  readonly metrics: Json;
  /** Undefined when the model took the update. */
  readonly gate: GateReason | undefined;
}

/** What of a round's figures the gates look at. */
interface Figures {
  readonly loss: number | null;
  readonly auc: number | null;
}

/**
 * How a round ends, after {@link nextState} and the study's gates: with the next model, with the model
 * as it was, or back at the last good one. The same bits on every machine, from the starting state and
 * the sum alone, so that every silo checks it.
 *
 * A training round evaluates the model that it starts from. So the loss and AUC gates judge the update of
 * the round before, and the state keeps the model before that ({@link ModelState.previous}) to go back
 * to; the evaluation round judges the last update. After a refusal nothing is compared once, so that a
 * turn which is no attack holds the training up for one round only.
 *
 * Throws STUDY_SUM_INVALID for a statistics round, without which nothing can go on, and
 * MODEL_STATE_INVALID.
 */
export function settleRound(outcome: RoundOutcome): SettledRound {
  const { study, kind, state } = outcome;
  const { gates } = study;
  const { previous, ...present } = state;
  let next: ReturnType<typeof nextState>;
  try {
    next = nextState(outcome);
  } catch (caught) {
    const isSum = isMedleyError(caught) && caught.code === 'STUDY_SUM_INVALID';
    if (!isSum || kind === 'statistics') throw caught;
    return { state, metrics: { kind, gate: 'sum' }, gate: 'sum' };
  }
  if (gates === undefined || kind === 'statistics') return { ...next, gate: undefined };
  const refused = (gate: GateReason, kept: ModelState): SettledRound => {
    // nextState's metrics are an object.
    const metrics = { ...(next.metrics as Readonly<Record<string, Json>>), gate };
    return { state: kept, metrics, gate };
  };
  const figures = figuresOf(next.metrics);
  const worse = previous && worsening(figures, previous, gates);
  if (previous && worse) return refused(worse, { ...present, parameters: previous.parameters });
  if (kind === 'evaluation') return { ...next, gate: undefined };
  const { parameters } = next.state;
  if (previous && cosine(parameters, state.parameters, previous.parameters) < gates.cosine) {
    return refused('cosine', present);
  }
  const kept = { parameters: state.parameters, ...figures };
  return {
    state: { ...present, parameters, previous: kept },
    metrics: next.metrics,
    gate: undefined,
  };
}

/** The end of a round whose sum nobody can open: the state stays as it was. */
export function unopenedRound({ kind, state }: Pick<RoundOutcome, 'kind' | 'state'>): SettledRound {
  return { state, metrics: { kind, gate: 'shares' }, gate: 'shares' };
}

function worsening(
  now: Figures,
  before: Figures,
  gates: { readonly lossRise: number; readonly aucDrop: number },
): 'loss' | 'auc' | undefined {
  if (now.loss !== null && before.loss !== null && now.loss > before.loss * (1 + gates.lossRise)) {
    return 'loss';
  }
  const hasFallen = now.auc !== null && before.auc !== null && now.auc < before.auc - gates.aucDrop;
  return hasFallen ? 'auc' : undefined;
}

/** Of the angle between two moves, summed in index order; 1 where one of them is no move. */
function cosine(next: Float32Array, now: Float32Array, before: Float32Array): number {
  let product = 0;
  let squares = 0;
  let others = 0;
  for (let i = 0; i < next.length; i++) {
    const step = next[i]! - now[i]!;
    const last = now[i]! - before[i]!;
    product += step * last;
    squares += step * step;
    others += last * last;
  }
  const norms = Math.sqrt(squares) * Math.sqrt(others);
  return norms > 0 ? product / norms : 1;
}

function figuresOf(metrics: Json): Figures {
  // nextState wrote it; training rounds of a private study have no evaluation, and nothing is compared.
  const { evaluation } = metrics as unknown as { readonly evaluation?: Figures };
  return { loss: evaluation?.loss ?? null, auc: evaluation?.auc ?? null };
}
