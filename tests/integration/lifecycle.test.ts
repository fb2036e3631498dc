import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { canonicalBytes } from '@medley/kit';
import { signStatement } from '@medley/pki';
import type { AdminMethods, Client, StudyStatus__Output } from '@medley/rpc';
import { decisionStatement, readCharter } from '@medley/study';
import { decodeEvent } from '@medley/trail';
import {
  codeOf,
  TestConsortium,
  testKeys,
  type EnrolledSilo,
  type TestKeys,
} from '../support/aggregator.ts';
import { SimAgent, type SimOptions } from '../support/simAgent.ts';

const NAMES = ['alder', 'birch', 'cedar', 'douglas', 'elm'];
const STUDY = 'recurrence-5y';
let keys: TestKeys;
let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let silos: EnrolledSilo[];
let agents: SimAgent[];
let attending: Promise<void>[];

beforeAll(async () => {
  keys = await testKeys();
});
beforeEach(async () => {
  consortium = await TestConsortium.create(keys);
  admin = consortium.admin();
  [agents, attending, silos] = [[], [], []];
  for (const name of NAMES) silos.push(await consortium.enrol(admin, name));
});
afterEach(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
  admin.close();
  await consortium.remove();
});

/** One round of training, no patience: steps wait for nobody who cannot come. */
async function begin(expires?: string): Promise<void> {
  await consortium.propose(admin, (yaml) =>
    yaml
      .replace('count: 30, maxAttempts: 3', 'count: 1, maxAttempts: 2')
      .replace(/expires: \S+/, (line) => (expires ? `expires: ${expires}` : line)),
  );
  for (const silo of silos) await consortium.sign(silo, STUDY);
  await admin.startStudy({ study: STUDY });
}

function join(silo: EnrolledSilo, options: SimOptions = {}): SimAgent {
  const agent = new SimAgent(silo, options);
  agents.push(agent);
  const client = consortium.rounds(silo.tls);
  attending.push(agent.attend(client).finally(() => client.close()));
  return agent;
}

async function ended(): Promise<StudyStatus__Output> {
  let last: StudyStatus__Output | undefined;
  for await (const status of admin.watchStudy({ study: STUDY })) last = status;
  return last!;
}

async function leaves(): Promise<ReturnType<typeof decodeEvent>[]> {
  const entries = await consortium.store.tables.log.range(0, 10_000);
  return entries.map(({ leaf }) => decodeEvent(leaf));
}

/** The silo's signed withdrawal, as its agent sends it. */
async function leave(silo: EnrolledSilo, by = silo): Promise<string> {
  const client = consortium.rounds(silo.tls);
  const { charter } = await client.getStudy({ study: STUDY });
  const decision = decisionStatement({
    charter: readCharter(new Uint8Array(charter)),
    decision: 'withdraw',
    silo: silo.name,
    steward: 'Steward',
    reason: 'consent was revoked',
    atMs: 1_800_000_000_000 - 1e11,
  });
  const { signature } = signStatement(by.identity, 'charter', { ...decision });
  const withdrawal = { silo: silo.name, statement: canonicalBytes(decision), signature };
  const code = await codeOf(client.leaveStudy({ study: STUDY, withdrawal }));
  client.close();
  return code;
}

