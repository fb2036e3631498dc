import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { deserializeEvidence, judge, sessionId } from '@medley/secagg';
import type { AdminMethods, Client, StudyStatus__Output } from '@medley/rpc';
import { decodeEvent, encodeEvent, verifyTrail, type TrailEvent } from '@medley/trail';
import { TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';
import { Secrets } from '../support/secrets.ts';
import { SimAgent } from '../support/simAgent.ts';
import { BOXES, LATE, MESSAGES, STANDING } from './siloAttacks.ts';
import { POISON, VECTORS } from './vectorAttacks.ts';
import type { Outcome, SiloAttack } from '../support/siloAttack.ts';

const HONEST = ['alder', 'birch', 'cedar', 'douglas'];
const MALLORY = 'mallory';
const ALL = [...HONEST, MALLORY];

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let silos: EnrolledSilo[];
let agents: SimAgent[];
let attending: Promise<void>[];
let studies = 0;

beforeAll(async () => {
  consortium = await TestConsortium.create(undefined, { keepMaskedVectors: true });
  admin = consortium.admin();
  silos = [];
  for (const name of ALL) silos.push(await consortium.enrol(admin, name));
});
afterEach(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
});
afterAll(async () => {
  admin.close();
  await consortium.remove();
});

/** A study of one training round, without statistics, that every silo has signed and that runs. */
async function begin(): Promise<string> {
  const study = `attack-${String(++studies)}`;
  await consortium.propose(admin, (yaml) =>
    yaml
      .replace('name: recurrence-5y', `name: ${study}`)
      .replace('standardise: true', 'standardise: false')
      .replace(
        'count: 30, maxAttempts: 3, stepSeconds: 30',
        'count: 1, maxAttempts: 3, stepSeconds: 20',
      ),
  );
  for (const silo of silos) await consortium.sign(silo, study);
  await admin.startStudy({ study });
  return study;
}

interface Played {
  readonly status: StudyStatus__Output;
  readonly leaves: readonly TrailEvent[];
  /** What the aggregator answered to the attack, in order. */
  readonly answers: readonly string[];
  readonly mallory: SimAgent;
}

/** Plays the attack in the training round of a new study, to the study's end. */
async function play(attack: SiloAttack): Promise<Played> {
  const study = await begin();
  const answers: string[] = [];
  let played: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (played = resolve));
  agents = silos.map((silo) =>
    silo.name === MALLORY
      ? new SimAgent(silo, {
          before: ({ key }) => key!.study === study,
          lie: async (sending) => {
            const { round, attempt } = sending.task.key!;
            const isDue = round === 1 && attempt === 1 && sending.step === attack.step;
            if (!isDue) {
              await sending.honestly();
              return;
            }
            answers.push(...(await attack.play(sending)));
            played();
            if (attack.leaves) mallory().stop();
          },
        })
      : new SimAgent(silo, {
          before: async ({ key }, step) => {
            if (key!.study !== study) return false;
            // The step stays open until the attack is over.
            const isDue = key!.round === 1 && key!.attempt === 1 && step === attack.step;
            if (isDue && silo.name === HONEST[0]) await over;
            return true;
          },
        }),
  );
  attending = agents.map((agent, i) => {
    const client = consortium.rounds(silos[i]!.tls);
    return agent.attend(client).finally(() => client.close());
  });
  let status: StudyStatus__Output | undefined;
  for await (const one of admin.watchStudy({ study })) status = one;
  const entries = await consortium.store.tables.log.range(0, 100_000);
  const leaves = entries
    .map(({ leaf }) => decodeEvent(leaf))
    .filter((event) => 'study' in event && event.study === study);
  return { status: status!, leaves, answers, mallory: mallory() };
}

function mallory(): SimAgent {
  return agents.at(-1)!;
}

/** What the log says about silos that sent something wrong: `type silo step code`. */
function named(leaves: readonly TrailEvent[]): string[] {
  return leaves.flatMap((event) =>
    event.type === 'round.blamed' || event.type === 'message.refused'
      ? [`${event.type} ${event.data.silo ?? '–'} ${event.data.step} ${event.data.code}`]
      : [],
  );
}

