import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inspectModel } from '@medley/autodiff';
import { canonicalBytes, EXIT, MedleyError, sha256, systemRng, utf8 } from '@medley/kit';
import {
  createIdentity,
  createInvitation,
  invitationSecretHash,
  issueCertificate,
  openIdentity,
  verifyEnrolment,
  verifyStatement,
} from '@medley/pki';
import {
  Enrolment,
  Rounds,
  serve,
  startServer,
  type CollectReply,
  type Handlers,
  type RoundsMethods,
  type RunningServer,
} from '@medley/rpc';
import { DEFAULT_FLOORS, draftCharter, type Charter } from '@medley/study';
import { createTestAuthority, type TestAuthority } from '../../../tests/support/certificates.ts';
import { callAgent, type Called } from '../../../tests/support/commandLine.ts';
import { MODEL, STUDY, STUDY_BYTES } from '../../../tests/support/studyFile.ts';
import { Sessions } from '../round/session.ts';
import { verifyDecision, type DecisionBytes } from '../study/signature.ts';

let folder: string;
let home: string;
let authority: TestAuthority;
let enrolment: RunningServer;
let rounds: RunningServer;
let charter: Charter;
let reply: CollectReply = { state: 'PENDING' };
const requested: { csrPem: string; identityKey: Uint8Array }[] = [];
const decided: DecisionBytes[] = [];
const left: DecisionBytes[] = [];

const unused = (): never => {
  throw new MedleyError('RPC_UNIMPLEMENTED', 'not part of this test');
};

const studies: Handlers<RoundsMethods> = {
  listStudies: () => ({
    studies: [{ study: STUDY.name, title: STUDY.title, state: 'proposed', rosterSize: 3 }],
  }),
  getStudy: () => ({
    studyFile: STUDY_BYTES,
    model: new Uint8Array(),
    charter: canonicalBytes(charter),
    state: 'proposed',
  }),
  // The model comes as a blob, as large ones do.
  fetchBlob: async function* ({ sha256: hash }) {
    if (!Buffer.from(hash).equals(Buffer.from(sha256(MODEL))))
      throw new MedleyError('BLOB_UNKNOWN', 'other');
    yield { offset: '0', data: MODEL };
  },
  signCharter: ({ signature }) => {
    if (signature) decided.push(signature);
    return { signed: 1, rosterSize: 3 };
  },
  refuseCharter: ({ refusal }) => {
    if (refusal) decided.push(refusal);
    return {};
  },
  ...{ attend: unused, advertise: unused, share: unused, submit: unused, confirm: unused },
  ...{ release: unused, withdraw: unused, complain: unused },
  ...{ proveLog: unused, cosignCheckpoint: unused },
  leaveStudy: ({ withdrawal }) => {
    if (withdrawal) left.push(withdrawal);
    return {};
  },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-journey-'));
  home = join(folder, 'agent');
  authority = await createTestAuthority('ours');
  const own = authority.issue('aggregator', 'hub');
  const tls = { keyPem: own.keyPem, certChainPem: own.chainPem, caPem: authority.caPem };
  const desk = serve(Enrolment, {
    requestEnrolment: (request) => {
      const secretHash = invitationSecretHash(request.invitationSecret);
      const { fingerprint } = verifyEnrolment({ ...request, secretHash });
      requested.push(request);
      return { requestId: 'request-1', fingerprint: fingerprint.join('-') };
    },
    collectEnrolment: ({ requestId, signature }) => {
      const key = requested[0]!.identityKey;
      if (!verifyStatement(key, 'collect', { requestId }, signature)) return unused();
      return reply;
    },
    renewCertificate: unused,
    getRevocations: unused,
  });
  const address = '127.0.0.1:0';
  enrolment = await startServer({
    address,
    tls: { ...tls, requireClientCertificate: false },
    services: [desk],
  });
  rounds = await startServer({
    address,
    tls: { ...tls, requireClientCertificate: true },
    services: [serve(Rounds, studies)],
  });
  await callAgent(['init', '--site', 'north', '--name', 'North', '--home', home]);
});

afterAll(async () => {
  await Promise.all([enrolment.close(), rounds.close()]);
  await rm(folder, { recursive: true });
});

function invite(change: { silo?: string; caPin?: string } = {}): string {
  const endpoints = { enrolment: enrolment.address, rounds: rounds.address };
  const base = { rng: systemRng, nowMs: Date.now(), ttlMs: 60_000, endpoints, consortium: 'ours' };
  return createInvitation({ ...base, silo: 'north', caPin: authority.caPin, ...change }).token;
}

async function call(
  ...args: string[]
): Promise<Called & { readonly json: Record<string, unknown> }> {
  const called = await callAgent([...args, '--home', home, '--json']);
  return { ...called, json: JSON.parse(called.out) as Record<string, unknown> };
}

async function codeOf(...args: string[]): Promise<string> {
  const { json } = await call(...args);
  return (json['error'] as { code: string }).code;
}

