import { sha256, toHex } from '@medley/kit';
import type { RoundRow } from '@medley/aggregator';
import { decodeReceipt, packVector } from '@medley/secagg';
import {
  decodeModelState,
  encodeModelState,
  firstRound,
  kindOfRound,
  layoutFor,
  modelStateHash,
  nextState,
} from '@medley/study';
import { initialState } from '../../silo-agent/src/round/progress.ts';
import type { Consortium } from './consortium.ts';
import { revealed } from './reveal.ts';
import { plainSum } from './work.ts';
import type { Run } from './world.ts';

export type Verdict =
  | { readonly kind: 'identical'; readonly survivors: 'all' | 'fewer' }
  | { readonly kind: 'cleanlyAborted' }
  | { readonly kind: 'failed'; readonly why: readonly string[] };

/**
 * Judges a run: every closed round has bit for bit the sum and the model of the undisturbed run with the
 * same silos, every agent stands at that model, the log verifies, and nothing left the agents that must
 * not. An attempt that was aborted must have let go fewer shares than open anything.
 */
export function judge(consortium: Consortium, run: Run): Verdict {
  const { tape, rounds, stuck, logFault, study } = run;
  const { faults, releases } = revealed(tape);
  const why = [...faults];
  if (stuck !== undefined) why.push(stuck);
  if (logFault !== undefined) why.push(logFault);
  if (study.state !== 'completed' && study.state !== 'active')
    why.push(`the study ended as ${study.state}: ${study.reason ?? ''}`);
  const { threshold } = consortium.charter.secureAggregation;
  const aborted = rounds.filter(({ step }) => step === 'aborted');
  for (const { round, attempt, abortCode } of aborted) {
    const count = releases.get(`${round} ${attempt}`) ?? 0;
    if (count >= threshold)
      why.push(`round ${round} attempt ${attempt}: ${abortCode ?? ''} after ${count} releases`);
  }
  const chain = compare(consortium, rounds, why);
  for (const [who, { nextRound, modelHash }] of run.progress) {
    if (chain.get(nextRound) !== modelHash) why.push(`silo-${who} stands at another model`);
    if (nextRound === firstRound(consortium.study)) why.push(`silo-${who} verified nothing`);
  }
  if (why.length > 0) return { kind: 'failed', why };
  if (aborted.length > 0) return { kind: 'cleanlyAborted' };
  const isFewer = closedOf(rounds).some(({ survivors }) => survivors.length < run.progress.size);
  return { kind: 'identical', survivors: isFewer ? 'fewer' : 'all' };
}

interface Closed {
  readonly row: RoundRow;
  readonly survivors: readonly number[];
}

function closedOf(rounds: readonly RoundRow[]): readonly Closed[] {
  return rounds.flatMap((row) => {
    if (!row.outcome) return [];
    const receipt: unknown = JSON.parse(new TextDecoder().decode(row.outcome.receipt));
    return [{ row, survivors: decodeReceipt(receipt).survivors }];
  });
}

/** Adds what differs to `why`; gives the model state that each round has to start from. */
function compare(
  { study, charter, model }: Consortium,
  rounds: readonly RoundRow[],
  why: string[],
): ReadonlyMap<number, string> {
  let state = initialState(model);
  let next = firstRound(study);
  const chain = new Map([[next, modelStateHash(state)]]);
  for (const { row, survivors } of closedOf(rounds)) {
    const kind = kindOfRound(study, row.round)!;
    if (row.round !== next) why.push(`round ${row.round} closed instead of round ${next}`);
    const sum = plainSum(study, charter, kind, survivors);
    const words = packVector(layoutFor(study, charter, kind), sum);
    const after = nextState({ study, charter, kind, state: decodeModelState(state), sum });
    state = encodeModelState(after.state);
    if (row.outcome?.aggregate.hash !== toHex(sha256(words)))
      why.push(`round ${row.round} has another sum`);
    if (row.outcome?.nextModel.hash !== modelStateHash(state))
      why.push(`round ${row.round} has another model`);
    next = row.round + 1;
    chain.set(next, modelStateHash(state));
  }
  return chain;
}