/** Nothing that an honest silo kept was among what the aggregator told the hostile one. */
function expectNothingRevealed(): void {
  const secrets = new Secrets();
  agents.slice(0, -1).forEach((agent, i) => {
    for (const [session, state] of agent.states) secrets.add(session, i + 1, state);
  });
  const told = Buffer.concat(mallory().heard.flatMap((task) => bytesIn(task)));
  expect(secrets.leaks(told)).toEqual([]);
  expect(secrets.openShares(told)).toEqual([]);
}

function bytesIn(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(bytesIn) : [];
}

/** Attempts of the training round: `attempt step code survivors`. */
function attemptsOf({ rounds }: StudyStatus__Output): string[] {
  return rounds
    .filter(({ round }) => round === 1)
    .map(({ attempt, step, abortCode, survivors }) =>
      [attempt, step, abortCode || 'ok', survivors.length].join(' '),
    );
}

const ATTEMPTS: Readonly<Record<Outcome, readonly string[]>> = {
  'goes on with it': ['1 closed ok 5'],
  'goes on without it': ['1 closed ok 4'],
  'is tried again without it': ['1 aborted SECAGG_BOX_INVALID 0', '2 closed ok 4'],
};

describe.each([
  ['messages', MESSAGES],
  ['boxes', BOXES],
  ['vectors', VECTORS],
  ['poisoned vectors', POISON],
  ['late and early messages', LATE],
  ['what stands before', STANDING],
])('a hostile silo against a real aggregator over mutual TLS: %s', (_group, attacks) => {
  test.each(attacks)('$title: $codes; the round $outcome', async (attack) => {
    const { status, leaves, answers } = await play(attack);
    expect(answers).toEqual(attack.codes);
    expect(attemptsOf(status)).toEqual(ATTEMPTS[attack.outcome]);
    expect(status.summary?.state).toBe('completed');
    expect(named(leaves)).toEqual(attack.log);
    const back = leaves.filter((event) => event.type === 'model.rolledback');
    expect(back.map(({ data }) => data.reason)).toEqual(
      attack.rolledBack === undefined ? [] : [attack.rolledBack],
    );
    for (const { data } of back) expect(data.nextModelHash).toBe(data.modelHash);
    // Whatever came of it comes again from the stored messages, byte for byte.
    const replayed = await admin.replayRound({ study: status.summary!.study, round: 1 });
    expect(replayed.survivors).toBe(attack.outcome === 'goes on with it' ? 5 : 4);
    expectNothingRevealed();
  });
});

test('the log holds what convicts the sender of a spoilt box, for anybody to judge', async () => {
  const { leaves, mallory: liar } = await play(BOXES[0]!);
  const blamed = leaves.find((event) => event.type === 'round.blamed');
  const evidence = deserializeEvidence(Buffer.from(blamed!.data.evidence!, 'base64'));
  const { terms } = liar.states.get('1 1')!;
  expect(terms.roster[evidence.complaint.about - 1]!.silo).toBe(MALLORY);
  expect(() => judge({ terms, sid: sessionId(terms) }, evidence)).not.toThrow();
  // An auditor who has nothing but the export judges it again, and sees whom it is about.
  const { log, checkpoints } = consortium.store.tables;
  const entries = (await log.range(0, 100_000)).map(({ leaf }) => leaf);
  const notes = (await checkpoints.list()).map(({ note }) => note);
  const started = entries.map(decodeEvent).find((event) => event.type === 'study.started');
  const { verifierKey } = started!.data.charter.log;
  const failed = (bytes: readonly Uint8Array[]) =>
    verifyTrail({ entries: bytes, checkpoints: notes, verifierKey })
      .claims.filter(({ ok }) => !ok)
      .map(({ name }) => name);
  expect(failed(entries)).toEqual([]);
  const slander = entries.map((leaf) => {
    const event = decodeEvent(leaf);
    if (event.type !== 'round.blamed' || event.data.evidence === undefined) return leaf;
    return encodeEvent({ ...event, data: { ...event.data, silo: HONEST[0]! } });
  });
  expect(failed(slander)).toContain('sessions');
  // After the exclusion the silo is asked for nothing more.
  expect(liar.heard.some(({ key, advertise }) => advertise && key!.attempt === 2)).toBe(false);
});
