import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  canonicalBytes,
  concatBytes,
  MedleyError,
  systemClock,
  systemRng,
  timestamp,
  toBase64,
  toHex,
  utf8,
} from '@medley/kit';
import { leafHash, MerkleTree, signCheckpoint } from '@medley/merkle';
import type { AdminMethods, AuditMethods, Client } from '@medley/rpc';
import {
  charterHash,
  decisionStatement,
  DEFAULT_FLOORS,
  draftCharter,
  EXAMPLE_STUDY,
  readStudy,
  spendStatement,
} from '@medley/study';
import { encodeEvent, type TrailEvent } from '@medley/trail';
import { fillBundle, type ExportParts } from '../../services/operator/src/export/bundle.ts';
import { BundleFolder } from '../../services/operator/src/export/folder.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { verify } from '../support/exported.ts';
import { identityOf } from '../support/secagg.ts';
import {
  checkpointsOf,
  CONSORTIUM,
  edited,
  LOG_KEY,
  signedDecision,
  VERIFIER_KEY,
  wholeStudy,
} from '../support/trail.ts';

let authority: TestAuthority;
let operator: { readonly certPem: string; readonly keyPem: string };
let folder: string;
let number = 0;
beforeAll(async () => {
  authority = await createTestAuthority(CONSORTIUM);
  operator = authority.issue('operator', 'ada');
  folder = await mkdtemp(join(tmpdir(), 'medley-forged-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Names of the claims that fail of a bundle that the owner of log key and certificate makes. */
async function failing(events: readonly TrailEvent[]): Promise<readonly string[]> {
  const own = edited(events, 'consortium.created', (event) => ({
    ...event,
    data: { ...event.data, caPin: authority.caPin },
  }));
  const leaves = own.map(encodeEvent);
  const target = join(folder, String(number++));
  const made = await BundleFolder.begin(target, false, systemRng);
  const scope = { from: null, to: null, study: null, silo: null };
  await fillBundle(made, { scope, recipient: 'a court', waitMs: 0 }, partsOver(leaves));
  await made.publish();
  return (await verify(target, '--no-witnesses', '--log-key', VERIFIER_KEY)).failing;
}

function partsOver(leaves: readonly Uint8Array[]): ExportParts {
  const audit = {
    listCheckpoints: async function* () {
      for (const note of checkpointsOf(leaves)) yield { note, treeSize: '0' };
    },
    listEntries: async function* () {
      for (const leaf of leaves) yield { index: '0', leaf };
    },
  } as unknown as Client<AuditMethods>;
  const unanswered = () => Promise.reject(new MedleyError('RPC_FORBIDDEN', 'not here'));
  const admin = {
    listOperators: unanswered,
    listSilos: unanswered,
    recordExport: async (request: Readonly<Record<string, string | Uint8Array>>) =>
      record(leaves, request),
  } as unknown as Client<AdminMethods>;
  const config = {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium: CONSORTIUM,
    operator: 'ada',
    aggregator: { endpointsFile: 'none.json' },
    audit: { endpointsFile: 'none.json' },
  } as const;
  return {
    home: {
      ...{ folder, config, caPem: authority.caPem, logVerifierKey: VERIFIER_KEY },
      ...{ certPem: operator.certPem, keyPem: operator.keyPem },
    },
    ...{ audit, admin, clock: systemClock, rng: systemRng, version: '0.0.0-test' },
    signal: new AbortController().signal,
    viewsFolder: null,
    progress: () => undefined,
  };
}

function record(leaves: readonly Uint8Array[], request: Readonly<Record<string, unknown>>) {
  const size = leaves.length;
  const leaf = encodeEvent({
    ...{ v: 1, type: 'audit.exported', at: timestamp(systemClock.nowMs()), outcome: 'ok' },
    consortium: CONSORTIUM,
    actor: { kind: 'operator', id: 'ada' },
    data: {
      manifestHash: toHex(request['manifestHash'] as Uint8Array),
      ...{ format: 'bundle/v1', first: 0, end: size, size, recipient: 'a court' },
    },
  });
  const tree = new MerkleTree([...leaves, leaf].map(leafHash));
  const head = { origin: LOG_KEY.name, size: tree.size, root: tree.root() };
  return {
    ...{ index: String(size), leaf, checkpoint: signCheckpoint(head, LOG_KEY) },
    path: tree.inclusionProof(size),
    consistency: tree.consistencyProof(size),
  };
}

const events = wholeStudy();

describe('whoever holds the log key and the operator’s certificate', () => {
  test('passes with what really happened', async () => {
    expect(await failing(events)).toEqual([]);
  });

  const inRound = (round: number) => (event: { readonly round: number }) => event.round === round;
  const receipt = (change: (receipt: Record<string, unknown>) => object) =>
    edited(events, 'round.closed', (event) => ({
      ...event,
      data: {
        ...event.data,
        receipt: change({ ...event.data.receipt }) as typeof event.data.receipt,
      },
    }));
  const without = (isGone: (event: TrailEvent) => boolean) => events.filter((e) => !isGone(e));

  test.each<[string, () => readonly TrailEvent[], readonly string[]]>([
    [
      'sign in the name of a hospital',
      () => edited(events, 'charter.signed', (e) => ({ ...e, data: signedDecision('silo-1', { signer: 'silo-2' }) })),
      ['charters'],
    ],
    [
      'pass a refusal off as an approval',
      () => edited(events, 'charter.signed', (e) => ({ ...e, data: signedDecision('silo-1', { refuse: true }) })),
      ['charters'],
    ],
    [
      'start a study that a hospital did not approve',
      () => without((e) => e.type === 'charter.signed' && e.data.silo === 'silo-3'),
      ['charters'],
    ],
    [
      'train before the hospitals had signed',
      () => {
        const started = events.filter(({ type }) => type === 'study.started');
        return [...without(({ type }) => type === 'study.started'), ...started];
      },
      ['rounds', 'models'],
    ],
    ['close a round that was never opened', () => without((e) => e.type === 'round.opened' && e.round === 2), ['rounds']],
    ['leave a round out', () => without((e) => 'round' in e && e.round === 1), ['rounds', 'models']],
    ['open a sum that too few confirmed', () => receipt((r) => ({ ...r, confirmations: (r['confirmations'] as object[]).slice(0, 3) })), ['receipts']],
    ['name other hospitals than those who signed', () => receipt((r) => ({ ...r, survivors: [1, 2, 3, 4] })), ['receipts']],
    ['open a sum of two', () => receipt((r) => ({ ...r, survivors: [1, 2] })), ['receipts']],
    ['count one hospital twice', () => receipt((r) => ({ ...r, confirmations: (r['confirmations'] as object[]).map((_, __, all) => all[0]) })), ['receipts']],
    ['say another sum than was confirmed', () => receipt((r) => ({ ...r, aggregateHash: 'ab'.repeat(32) })), ['receipts']],
    [
      'put another model in',
      () => edited(events, 'round.closed', (e) => ({ ...e, data: { ...e.data, nextModelHash: 'ab'.repeat(32) } }), inRound(1)),
      ['models'],
    ],
    [
      'export a model that nobody trained',
      () => edited(events, 'model.exported', (e) => ({ ...e, data: { ...e.data, modelHash: 'ab'.repeat(32) } })),
      ['models'],
    ],
  ])('cannot %s', async (_, forged, claims) => {
    expect(await failing(forged())).toEqual(claims);
  }); // prettier-ignore

  test.each<[string, (round: number, epsilon: number) => readonly TrailEvent[], boolean]>([
    ['passes where all stated their cost', (r, e) => SILOS.map((silo) => spent(silo, r, e)), true],
    ['cannot use data that nobody paid for', (r, e) => SILOS.slice(1).map((silo) => spent(silo, r, e)), false],
    ['cannot go above the limit', (r) => SILOS.map((silo) => spent(silo, r, 4.01)), false],
    ['cannot state in another’s name', (r, e) => SILOS.map((silo) => spent(silo, r, e, 'silo-2')), false],
    ['cannot give budget back', (r, e) => SILOS.map((silo) => spent(silo, r, 3 - e)), false],
  ])('with a noised study: %s', async (_, pay, isFine) => {
    const log = [...begun(), ...trained(1, pay(1, 1)), ...trained(2, pay(2, 2))];
    const claims = await failing(log);
    expect(claims.includes('privacy')).toBe(!isFine);
    expect(claims).not.toContain('charters');
  }); // prettier-ignore
});

const SILOS = [1, 2, 3, 4, 5].map((i) => `silo-${i}`);
const noisedFile = utf8(
  `${EXAMPLE_STUDY.replace('localEpochs: 2', 'localSteps: 5')}privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n`,
);
const noised = readStudy(noisedFile, 'study.yaml');
const charter = draftCharter({
  consortium: CONSORTIUM,
  study: noised,
  studyBytes: noisedFile,
  modelBytes: utf8('model'),
  modelParameters: 9,
  roster: SILOS.map((silo) => ({ silo, identityKey: identityOf(silo).publicKey })),
  log: { origin: LOG_KEY.name, verifierKey: VERIFIER_KEY },
  nowMs: Date.parse('2026-11-23T08:00:00.000Z'),
  floors: DEFAULT_FLOORS,
});
const envelope = {
  v: 1,
  at: '2026-11-23T09:00:00.000Z',
  consortium: CONSORTIUM,
  outcome: 'ok',
  actor: { kind: 'aggregator', id: 'aggregator' },
  study: noised.name,
} as const;

/** Enrolment and charter of the noised study. */
function begun(): TrailEvent[] {
  const enrolled = events.filter(({ type }) => /^(consortium|silo)\./.test(type));
  const hash = charterHash(charter);
  const signed = SILOS.map((silo): TrailEvent => {
    const draft = { charter, decision: 'approve', silo, steward: 'S', atMs: Date.parse(envelope.at) } as const;
    return { ...envelope, type: 'charter.signed', data: { charterHash: hash, silo, ...statementOf('charter', silo, decisionStatement(draft)) } };
  });
  return [...enrolled, ...signed, { ...envelope, type: 'study.started', data: { charterHash: hash, charter } }];
} // prettier-ignore

function spent(silo: string, round: number, epsilon: number, by = silo): TrailEvent {
  const draft = { charter, silo, round, kind: 'training', epsilon } as const;
  const statement = spendStatement({ ...draft, entry: 'ab'.repeat(32) });
  return {
    ...envelope,
    ...{ type: 'privacy.spent', round, attempt: 1 },
    data: { silo, ...statementOf('spend', by, statement) },
  };
}

/** A round whose receipt is left empty: only its survivors count here. */
function trained(round: number, costs: readonly TrailEvent[]): TrailEvent[] {
  const hash = 'cd'.repeat(32);
  const place = { ...envelope, round, attempt: 1 };
  const sets = { sharers: [1, 2, 3, 4, 5], survivors: [1, 2, 3, 4, 5], confirmations: [] };
  const receipt = { sid: hash, termsHash: hash, aggregateHash: hash, ...sets };
  const states = { modelHash: hash, nextModelHash: hash };
  return [
    {
      ...place,
      type: 'round.opened',
      data: { kind: 'training', sid: hash, modelHash: hash, deadline: envelope.at },
    },
    ...costs,
    {
      ...place,
      type: 'round.closed',
      data: { kind: 'training', receipt, aggregateHash: hash, ...states },
    },
  ];
}

function statementOf(domain: string, signer: string, document: object) {
  const statement = canonicalBytes(document);
  const signed = concatBytes(utf8(`medley/${domain}/v1\n`), statement);
  return {
    statement: toBase64(statement),
    signature: toBase64(identityOf(signer).signer.sign(signed)),
  };
}