// The tests of this file are one journey, in order.
describe('enrolment', () => {
  test('a token for another hospital or another consortium is refused before keys are sent', async () => {
    expect(await codeOf('enroll', invite({ silo: 'south' }))).toBe('AGENT_SITE_MISMATCH');
    const caPin = Buffer.from(sha256(utf8('other'))).toString('hex');
    expect(await codeOf('enroll', invite({ caPin }))).toBe('RPC_PIN_MISMATCH');
    expect(requested).toEqual([]);
  });

  test('shows six words and can be left while it waits', async () => {
    const { exit, json, err } = await call('enroll', invite(), '--no-wait');
    expect(exit).toBe(EXIT.ok);
    expect(json).toMatchObject({ state: 'pending', silo: 'north', consortium: 'ours' });
    const words = String(json['fingerprint']);
    expect(words.split(' ')).toHaveLength(6);
    expect(err).toContain(words);
    expect(await codeOf('study', 'list')).toBe('ENROLMENT_PENDING');
  });

  test('Ctrl-C while waiting ends with 130 and loses nothing', async () => {
    const stop = new AbortController();
    const waiting = callAgent(['enroll', '--home', home], { interrupted: stop.signal });
    stop.abort(new MedleyError('INTERRUPTED', 'SIGINT'));
    expect((await waiting).exit).toBe(EXIT.interrupted);
  });

  test("a certificate for another hospital's key or name is not taken", async () => {
    reply = { state: 'APPROVED', certificatePem: authority.issue('silo', 'north').certPem };
    expect(await codeOf('enroll')).toBe('PKI_CERTIFICATE_INVALID');
    const theirs = (await createTestAuthority('theirs')).issue('silo', 'north').certPem;
    reply = { state: 'APPROVED', certificatePem: theirs };
    expect(await codeOf('enroll')).toBe('PKI_CERTIFICATE_FOREIGN');
  });

  test('a refusal is told with its reason', async () => {
    reply = { state: 'REFUSED', reason: 'wrong words' };
    const { json, exit } = await call('enroll');
    expect(exit).toBe(EXIT.policy);
    expect(json).toMatchObject({
      error: { code: 'ENROLMENT_REFUSED', detail: expect.stringContaining('wrong words') },
    });
  });

  test('the approved certificate is kept and the enrolment is over', async () => {
    const issued = issueCertificate({
      authority: authority.authority,
      csrPem: requested[0]!.csrPem,
      subject: { consortium: 'ours', role: 'silo', name: 'north' },
      nowMs: Date.now(),
      days: 7,
      rng: systemRng,
    });
    reply = { state: 'APPROVED', certificatePem: issued.certificatePem };
    expect((await call('enroll')).json).toMatchObject({ state: 'enrolled', serial: issued.serial });
    expect(await codeOf('enroll', invite())).toBe('AGENT_ENROLLED');
    for (const name of [
      'tls.pem',
      'ca.pem',
      'enrolment.json',
      'keys/tls.key.pem',
      'keys/identity.key.pem',
    ]) {
      expect((await stat(join(home, name))).mode & 0o077).toBe(0);
    }
    expect(await readFile(join(home, 'enrolment.json'), 'utf8')).not.toContain('secret');
    const roster = [
      requested[0]!.identityKey,
      createIdentity().publicKey,
      createIdentity().publicKey,
    ];
    charter = draftCharter({
      consortium: 'ours',
      study: STUDY,
      studyBytes: STUDY_BYTES,
      modelBytes: MODEL,
      modelParameters: inspectModel(MODEL).parameterCount,
      roster: roster.map((identityKey, i) => ({
        silo: ['north', 'south', 'west'][i]!,
        identityKey,
      })),
      log: { origin: 'medley/ours', verifierKey: 'medley/ours+00000000+AAAA' },
      nowMs: Date.now(),
      floors: DEFAULT_FLOORS,
    });
  });
});

