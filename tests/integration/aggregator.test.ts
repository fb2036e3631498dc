import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sha256, toHex } from '@medley/kit';
import { leafHash, openCheckpoint, parseVerifierKey, verifyInclusion } from '@medley/merkle';
import type { AdminMethods, Client, RoundTask__Output, StudyStatus__Output } from '@medley/rpc';
import { decodeReceipt } from '@medley/secagg';
import { readCharter } from '@medley/study';
import { decodeEvent } from '@medley/trail';
import {
  codeOf,
  TestConsortium,
  testKeys,
  type EnrolledSilo,
  type TestKeys,
} from '../support/aggregator.ts';
import { SimAgent, type SimOptions } from '../support/simAgent.ts';

const NAMES = ['alder', 'birch', 'cedar', 'douglas'];
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
  agents = [];
  attending = [];
  silos = [];
  for (const name of NAMES) silos.push(await consortium.enrol(admin, name));
});
afterEach(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
  admin.close();
  await consortium.remove();
});

/** One round of training; steps long enough for a busy machine unless a test waits for their end. */
const edit =
  (stepSeconds: number) =>
  (yaml: string): string =>
    yaml
      .replace('count: 30, maxAttempts: 3', 'count: 1, maxAttempts: 2')
      .replace('stepSeconds: 30', `stepSeconds: ${String(stepSeconds)}`);

