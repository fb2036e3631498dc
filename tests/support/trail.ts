import {
  canonicalBytes,
  concatBytes,
  seededRng,
  sha256,
  timestamp,
  toBase64,
  toHex,
  utf8,
} from '@medley/kit';
import {
  MerkleTree,
  formatVerifierKey,
  leafHash,
  logKeyFromSeed,
  signCheckpoint,
  verifierKeyOf,
} from '@medley/merkle';
import {
  encodeVector,
  hashVector,
  makeReceipt,
  planUnmask,
  receiptToJson,
  removeMasks,
  sessionId,
} from '@medley/secagg';
import {
  DEFAULT_FLOORS,
  EXAMPLE_STUDY,
  charterHash,
  decisionStatement,
  draftCharter,
  encodeModelState,
  evaluationValues,
  firstRound,
  kindOfRound,
  lastRound,
  modelStateHash,
  settleRound,
  readStudy,
  roundTerms,
  statisticsValues,
  trainingValues,
  type Charter,
  type ModelState,
  type RoundKind,
  type SlotValues,
} from '@medley/study';
import {
  encodeEvent,
  verifyTrail,
  type ClaimName,
  type EventOf,
  type EventType,
  type TrailEvent,
} from '@medley/trail';
import { TestSession, identityOf } from './secagg.ts';

const CREATED_MS = Date.parse('2026-11-23T08:00:00.000Z');
export const CONSORTIUM = 'breast-cancer';
export const LOG_KEY = logKeyFromSeed(`medley/${CONSORTIUM}`, sha256(utf8('log key')));
export const VERIFIER_KEY = formatVerifierKey(verifierKeyOf('log', LOG_KEY));

export const STUDY_BYTES = utf8(EXAMPLE_STUDY.replace('count: 30', 'count: 2'));
export const STUDY = readStudy(STUDY_BYTES, 'study.yaml');
const SILOS = [1, 2, 3, 4, 5].map((i) => `silo-${i}`);

export const CHARTER: Charter = draftCharter({
  consortium: CONSORTIUM,
  study: STUDY,
  studyBytes: STUDY_BYTES,
  modelBytes: utf8('a forward graph'),
  modelParameters: 6,
  roster: SILOS.map((silo) => ({ silo, identityKey: identityOf(silo).publicKey })),
  log: { origin: LOG_KEY.name, verifierKey: VERIFIER_KEY },
  nowMs: CREATED_MS,
  floors: DEFAULT_FLOORS,
});

type Draft = TrailEvent extends infer Event
  ? Event extends TrailEvent
    ? Omit<Event, 'v' | 'at' | 'consortium' | 'actor' | 'outcome'>
    : never
  : never;

/**
 * The events of one whole study by five hospitals: enrolment, charter, statistics, two training
 * rounds, evaluation, export. Every signature is real, every round ran the real protocol; silo-5 is
 * lost in round 2 after it shared.
 */
export function wholeStudy(): TrailEvent[] {
  const events: TrailEvent[] = [];
  const record = (actor: TrailEvent['actor'], draft: Draft): void => {
    const at = timestamp(CREATED_MS + 1000 * events.length);
    // A draft of one type plus the envelope is the event of that type.
    events.push({ v: 1, at, consortium: CONSORTIUM, actor, outcome: 'ok', ...draft });
  };
  const operator = { kind: 'operator', id: 'ada' } as const;
  const aggregator = { kind: 'aggregator', id: 'aggregator' } as const;
  const study = STUDY.name;
  const hash = charterHash(CHARTER);
  record(operator, {
    type: 'consortium.created',
    data: { caPin: toHex(sha256(utf8('authority'))), logKey: VERIFIER_KEY },
  });
  for (const silo of SILOS) {
    const identityKeyHash = toHex(sha256(identityOf(silo).publicKey));
    const requestId = `request-${silo}`;
    record(operator, {
      type: 'silo.approved',
      data: { silo, requestId, certificateSerial: '0a', identityKeyHash },
    });
  }
  record(operator, {
    type: 'study.proposed',
    study,
    data: { charterHash: hash, files: CHARTER.files, studyFile: toBase64(STUDY_BYTES) },
  });
  for (const silo of SILOS) {
    record(
      { kind: 'silo', id: silo },
      { type: 'charter.signed', study, data: signedDecision(silo) },
    );
  }
  record(operator, { type: 'study.started', study, data: { charterHash: hash, charter: CHARTER } });

  let state: ModelState = { parameters: new Float32Array(6), standardisation: null };
  for (let round = firstRound(STUDY); round <= lastRound(STUDY); round++) {
    const kind = kindOfRound(STUDY, round)!;
    const modelHash = modelStateHash(encodeModelState(state));
    const terms = roundTerms({
      charter: CHARTER,
      study: STUDY,
      kind,
      round,
      attempt: 1,
      modelHash,
    });
    const sid = toHex(sessionId(terms));
    const place = { study, round, attempt: 1 };
    const deadline = timestamp(CREATED_MS + 3_600_000);
    record(aggregator, {
      type: 'round.opened',
      ...place,
      data: { kind, sid, modelHash, deadline },
    });

    const stepsTaken = [5, 5, 5, 5, round === 2 ? 2 : 5];
    const rng = seededRng(`round ${round}`);
    const vectors = SILOS.map(() => encodeVector(terms.layout, contribution(kind, rng), rng));
    const session = new TestSession({ terms, vectors, stepsTaken }).runThrough('release');
    const sum = session.maskedSum();
    removeMasks(sum, planUnmask(terms, session.coordinator));
    const aggregateHash = hashVector(sum);
    const receipt = receiptToJson(makeReceipt(terms, session.coordinator, aggregateHash));
    state = settleRound({ study: STUDY, charter: CHARTER, kind, state, sum }).state;
    const nextModelHash = modelStateHash(encodeModelState(state));
    if (round === 2) {
      record(aggregator, {
        type: 'round.dropped',
        ...place,
        data: { silo: 'silo-5', step: 'mask' },
      });
    }
    record(aggregator, {
      type: 'round.closed',
      ...place,
      data: { kind, receipt, aggregateHash: toHex(aggregateHash), modelHash, nextModelHash },
    });
  }
  const modelHash = modelStateHash(encodeModelState(state));
  record(aggregator, { type: 'study.completed', study, data: { modelHash, rounds: 2 } });
  record(operator, { type: 'model.exported', study, data: { modelHash, recipient: 'ada' } });
  return events;
}

