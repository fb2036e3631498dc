import { fromBase64, MedleyError, toHex } from '@medley/kit';
import {
  Admin,
  serve,
  type AdminMethods,
  type Handlers,
  type ProposeStudyReply,
  type ProposeStudyRequest__Output,
  type Served,
  type StudyStatus,
} from '@medley/rpc';
import type { Blobs } from '../blob/blobs.ts';
import { waitFor } from '../rounds/scheduler.ts';
import type { Signal } from '../rounds/signal.ts';
import type { StudyDesk } from '../studies/desk.ts';
import type { Lifecycle } from '../studies/lifecycle.ts';
import type { Masker } from '@medley/secagg';
import { proposeStudy, type ProposalParts } from '../studies/proposal.ts';
import {
  statusOf,
  summarise,
  type RoundReport,
  type Status,
  type StatusParts,
} from '../studies/status.ts';
import { answerExport } from './export.ts';
import { accountHandlers, type AccountHandlerParts } from './adminAccounts.ts';
import { siloHandlers, type SiloHandlerParts } from './adminSilos.ts';
import {
  asChunks,
  blobRef,
  inOrder,
  needed,
  operatorOf,
  splitHead,
  wholeNumber,
} from './fields.ts';
import { replayRound } from '../rounds/replay.ts';
import { hashBytes } from '../rounds/task.ts';
import type { Library } from './library.ts';

export interface AdminParts
  extends ProposalParts, StatusParts, SiloHandlerParts, AccountHandlerParts {
  readonly desk: StudyDesk;
  readonly lifecycle: Lifecycle;
  readonly library: Library;
  readonly changed: Signal;
  readonly blobs: Blobs;
  readonly masker: Masker;
  readonly maxModelBytes: number;
}

/** Byte counts grow without a change being announced; a watched status is looked at this often. */
const WATCH_MS = 1000;

/** The service that operators call. Who calls was checked by `authorise` before any handler. */
export function adminService(parts: AdminParts): Served {
  return serve(Admin, {
    ...siloHandlers(parts),
    ...accountHandlers(parts),
    ...studyHandlers(parts),
    ...modelHandlers(parts),
    recordExport: (request, context) => answerExport(parts.ledger, request, operatorOf(context)),
  });
}

type StudyMethods =
  | 'proposeStudy'
  | 'startStudy'
  | 'pauseStudy'
  | 'resumeStudy'
  | 'stopStudy'
  | 'getStudyStatus'
  | 'watchStudy'
  | 'listAllStudies';

function studyHandlers(parts: AdminParts): Pick<Handlers<AdminMethods>, StudyMethods> {
  const { desk, changed, clock, ledger, store } = parts;
  const moved = async (): Promise<void> => {
    await ledger.checkpoint();
    changed.raise();
  };
  return {
    proposeStudy: async (requests, context) => {
      const reply = await propose(parts, requests, operatorOf(context));
      await ledger.checkpoint();
      changed.raise();
      return reply;
    },
    startStudy: async ({ study }, context) => {
      await desk.start(study, operatorOf(context));
      await moved();
      return {};
    },
    pauseStudy: async ({ study, reason }, context) => {
      await parts.lifecycle.pause(study, reason, operatorOf(context));
      await moved();
      return {};
    },
    resumeStudy: async ({ study }, context) => {
      await parts.lifecycle.resume(study, operatorOf(context));
      await moved();
      return {};
    },
    stopStudy: async ({ study, reason }, context) => {
      await parts.lifecycle.stop(study, reason, operatorOf(context));
      await moved();
      return {};
    },
    getStudyStatus: async ({ study }) => studyStatus(await statusOf(parts, await desk.get(study))),
    watchStudy: async function* ({ study }, { signal }) {
      let last = '';
      while (!signal.aborted) {
        const seen = changed.version;
        const status = await statusOf(parts, await desk.get(study));
        const message = studyStatus(status);
        const text = JSON.stringify(message);
        if (text !== last) yield message;
        last = text;
        const { state } = status.summary;
        if (state !== 'proposed' && state !== 'active' && state !== 'paused') return;
        await waitFor(changed, seen, clock.nowMs() + WATCH_MS, clock, signal);
      }
    },
    listAllStudies: async () => {
      const rows = await store.tables.studies.list();
      return { studies: await Promise.all(rows.map((row) => summarise(parts, row))) };
    },
  };
}

