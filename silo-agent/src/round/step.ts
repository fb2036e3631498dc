import { equalBytes, MedleyError, sha256, toHex } from '@medley/kit';
import {
  advertise,
  complain,
  confirm,
  encodeVector,
  layoutLength,
  maskWith,
  release,
  rosterEntry,
  share,
  type MaskedHeader,
  type SessionTerms,
  type ShareDelivery,
  type SharedSilo,
  type SiloState,
} from '@medley/secagg';
import { decodeModelState, roundPrice, type SpendBytes } from '@medley/study';
import { checkPolicy } from '../study/offer.ts';
import type { Progress } from './progress.ts';
import { recordResult } from './result.ts';
import type { RoundParts, Seat } from './seat.ts';
import { noisedVector } from './siloNoise.ts';
import { keepValues, keptValues, payRound } from './spend.ts';
import type { BlobName, Task } from './task.ts';

/** A step to take, admitted: its terms are the charter's and its model is the verified one. */
export interface StepContext {
  readonly parts: RoundParts;
  readonly seat: Seat;
  readonly task: Task;
  readonly terms: SessionTerms;
  readonly progress: Progress;
  /** As it stands on disk. */
  readonly state: SiloState | undefined;
  readonly signal: AbortSignal;
  /** Makes a call until it gets through or `signal` aborts. */
  readonly deliver: <T>(call: () => Promise<T>) => Promise<T>;
}

/** Bytes of a model state beside its parameters: magic, header, standardisation. */
const STATE_OVERHEAD_BYTES = 2 ** 20 + 64;

/**
 * Takes one of the five steps. Each writes the single-use state before its message leaves, so that a
 * restart at any point repeats the same bytes or sends nothing. Throws SECAGG_*, ROUND_STATE_LOST,
 * MODEL_STATE_INVALID, DATA_*, TRAINING_*, FILE_UNWRITABLE and what the aggregator refuses with.
 */
export async function takeStep(context: StepContext): Promise<void> {
  switch (context.task.step.name) {
    case 'advertise':
      return advertiseStep(context);
    case 'share':
      return shareStep(context, context.task.step);
    case 'mask':
      return maskStep(context, context.task.step);
    case 'confirm':
      return confirmStep(context, context.task.step);
    case 'release':
      return releaseStep(context, context.task.step);
    case 'closed':
    case 'aborted':
      throw new MedleyError('INTERNAL', `${context.task.step.name} is no step to take`);
  }
}

type StepOf<Name extends Task['step']['name']> = Extract<Task['step'], { readonly name: Name }>;

async function advertiseStep(context: StepContext): Promise<void> {
  const { parts, seat, task, terms, state, signal, deliver } = context;
  if (state !== undefined && state.phase !== 'advertised') return;
  let advert = state?.advert;
  if (advert === undefined) {
    checkPolicy(seat.pinned.charter, parts.home.config.policy, parts.clock.nowMs());
    // Fetched before the first key is made: its hash is part of the session.
    if (!(await seat.progress.has(task.model.hex))) await startingState(context);
    const made = advertise(terms, seat.pinned.me, parts.identity, parts.rng);
    await seat.sessions.save(made.state);
    advert = made.message;
  }
  const message = advert;
  await deliver(() => parts.messages.advertise(task.id, message, signal));
}

async function shareStep(context: StepContext, { adverts }: StepOf<'share'>): Promise<void> {
  const { parts, seat, task, signal, deliver } = context;
  const state = present(context);
  if (state.phase !== 'advertised' && state.phase !== 'shared') return;
  const shared = share(state, adverts, parts.identity, parts.rng);
  if (state.phase === 'advertised') await seat.sessions.save(shared.state);
  await deliver(() => parts.messages.share(task.id, shared.message, signal));
}

async function maskStep(context: StepContext, step: StepOf<'mask'>): Promise<void> {
  const { parts, seat, task, signal, deliver } = context;
  const state = present(context);
  if (state.phase === 'confirmed' || state.phase === 'released') return;
  if (state.phase === 'advertised') throw lost(task, 'the shares were never sent');
  // Paid before anything is made; a repeat of a round that was paid costs nothing.
  const price = roundPrice(seat.pinned.charter, task.kind);
  const spend = price && (await payRound(context, price));
  const { header, wire } =
    state.phase === 'shared'
      ? await maskVector(context, state, step, spend)
      : { header: state.header, wire: await keptVector(context, state.header) };
  await deliver(() => parts.messages.submit(task.id, { header, wire, spend }, signal));
}

/** Trains, masks, and writes vector and state before either may leave. */
async function maskVector(
  context: StepContext,
  state: SharedSilo,
  { sharers, boxes }: StepOf<'mask'>,
  spend: SpendBytes | undefined,
): Promise<{ readonly header: MaskedHeader; readonly wire: Uint8Array }> {
  const { parts, seat, task } = context;
  // Before the work, which may take long, and which the attempt would not survive.
  await checkBoxes(context, state, { sharers, boxes });
  const encoded = spend ? await privateVector(context) : await plainVector(context);
  const done = await maskWith(parts.masker, state, { sharers, boxes }, encoded, parts.identity);
  // The vector first: a crash in between leaves the state `shared`, under which nothing has been sent.
  await seat.sessions.saveVector(task.id, done.wire);
  await seat.sessions.save(done.state);
  return { header: done.message, wire: done.wire };
}

