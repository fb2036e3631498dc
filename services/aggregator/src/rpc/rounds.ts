import { isMedleyError, MedleyError, toHex } from '@medley/kit';
import {
  Rounds,
  serve,
  type CallContext,
  type Handlers,
  type RoundsMethods,
  type Served,
  type SpendBytes__Output,
  type SubmitRequest__Output,
} from '@medley/rpc';
import {
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeSharesMessage,
  type CoordinatorEvent,
} from '@medley/secagg';
import type { SpendBytes } from '@medley/study';
import type { Blobs } from '../blob/blobs.ts';
import type { Inbox } from '../rounds/inbox.ts';
import type { RoundId } from '../store/rows.ts';
import type { StudyDesk } from '../studies/desk.ts';
import type { Lifecycle } from '../studies/lifecycle.ts';
import type { Agreements } from '../studies/agreement.ts';
import { summarise } from '../studies/status.ts';
import { attend, type AttendParts } from './attend.ts';
import { asChunks, inOrder, needed, roundIdOf, splitHead, wholeNumber } from './fields.ts';
import type { Library } from './library.ts';
import { requestBytes } from './size.ts';

export interface RoundsParts extends AttendParts {
  readonly blobs: Blobs;
  readonly inbox: Inbox;
  readonly desk: StudyDesk;
  readonly lifecycle: Lifecycle;
  readonly agreements: Agreements;
  readonly library: Library;
}

/** Model files up to this size travel inside GetStudy; larger ones are fetched as a blob. */
const INLINE_MODEL_BYTES = 3 * 1024 * 1024;

/** The service that silos call. Who calls was checked by `authorise` before any handler. */
export function roundsService(parts: RoundsParts): Served {
  const handlers: Handlers<RoundsMethods> = {
    attend: (request, context) => attend(parts, request, context),
    ...studyHandlers(parts),
    ...stepHandlers(parts),
    ...witnessHandlers(parts),
    submit: (requests, context) => submit(parts, requests, context),
    fetchBlob: async function* ({ sha256, offset }, context) {
      const silo = siloOf(context);
      const hash = toHex(sha256);
      const owner = await parts.library.find(hash, silo);
      const from = wholeNumber(offset, 'offset');
      let sent = 0;
      try {
        for await (const chunk of asChunks(parts.blobs.read(hash, from), from)) {
          sent += chunk.data.length;
          yield chunk;
        }
      } finally {
        if (owner) parts.book.count(owner, 0, sent);
      }
    },
  };
  return serve(Rounds, handlers);
}

type StudyMethods = 'listStudies' | 'getStudy' | 'signCharter' | 'refuseCharter' | 'leaveStudy';

function studyHandlers(parts: RoundsParts): Pick<Handlers<RoundsMethods>, StudyMethods> {
  const { desk, store, blobs, changed } = parts;
  const decide = async (
    study: string,
    wanted: 'approve' | 'refuse',
    signed: { silo: string; statement: Uint8Array; signature: Uint8Array } | null,
    context: CallContext,
  ): Promise<{ signed: number; rosterSize: number }> => {
    const { silo, statement, signature } = needed(signed, 'signature');
    const copy = {
      silo,
      statement: new Uint8Array(statement),
      signature: new Uint8Array(signature),
    };
    const signing = await desk.decide(study, siloOf(context), wanted, copy);
    changed.raise();
    return signing;
  };
  return {
    listStudies: async (_request, context) => {
      const silo = siloOf(context);
      const rows = await desk.listFor(silo);
      return { studies: await Promise.all(rows.map((row) => summarise(parts, row, silo))) };
    },
    getStudy: async ({ study }, context) => {
      const row = await desk.getFor(study, siloOf(context));
      const isInline = row.model.sizeBytes <= INLINE_MODEL_BYTES;
      return {
        studyFile: row.studyFile,
        model: isInline ? await blobs.readAll(row.model.hash) : new Uint8Array(),
        charter: row.charter,
        signatures: (await store.tables.signatures.of(study)).filter(
          ({ decision }) => decision === 'signed',
        ),
        state: row.state,
      };
    },
    signCharter: ({ study, signature }, context) => decide(study, 'approve', signature, context),
    leaveStudy: async ({ study, withdrawal }, context) => {
      const { silo, statement, signature } = needed(withdrawal, 'withdrawal');
      await parts.lifecycle.leave(study, siloOf(context), {
        silo,
        statement: new Uint8Array(statement),
        signature: new Uint8Array(signature),
      });
      changed.raise();
      return {};
    },
    refuseCharter: async ({ study, refusal }, context) => {
      await decide(study, 'refuse', refusal, context);
      return {};
    },
  };
}

type StepMethods = 'advertise' | 'share' | 'complain' | 'confirm' | 'release' | 'withdraw';