type ModelMethods = 'getModel' | 'fetchModel' | 'replayRound';

function modelHandlers(parts: AdminParts): Pick<Handlers<AdminMethods>, ModelMethods> {
  const { desk, store, library, blobs, ledger } = parts;
  return {
    getModel: async ({ study }, context) => {
      const row = await desk.get(study);
      const closed = await store.tables.rounds.newestClosed(study);
      if (!closed) throw new MedleyError('STUDY_STATE', `no round of ${study} has closed yet`);
      await ledger.change(async ({ record }) => {
        const recipient = operatorOf(context);
        await record({
          type: 'model.exported',
          actor: { kind: 'operator', id: recipient },
          outcome: 'ok',
          study,
          data: { modelHash: row.modelState.hash, recipient },
        });
      });
      return {
        state: blobRef(row.modelState),
        onnx: blobRef(row.model),
        studyFile: row.studyFile,
        round: closed.round,
        charterHash: row.charterHash,
      };
    },
    replayRound: async ({ study, round }) => {
      const { id, aggregate, nextModel, ...replay } = await replayRound(parts, study, round);
      return {
        round,
        attempt: id.attempt,
        survivors: replay.survivors,
        aggregate: blobRef(aggregate),
        nextModel: blobRef(nextModel),
        receiptHash: hashBytes(replay.receiptHash),
        leafIndex: String(replay.leafIndex),
      };
    },
    fetchModel: async function* ({ sha256, offset }) {
      const hash = toHex(sha256);
      await library.find(hash);
      const from = wholeNumber(offset, 'offset');
      yield* asChunks(blobs.read(hash, from), from);
    },
  };
}

async function propose(
  parts: AdminParts,
  requests: AsyncIterable<ProposeStudyRequest__Output>,
  operator: string,
): Promise<ProposeStudyReply> {
  const { head, rest } = await splitHead(requests);
  const { studyFile, model, silos } = needed(head.head, 'head');
  const announced = needed(model, 'model');
  const name = await parts.blobs.receive(inOrder(modelChunks(rest)), {
    hash: toHex(announced.sha256),
    sizeBytes: wholeNumber(announced.sizeBytes, 'size_bytes'),
    limitBytes: parts.maxModelBytes,
  });
  const proposal = {
    studyFile: new Uint8Array(studyFile),
    model: await parts.blobs.readAll(name.hash),
    silos,
  };
  const row = await proposeStudy(parts, proposal, operator);
  const { charter } = parts.agreements.of(row);
  return {
    study: row.name,
    charterHash: row.charterHash,
    roster: charter.roster.map(({ index, silo, identityKey }) => ({
      index,
      silo,
      identityKey: fromBase64(identityKey) ?? new Uint8Array(),
    })),
  };
}

async function* modelChunks(
  messages: AsyncIterable<ProposeStudyRequest__Output>,
): AsyncGenerator<NonNullable<ProposeStudyRequest__Output['model']>> {
  for await (const { model } of messages) yield needed(model, 'model');
}

function studyStatus({ summary, rounds, waitingFor, privacy }: Status): StudyStatus {
  return {
    ...{ summary, waitingFor },
    rounds: rounds.map(roundStatus),
    privacy: privacy ? { ...privacy, spent: [...privacy.spent] } : null,
  };
}

function roundStatus(report: RoundReport): NonNullable<StudyStatus['rounds']>[number] {
  const { row, step, steps, sharers, survivors, dropped } = report;
  return {
    round: row.round,
    attempt: row.attempt,
    kind: row.kind,
    step,
    openedMs: String(row.openedMs),
    closedMs: String(row.closedMs ?? 0),
    sharers: [...sharers],
    survivors: [...survivors],
    dropped: [...dropped],
    bytesUp: String(report.bytesUp),
    bytesDown: String(report.bytesDown),
    metrics: row.outcome?.metrics ?? new Uint8Array(),
    abortCode: row.abortCode ?? '',
    steps: steps.map((one) => ({ step: one.step, atMs: String(one.atMs) })),
  };
}