/**
 * Complains where a box does not hold what its sender signed for, and leaves the attempt: its keys go
 * off the disk before the key that the complaint gives away leaves. Throws SECAGG_BOX_INVALID.
 */
async function checkBoxes(
  { parts, seat, task, terms, signal, deliver }: StepContext,
  state: SharedSilo,
  delivery: ShareDelivery,
): Promise<void> {
  const complaint = complain(state, delivery, parts.identity, parts.rng);
  if (complaint === undefined) return;
  const { about } = complaint;
  const code = 'SECAGG_BOX_INVALID';
  await seat.sessions.end(task.id, terms.modelHash, code);
  const { silo } = rosterEntry(terms, about);
  const { study, round, attempt } = task.id;
  parts.logger.warn('complaint about a silo', { study, round, attempt, silo, code });
  await deliver(() => parts.messages.complain(task.id, complaint, signal));
  throw new MedleyError(code, `box of silo ${about} for silo ${state.me}`);
}

async function plainVector(context: StepContext): Promise<Uint32Array> {
  const values = await localValues(context);
  return encodeVector(context.terms.layout, values, context.parts.rng);
}

/** Drawn once a round and kept: another draw would be another release. */
async function privateVector(context: StepContext): Promise<Uint32Array> {
  const { terms, parts, seat } = context;
  const kept = await keptValues(context);
  if (kept?.length === layoutLength(terms.layout)) return kept;
  const values = await localValues(context);
  const encoded = noisedVector(seat.pinned.charter, terms.layout, values, parts.rng);
  await keepValues(context, encoded);
  return encoded;
}

async function keptVector({ seat, task }: StepContext, header: MaskedHeader): Promise<Uint8Array> {
  const wire = await seat.sessions.loadVector(task.id);
  if (!wire || !equalBytes(sha256(wire), header.vectorHash)) {
    throw lost(task, 'the masked vector is not there');
  }
  return wire;
}

async function confirmStep(context: StepContext, { survivors }: StepOf<'confirm'>): Promise<void> {
  const { parts, seat, task, signal, deliver } = context;
  const state = present(context);
  if (state.phase === 'released') return;
  const confirmed = confirm(state, survivors, parts.identity);
  if (state.phase !== 'confirmed') await seat.sessions.save(confirmed.state);
  await seat.sessions.dropVector(task.id);
  await deliver(() => parts.messages.confirm(task.id, confirmed.message, signal));
}

async function releaseStep(
  context: StepContext,
  { confirmations }: StepOf<'release'>,
): Promise<void> {
  const { parts, seat, task, signal, deliver } = context;
  const state = present(context);
  const released = release(state, confirmations, parts.identity);
  if (state.phase !== 'released') await seat.sessions.save(released.state);
  await deliver(() => parts.messages.release(task.id, released.message, signal));
}

async function localValues(context: StepContext): Promise<Readonly<Record<string, Float64Array>>> {
  const { parts, seat, task, signal } = context;
  const { study, charter, model } = seat.pinned;
  const { id, kind } = task;
  const log = parts.logger.with({ study: id.study, round: id.round, attempt: id.attempt });
  const { site, paths } = parts.home;
  const state = await startingState(context);
  // Fresh for each attempt: the order of rows must not link two attempts of a round.
  const seed = toHex(parts.rng.bytes(16));
  let tenths = 0;
  log.info('local work begins', { step: kind });
  const { values, summary } = await parts.work.perform(
    { kind, study, charter, model, site, state, seed },
    signal,
    ({ done, total }) => {
      const now = total > 0 ? Math.floor((10 * done) / total) : 0;
      if (now > tenths)
        log.info('local work', {
          step: kind,
          count: done,
          detail: `${String(done)}/${String(total)}`,
        });
      tenths = Math.max(tenths, now);
    },
  );
  log.info('local work is done', { step: kind, ms: summary.elapsedMs });
  await recordResult(paths.result(id.study), id, kind, { local: summary });
  return values;
}

/**
 * Bytes of the model state that the task starts from: kept since the last round, or fetched and
 * compared with the hash that the session is bound to. Throws MODEL_STATE_INVALID.
 */
export async function startingState(
  context: Pick<StepContext, 'parts' | 'seat' | 'task' | 'signal' | 'deliver'>,
): Promise<Uint8Array> {
  const { parts, seat, task, signal, deliver } = context;
  const kept = await seat.progress.state(task.model.hex);
  if (kept) return kept;
  const parameters = seat.pinned.charter.modelParameters;
  // With gates the state holds the previous model as well.
  const limit = STATE_OVERHEAD_BYTES + 2 * 4 * parameters;
  const blob: BlobName = task.model;
  const fetched = await deliver(() => parts.messages.fetchBlob(blob, limit, signal));
  if (decodeModelState(fetched).parameters.length !== parameters) {
    throw new MedleyError('MODEL_STATE_INVALID', 'a state with another number of parameters');
  }
  return fetched;
}

function present({ state, task }: StepContext): SiloState {
  if (state === undefined) throw lost(task, 'no state of the attempt is on disk');
  return state;
}

function lost({ id, step }: Task, why: string): MedleyError {
  const where = `round ${String(id.round)}, attempt ${String(id.attempt)}, ${step.name}`;
  return new MedleyError('ROUND_STATE_LOST', `${where}: ${why}`);
}