describe('a study that has started', () => {
  test('pauses between rounds, goes on when resumed, and says so in the log', async () => {
    await begin();
    await admin.pauseStudy({ study: STUDY, reason: 'maintenance' });
    await admin.pauseStudy({ study: STUDY, reason: 'again' });
    for (const silo of silos) join(silo);
    while ((await admin.listSilos({})).silos.some((one) => !one.attending)) await Promise.resolve();
    const paused = await admin.getStudyStatus({ study: STUDY });
    expect(paused.summary?.state).toBe('paused');
    expect(paused).toMatchObject({ rounds: [], waitingFor: 'the operator to resume it' });
    await admin.resumeStudy({ study: STUDY });
    expect((await ended()).summary?.state).toBe('completed');
    const types = (await leaves()).map(({ type }) => type);
    expect(types.filter((type) => /paused|resumed/.test(type))).toEqual([
      'study.paused',
      'study.resumed',
    ]);
    expect(await codeOf(admin.pauseStudy({ study: STUDY, reason: '' }))).toBe('STUDY_STATE');
  });

  test('goes on without a hospital that leaves in the middle of a round', async () => {
    await begin();
    const [leaving, ...staying] = silos as [EnrolledSilo, ...EnrolledSilo[]];
    let reached: () => void = () => undefined;
    const masking = new Promise<void>((resolve) => (reached = resolve));
    let go: () => void = () => undefined;
    const hold = new Promise<boolean>((resolve) => (go = () => resolve(true)));
    const agent = join(leaving, {
      before: (task, step) => {
        if (task.key?.round !== 1 || step !== 'mask') return true;
        reached();
        return hold;
      },
    });
    for (const silo of staying) join(silo);
    await masking;
    expect(await leave(leaving, staying[0])).toBe('STUDY_DECISION_INVALID');
    expect(await leave(leaving)).toBe('none');
    expect(await leave(leaving)).toBe('none');
    go();
    const status = await ended();
    expect(status.summary?.state).toBe('completed');
    const rounds = status.rounds.map(({ round, survivors }) => [round, survivors.length]);
    expect(rounds).toEqual([
      [0, 5],
      [1, 4],
      [2, 4],
    ]);
    expect(status.rounds[2]?.sharers).not.toContain('alder');
    expect(agent.faults.every((code) => /ROUND_WITHDRAWN|SECAGG|ROUND_UNKNOWN/.test(code))).toBe(
      true,
    );
    expect((await leaves()).filter(({ type }) => type === 'charter.withdrawn')).toHaveLength(1);
  });

  test('ends when fewer hospitals remain than the charter asks for', async () => {
    await begin();
    expect(await leave(silos[0]!)).toBe('none');
    expect((await admin.getStudyStatus({ study: STUDY })).summary?.state).toBe('active');
    expect(await leave(silos[1]!)).toBe('none');
    const status = await ended();
    expect(status.summary?.state).toBe('withdrawn');
    expect(status.waitingFor).toContain('STUDY_LEFT: 3 hospitals remain');
    expect(await leave(silos[2]!)).toBe('STUDY_STATE');
  });

  test('goes on without a hospital that is revoked in the middle of a round', async () => {
    await begin();
    const [revoked, ...staying] = silos as [EnrolledSilo, ...EnrolledSilo[]];
    let reached: () => void = () => undefined;
    const masking = new Promise<void>((resolve) => (reached = resolve));
    const agent = join(revoked, {
      before: (task, step) => {
        if (task.key?.round === 1 && step === 'mask') reached();
        return !(task.key?.round === 1 && step === 'mask');
      },
    });
    for (const silo of staying) join(silo);
    await masking;
    await admin.revokeSilo({ silo: 'alder', reason: 'keyCompromise', note: '' });
    const status = await ended();
    expect(status.summary?.state).toBe('completed');
    expect(status.rounds.map(({ survivors }) => survivors.length)).toEqual([5, 4, 4]);
    expect(agent.faults).toEqual(['PKI_CERTIFICATE_REVOKED']);
  });

  test('can be stopped for good, with its round', async () => {
    await begin();
    await admin.stopStudy({ study: STUDY, reason: 'the protocol was amended' });
    expect((await ended()).summary?.state).toBe('withdrawn');
    expect(await codeOf(admin.resumeStudy({ study: STUDY }))).toBe('STUDY_STATE');
    expect(await codeOf(admin.stopStudy({ study: 'none', reason: '' }))).toBe('STUDY_UNKNOWN');
  });

  test('expires while it is paused', async () => {
    await begin(new Date(Date.now() + 2500).toISOString());
    await admin.pauseStudy({ study: STUDY, reason: '' });
    const status = await ended();
    expect(status.summary?.state).toBe('expired');
  });
});