/** A decision of `silo`, signed by `signer` (its own key unless told otherwise). */
export function signedDecision(
  silo: string,
  options: { readonly signer?: string; readonly charter?: Charter; readonly refuse?: boolean } = {},
): { charterHash: string; silo: string; statement: string; signature: string } {
  const statement = canonicalBytes(
    decisionStatement({
      charter: options.charter ?? CHARTER,
      ...(options.refuse ? { decision: 'refuse', reason: 'no' } : { decision: 'approve' }),
      silo,
      steward: `Steward of ${silo}`,
      atMs: CREATED_MS,
    }),
  );
  const bytes = concatBytes(utf8('medley/charter/v1\n'), statement);
  return {
    charterHash: charterHash(CHARTER),
    silo,
    statement: toBase64(statement),
    signature: toBase64(identityOf(options.signer ?? silo).signer.sign(bytes)),
  };
}

function contribution(kind: RoundKind, rng: ReturnType<typeof seededRng>): SlotValues {
  const test = { logits: [-1, 0.5, 2, -0.2], labels: [0, 1, 1, 0] };
  const noise = () => rng.bytes(1)[0]! / 256;
  switch (kind) {
    case 'statistics':
      return statisticsValues(
        STUDY,
        CHARTER,
        Array.from({ length: 25 }, () => Float64Array.of(18 + 80 * noise(), 1, 0, 1, noise())),
      );
    case 'training': {
      const delta = Float32Array.from({ length: 6 }, () => noise() - 0.5);
      return trainingValues(STUDY, CHARTER, { delta, weight: 30, trainLoss: noise(), test });
    }
    case 'evaluation':
      return evaluationValues(STUDY, CHARTER, test);
  }
}

/** What the owner of the log key makes of any events: leaves and checkpoints over them, all signed. */
export function sealed(events: readonly TrailEvent[]): {
  entries: Uint8Array[];
  checkpoints: string[];
  verifierKey: string;
} {
  const entries = events.map((event) => encodeEvent(event));
  return { entries, checkpoints: checkpointsOf(entries), verifierKey: VERIFIER_KEY };
}

/** Checkpoints at every fifth size and at the end. */
export function checkpointsOf(entries: readonly Uint8Array[]): string[] {
  const tree = new MerkleTree(entries.map(leafHash));
  return entries
    .map((_, i) => i + 1)
    .filter((size) => size % 5 === 0 || size === entries.length)
    .map((size) => signCheckpoint({ origin: LOG_KEY.name, size, root: tree.root(size) }, LOG_KEY));
}

/** Names of the claims that fail. */
export function failing(exported: Parameters<typeof verifyTrail>[0]): ClaimName[] {
  return verifyTrail(exported)
    .claims.filter(({ ok }) => !ok)
    .map(({ name }) => name);
}

/** The events with the first of a type (and round) changed. */
export function edited<Type extends EventType>(
  events: readonly TrailEvent[],
  type: Type,
  change: (event: EventOf<Type>) => TrailEvent,
  isWanted: (event: EventOf<Type>) => boolean = () => true,
): TrailEvent[] {
  const at = events.findIndex((event) => isOf(event, type) && isWanted(event));
  if (at < 0) throw new Error(`no such ${type}`);
  return events.map((event, i) => (i === at && isOf(event, type) ? change(event) : event));
}

function isOf<Type extends EventType>(event: TrailEvent, type: Type): event is EventOf<Type> {
  return event.type === type;
}