async function begin(stepSeconds = 20): Promise<void> {
  await consortium.propose(admin, edit(stepSeconds));
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

/** Watches until the study ends. */
async function ended(): Promise<StudyStatus__Output> {
  let last: StudyStatus__Output | undefined;
  for await (const status of admin.watchStudy({ study: STUDY })) last = status;
  return last!;
}

async function leaves(): Promise<ReturnType<typeof decodeEvent>[]> {
  const entries = await consortium.store.tables.log.range(0, 10_000);
  return entries.map(({ leaf }) => decodeEvent(leaf));
}

describe('an aggregator with four silos', () => {
  test('takes a study from proposal to completion, and proves every round to every silo', async () => {
    await begin();
    for (const silo of silos) join(silo);
    const status = await ended();
    expect(status.summary).toMatchObject({ state: 'completed', round: 2, rounds: 2, signed: 4 });
    expect(status.rounds.map(({ kind, step, dropped }) => [kind, step, dropped])).toEqual([
      ['statistics', 'closed', []],
      ['training', 'closed', []],
      ['evaluation', 'closed', []],
    ]);
    const metrics = status.rounds.map((round) => JSON.parse(round.metrics.toString()) as object);
    expect(metrics[0]).toMatchObject({ kind: 'statistics', count: 80 });
    expect(metrics[1]).toMatchObject({ kind: 'training', weight: 80, evaluation: { count: 40 } });
    for (const round of status.rounds) {
      expect(round.steps.map(({ step }) => step)).toEqual([
        'advertise',
        'share',
        'mask',
        'confirm',
        'release',
        'closed',
      ]);
      expect(Number(round.bytesUp)).toBeGreaterThan(1000);
      expect(Number(round.bytesDown)).toBeGreaterThan(1000);
      expect(round.survivors).toEqual(NAMES);
    }
    const { charter: charterBytes } = await consortium
      .rounds(silos[0]!.tls)
      .getStudy({ study: STUDY });
    const { log } = readCharter(charterBytes);
    for (const agent of agents) {
      for (const { closed } of agent.closed) {
        const { proof, receipt, aggregate } = closed!;
        const head = openCheckpoint(proof!.checkpoint, [parseVerifierKey(log.verifierKey)]);
        const path = proof!.path.map((hash) => new Uint8Array(hash));
        verifyInclusion({
          ...head,
          leafHash: leafHash(proof!.leaf),
          index: Number(proof!.index),
          proof: path,
        });
        const event = decodeEvent(new Uint8Array(proof!.leaf));
        const told = JSON.parse(receipt.toString()) as object;
        expect(event.type === 'round.closed' && event.data.receipt).toEqual(told);
        expect(toHex(decodeReceipt(told).aggregateHash)).toBe(toHex(aggregate!.sha256));
      }
      expect(agent.closed.at(-1)?.key?.round).toBe(2);
      expect(agent.faults).toEqual([]);
    }
    expect((await leaves()).map(({ type }) => type)).toEqual([
      'consortium.created',
      'operator.added',
      'consortium.setting',
      'consortium.setting',
      ...NAMES.flatMap(() => ['silo.invited', 'silo.requested', 'silo.approved']),
      'study.proposed',
      ...NAMES.map(() => 'charter.signed'),
      'study.started',
      ...[0, 1, 2].flatMap(() => ['round.opened', 'round.closed']),
      'study.completed',
    ]);
  });

  test('hands out opened sums and states, and nobody a masked vector', async () => {
    await begin();
    for (const silo of silos) join(silo);
    await ended();
    const client = consortium.rounds(silos[0]!.tls);
    const fetch = async (hash: Uint8Array): Promise<Uint8Array> => {
      const pieces: Uint8Array[] = [];
      for await (const { data } of client.fetchBlob({ sha256: hash, offset: '0' }))
        pieces.push(data);
      return new Uint8Array(Buffer.concat(pieces));
    };
    const { aggregate, nextModel } = agents[0]!.closed.at(-1)!.closed!;
    for (const blob of [aggregate!, nextModel!]) {
      expect(toHex(sha256(await fetch(blob.sha256)))).toBe(toHex(blob.sha256));
    }
    expect(await codeOf(fetch(sha256(new Uint8Array(3))))).toBe('BLOB_UNKNOWN');
    client.close();
    const model = await admin.getModel({ study: STUDY });
    expect(toHex(model.state!.sha256)).toBe(toHex(nextModel!.sha256));
    expect(model.round).toBe(2);
  });

  test('goes on at once without a silo whose connection breaks while it should mask', async () => {
    await begin();
    const inRound = (task: RoundTask__Output, round: number) => task.key?.round === round;
    for (const silo of silos.slice(0, 3)) join(silo);
    join(silos[3]!, {
      before: (task, step) => (inRound(task, 1) && step === 'mask' ? 'leave' : true),
    });
    const status = await ended();
    expect(status.summary?.state).toBe('completed');
    const training = status.rounds.find(({ round }) => round === 1)!;
    expect(training).toMatchObject({ attempt: 1, step: 'closed', dropped: ['douglas'] });
    expect(training.sharers).toEqual(NAMES);
    expect(training.survivors).toEqual(NAMES.slice(0, 3));
    const { steps } = training;
    const at = (name: string) => Number(steps.find(({ step }) => step === name)!.atMs);
    // The step would have lasted 140 s; the grace is 50 ms.
    expect(at('confirm') - at('mask')).toBeLessThan(20_000);
    expect(JSON.parse(training.metrics.toString())).toMatchObject({ weight: 60 });
  });

  test('tries a failed round again, and ends the study when its attempts are spent', async () => {
    await begin(1);
    const silent = {
      before: (task: RoundTask__Output, step: string) => task.key?.round !== 0 || step !== 'share',
    };
    for (const silo of silos.slice(0, 2)) join(silo);
    for (const silo of silos.slice(2)) join(silo, silent);
    const status = await ended();
    expect(
      status.rounds.map(({ round, attempt, step, abortCode }) => [round, attempt, step, abortCode]),
    ).toEqual([
      [0, 1, 'aborted', 'SECAGG_TOO_FEW'],
      [0, 2, 'aborted', 'SECAGG_TOO_FEW'],
    ]);
    expect(status.summary?.state).toBe('withdrawn');
    expect(status.waitingFor).toContain('ROUND_ATTEMPTS_SPENT');
    expect((await leaves()).at(-1)?.type).toBe('study.stopped');
  });

  test.each(['share', 'mask', 'confirm', 'release'] as const)(
    'goes on with the round after a restart in step %s',
    async (stopAt) => {
      await begin();
      let reached: () => void = () => undefined;
      const there = new Promise<void>((resolve) => (reached = resolve));
      let restarted = false;
      const waits = {
        // The last silo holds the round in that step until the aggregator is another one.
        before: (task: RoundTask__Output, step: string) => {
          const isThere = !restarted && task.key?.round === 1 && step === stopAt;
          if (isThere) reached();
          return !isThere;
        },
      };
      const first = [...silos.slice(0, 3).map((silo) => join(silo)), join(silos[3]!, waits)];
      await there;
      admin.close();
      await consortium.stop();
      await Promise.all(attending);
      restarted = true;
      await consortium.start();
      admin = consortium.admin();
      for (const agent of first) {
        const client = consortium.rounds(agent.silo.tls);
        attending.push(agent.attend(client).finally(() => client.close()));
      }
      const status = await ended();
      expect(status.summary?.state).toBe('completed');
      expect(status.rounds.map(({ round, attempt, dropped }) => [round, attempt, dropped])).toEqual(
        [
          [0, 1, []],
          [1, 1, []],
          [2, 1, []],
        ],
      );
    },
  );

  test('refuses what silos must not send, changes nothing by it and records it', async () => {
    await begin();
    let told: (task: RoundTask__Output) => void = () => undefined;
    const masking = new Promise<RoundTask__Output>((resolve) => (told = resolve));
    for (const silo of silos.slice(0, 3)) join(silo);
    let released: () => void = () => undefined;
    const hold = new Promise<boolean>((resolve) => (released = () => resolve(true)));
    join(silos[3]!, {
      misstateSize: true,
      before: (task, step) => {
        if (task.key?.round !== 0 || step !== 'mask') return true;
        told(task);
        return hold;
      },
    });
    const { key } = await masking;
    const client = consortium.rounds(silos[3]!.tls);
    const advert = { silo: 4, channelKey: bytes(32), maskKey: bytes(32), signature: bytes(64) };
    const header = {
      silo: 4,
      vectorHash: bytes(32),
      sharersHash: bytes(32),
      plainHash: bytes(32),
      signature: bytes(64),
    };
    const submit = (sizeBytes: string, change = {}) =>
      codeOf(client.submit([{ header: { key, header: { ...header, ...change }, sizeBytes } }]));
    expect(await codeOf(client.advertise({ key, advert }))).toBe('SECAGG_LATE');
    expect(await codeOf(client.advertise({ key, advert: { ...advert, silo: 1 } }))).toBe(
      'ROUND_OUTSIDER',
    );
    expect(await codeOf(client.advertise({ key, advert: { ...advert, maskKey: bytes(3) } }))).toBe(
      'SECAGG_MESSAGE_MALFORMED',
    );
    expect(await codeOf(client.advertise({ advert }))).toBe('RPC_MESSAGE_INVALID');
    const confirmation = {
      silo: 4,
      survivorsHash: bytes(32),
      sharersHash: bytes(32),
      signature: bytes(64),
    };
    expect(await codeOf(client.confirm({ key, confirmation }))).toBe('SECAGG_OUT_OF_ORDER');
    expect(await submit('48')).toBe('SECAGG_SIGNATURE_INVALID');
    expect(await submit('48')).toBe('SECAGG_SIGNATURE_INVALID');
    expect(await submit('48', { silo: 1 })).toBe('ROUND_OUTSIDER');
    expect(await codeOf(client.withdraw({ key: { ...key!, round: 7 }, code: 'X' }))).toBe(
      'ROUND_UNKNOWN',
    );
    client.close();
    released();
    expect((await ended()).summary?.state).toBe('completed');
    const refusals = (await leaves()).filter(({ type }) => type === 'message.refused');
    expect(refusals.map(({ data }) => data)).toEqual([
      { silo: 'douglas', step: 'advertise', code: 'ROUND_OUTSIDER' },
      { silo: 'douglas', step: 'mask', code: 'SECAGG_SIGNATURE_INVALID' },
      { silo: 'douglas', step: 'mask', code: 'ROUND_OUTSIDER' },
      ...[0, 1, 2].map(() => ({ silo: 'douglas', step: 'mask', code: 'ROUND_VECTOR_LENGTH' })),
    ]);
  });

  test('ends the stream of a silo that is revoked while it attends', async () => {
    const agent = join(silos[0]!);
    while (!(await admin.listSilos({})).silos[0]?.attending) await Promise.resolve();
    await admin.revokeSilo({ silo: 'alder', reason: 'keyCompromise', note: 'stolen' });
    await attending[0];
    expect(agent.faults).toEqual(['PKI_CERTIFICATE_REVOKED']);
  });
});

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(7);
}