describe('deciding', () => {
  test('lists and shows what a study would do here', async () => {
    expect((await call('study', 'list')).json).toMatchObject({ studies: [{ study: STUDY.name }] });
    const { json } = await call('study', 'show', STUDY.name);
    expect(json).toMatchObject({
      study: STUDY.name,
      reads: { minPatients: STUDY.cohort.minPatients },
      leaves: { training: expect.any(Number) },
      roster: [{ silo: 'north', isThisSite: true }, { silo: 'south' }, { silo: 'west' }],
    });
    const text = await callAgent(['study', 'show', STUDY.name, '--home', home]);
    for (const words of [
      'never a row',
      'north (you)',
      'nodes',
      'legal basis',
      String(json['charterHash']),
    ]) {
      expect(text.out).toContain(words);
    }
  });

  test('signs nothing unasked, unchecked or with too weak protection', async () => {
    const sign = ['study', 'sign', STUDY.name, '--as', 'Dr. Ada Weber'];
    expect(await codeOf(...sign, '--yes')).toBe('AGENT_NO_DATA');
    expect(await codeOf(...sign, '--skip-data')).toBe('AGENT_CONFIRMATION');
    const wrong = await callAgent([...sign, '--skip-data', '--home', home], {
      ask: async () => 'yes',
    });
    expect(wrong.exit).toBe(EXIT.policy);
    const file = join(home, 'agent.yaml');
    const yaml = await readFile(file, 'utf8');
    await writeFile(file, yaml.replace(/minSilos: \d+/, 'minSilos: 4'));
    expect(await codeOf(...sign, '--yes', '--skip-data')).toBe('CHARTER_ROSTER_INVALID');
    await writeFile(file, yaml);
    expect(decided).toEqual([]);
  });

  test('signs with the identity key what was shown, and pins it', async () => {
    const args = [
      'study',
      'sign',
      STUDY.name,
      '--as',
      'Dr. Ada Weber',
      '--skip-data',
      '--home',
      home,
    ];
    const called = await callAgent(args, { ask: async () => `${STUDY.name}\n` });
    expect(called.exit).toBe(EXIT.ok);
    expect(called.out).toContain('1 of 3');
    expect(verifyDecision(charter, decided[0]!)).toMatchObject({
      decision: 'approve',
      silo: 'north',
      steward: 'Dr. Ada Weber',
    });
    expect(await readFile(join(home, 'studies', STUDY.name, 'study.yaml'))).toEqual(
      Buffer.from(STUDY_BYTES),
    );
    expect((await call('status')).json).toMatchObject({
      enrolment: { state: 'enrolled' },
      studies: [{ study: STUDY.name, decision: 'approve', verifiedRound: null, fault: null }],
    });
  });

  test('status says which attempt was given up, and under which code', async () => {
    const sessions = new Sessions(join(home, 'rounds', STUDY.name));
    await sessions.end({ round: 0, attempt: 2 }, 'ab'.repeat(32), 'SECAGG_EQUIVOCATION');
    const status = await call('status');
    expect(status.json).toMatchObject({
      studies: [{ gaveUp: { round: 0, attempt: 2, code: 'SECAGG_EQUIVOCATION' } }],
    });
    const text = await callAgent(['status', '--home', home]);
    expect(text.out).toContain('gave up round 0 attempt 2: SECAGG_EQUIVOCATION');
    await sessions.forget(0);
    expect((await call('status')).json).toMatchObject({ studies: [{ gaveUp: null }] });
  });

  test('another charter under the same name is refused after that', async () => {
    const signed = charter;
    const other = openIdentity(createIdentity().privateKeyPem).publicKey;
    const roster = signed.roster.map((member, i) =>
      i === 2 ? { ...member, identityKey: Buffer.from(other).toString('base64') } : member,
    );
    charter = { ...signed, roster };
    expect(await codeOf('study', 'sign', STUDY.name, '--as', 'x', '--yes', '--skip-data')).toBe(
      'STUDY_CHANGED',
    );
    charter = signed;
  });

  test('a tampered folder is noticed', async () => {
    const file = join(home, 'studies', STUDY.name, 'study.yaml');
    await writeFile(file, Buffer.from(STUDY_BYTES).toString().replace('count: 2', 'count: 3'));
    expect((await call('status')).json).toMatchObject({ studies: [{ fault: 'STUDY_CHANGED' }] });
    await writeFile(file, STUDY_BYTES);
  });

  test('a withdrawal is kept before anybody is told, and signed once', async () => {
    const leave = ['study', 'withdraw', STUDY.name, '--as', 'Dr. Ada Weber', '--reason', 'Consent'];
    expect(await codeOf(...leave)).toBe('AGENT_CONFIRMATION');
    const { json } = await call(...leave, '--yes');
    expect(json).toMatchObject({ decision: { decision: 'withdraw', reason: 'Consent' } });
    expect(verifyDecision(charter, left[0]!)).toMatchObject({ decision: 'withdraw' });
    await call(...leave, '--yes');
    expect(left[1]).toEqual(left[0]);
    const file = join(home, 'studies', STUDY.name, 'withdrawal.json');
    expect(await readFile(file, 'utf8')).toContain('"withdraw"');
    await rm(file);
  });

  test('a refusal is signed with its reason', async () => {
    const { json } = await call(
      'study',
      'refuse',
      STUDY.name,
      '--as',
      'Dr. Ada Weber',
      '--reason',
      'No consent',
    );
    expect(json).toMatchObject({ decision: { decision: 'refuse', reason: 'No consent' } });
    expect(verifyDecision(charter, decided.at(-1)!)).toMatchObject({ decision: 'refuse' });
  });

  test('a study that does not name this hospital with its key is not shown', async () => {
    const signed = charter;
    charter = {
      ...signed,
      roster: signed.roster.map((member, i) => ({ ...member, silo: `other-${i}` })),
    };
    expect(await codeOf('study', 'show', STUDY.name)).toBe('STUDY_OUTSIDER');
    charter = signed;
  });
});