function stepHandlers(parts: RoundsParts): Pick<Handlers<RoundsMethods>, StepMethods> {
  const take = async (
    method: string,
    request: { readonly key: Parameters<typeof roundIdOf>[0] },
    event: CoordinatorEvent,
    context: CallContext,
  ): Promise<{ repeatedMessage: boolean }> => {
    const id = roundIdOf(request.key);
    const { repeated } = await parts.inbox.message(id, siloOf(context), event);
    parts.book.count(id, requestBytes(method, request), 0);
    return { repeatedMessage: repeated };
  };
  return {
    advertise: (request, context) => {
      const message = decodeAdvert(request.advert);
      return take('Advertise', request, { kind: 'advert', message }, context);
    },
    share: (request, context) => {
      const message = decodeSharesMessage(request);
      return take('Share', request, { kind: 'shares', message }, context);
    },
    complain: (request, context) => {
      const message = decodeComplaint(request.complaint);
      return take('Complain', request, { kind: 'complaint', message }, context);
    },
    confirm: (request, context) => {
      const message = decodeConfirmation(request.confirmation);
      return take('Confirm', request, { kind: 'confirmation', message }, context);
    },
    release: (request, context) => {
      const message = decodeRelease(request);
      return take('Release', request, { kind: 'release', message }, context);
    },
    withdraw: async ({ key, code }, context) => {
      await parts.inbox.withdraw(roundIdOf(key), siloOf(context), code);
      return {};
    },
  };
}

function witnessHandlers({
  ledger,
  witnesses,
}: RoundsParts): Pick<Handlers<RoundsMethods>, 'proveLog' | 'cosignCheckpoint'> {
  return {
    proveLog: async ({ fromSize, toSize }) => {
      const [from, to] = [wholeNumber(fromSize, 'from_size'), wholeNumber(toSize, 'to_size')];
      return { hashes: [...ledger.consistency(from, to)] };
    },
    cosignCheckpoint: ({ treeSize, cosignature, witnessKey, signature }, context) =>
      witnesses.cosign(siloOf(context), {
        treeSize: wholeNumber(treeSize, 'tree_size'),
        line: cosignature,
        verifierKey: witnessKey,
        signature: new Uint8Array(signature),
      }),
  };
}

/** The masked vector is durable before its header is taken, and the header before the answer. */
async function submit(
  parts: RoundsParts,
  requests: AsyncIterable<SubmitRequest__Output>,
  context: CallContext,
): Promise<{ repeatedMessage: boolean }> {
  const { inbox, blobs, book } = parts;
  const silo = siloOf(context);
  const { head, rest } = await splitHead(requests);
  const envelope = needed(head.header, 'header');
  const id = roundIdOf(envelope.key);
  const header = decodeMaskedHeader(envelope.header);
  const announced = wholeNumber(envelope.sizeBytes, 'size_bytes');
  const sizeBytes = await inbox.admitVector(id, silo, header, announced);
  if (sizeBytes === undefined) return { repeatedMessage: true };
  await inbox.spend(id, silo, copyOf(envelope.spend));
  const hash = toHex(header.vectorHash);
  const count = (bytes: number): void => book.count(id, bytes, 0);
  const expected = { hash, sizeBytes, limitBytes: sizeBytes };
  await blobs.receive(inOrder(vectorChunks(rest, count)), expected).catch(storeIsFull);
  try {
    const { repeated } = await inbox.message(id, silo, { kind: 'masked', header });
    count(requestBytes('Submit', head));
    return { repeatedMessage: repeated };
  } catch (caught) {
    if (!isKept(parts, id, hash)) await blobs.remove(hash);
    throw caught;
  }
}

/** The silo is to try again, as when the database cannot be written, and not to leave the attempt. */
function storeIsFull(caught: unknown): never {
  if (!isMedleyError(caught) || caught.code !== 'FILE_UNWRITABLE') throw caught;
  throw new MedleyError('STORE_UNUSABLE', 'the vector cannot be written', { cause: caught });
}

/** A view of the message would keep all of it in memory. */
function copyOf(spend: SpendBytes__Output | null): SpendBytes | undefined {
  return spend
    ? {
        statement: new Uint8Array(spend.statement),
        signature: new Uint8Array(spend.signature),
      }
    : undefined;
}

async function* vectorChunks(
  messages: AsyncIterable<SubmitRequest__Output>,
  count: (bytes: number) => void,
): AsyncGenerator<NonNullable<SubmitRequest__Output['chunk']>> {
  for await (const message of messages) {
    if (!message.chunk) throw new MedleyError('RPC_MESSAGE_INVALID', 'a chunk is missing');
    count(message.chunk.data.length);
    yield message.chunk;
  }
}

/** True when an accepted header names the vector, as after two uploads of it at once. */
function isKept({ book }: RoundsParts, id: RoundId, hash: string): boolean {
  const headers = book.find(id)?.state.coordinator.headers ?? [];
  return headers.some(({ vectorHash }) => toHex(vectorHash) === hash);
}

function siloOf(context: CallContext): string {
  return needed(context.peer, 'certificate').name;
}
