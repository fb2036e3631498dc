import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { serve } from '@medley/aggregator';
import { silentLogger } from '@medley/kit';
import { createIdentity } from '@medley/pki';
import type { AdminMethods, Client, RoundTask__Output, StudyStatus__Output } from '@medley/rpc';
import {
  codeOf,
  TestConsortium,
  testKeys,
  type EnrolledSilo,
  type TestKeys,
} from '../support/aggregator.ts';
import { SimAgent, type SimOptions, type Step } from '../support/simAgent.ts';

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
  [silos, agents, attending] = [[], [], []];
  for (const name of ['alder', 'birch', 'cedar']) silos.push(await consortium.enrol(admin, name));
  await consortium.propose(admin, (yaml) =>
    yaml.replace('count: 30, maxAttempts: 3', 'count: 1, maxAttempts: 2'),
  );
  for (const silo of silos) await consortium.sign(silo, STUDY);
});
afterEach(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
  admin.close();
  await consortium.remove();
});

function join3(options: SimOptions = {}): void {
  silos.forEach((silo, i) => {
    const agent = new SimAgent(silo, i === 2 ? options : {});
    agents.push(agent);
    const client = consortium.rounds(silo.tls);
    attending.push(agent.attend(client).finally(() => client.close()));
  });
}

/** Watches until `found` holds, or the study ends. */
async function watch(found: (status: StudyStatus__Output) => boolean) {
  let last: StudyStatus__Output | undefined;
  for await (const status of admin.watchStudy({ study: STUDY })) {
    last = status;
    if (found(status)) break;
  }
  return last!;
}

const ended = () => watch(() => false);
const pathOf = (hash: string) => join(consortium.config.blobs, hash.slice(0, 2), hash);
const attempts = ({ rounds }: StudyStatus__Output) =>
  rounds.map(({ round, attempt, abortCode, dropped }) => [round, attempt, abortCode, dropped]);

/** Holds the last silo in a step of round 1 until `go` is called. */
function holdAt(stopAt: Step) {
  let told: (task: RoundTask__Output) => void = () => undefined;
  let go: () => void = () => undefined;
  const reached = new Promise<RoundTask__Output>((resolve) => (told = resolve));
  const going = new Promise<boolean>((resolve) => (go = () => resolve(true)));
  const before = (task: RoundTask__Output, step: Step) => {
    if (task.key?.round !== 1 || step !== stopAt) return true;
    told(task);
    return going;
  };
  return { options: { before }, reached, go: () => go() };
}

describe('the aggregator’s disk', () => {
  test('a model state that changed holds its study back, and no other, until it is restored', async () => {
    const row = await consortium.store.tables.studies.get(STUDY);
    const file = pathOf(row!.modelState.hash);
    const content = await readFile(file);
    await writeFile(file, Buffer.concat([content.subarray(1), Buffer.of(1)]));
    await admin.startStudy({ study: STUDY });
    join3();
    const waiting = await watch((status) => status.waitingFor.includes('BLOB_DAMAGED'));
    expect(waiting.waitingFor).toBe(`the aggregator: BLOB_DAMAGED, blob ${row!.modelState.hash}`);
    expect(waiting.rounds).toEqual([]);
    expect((await admin.listSilos({})).silos).toHaveLength(3);
    await writeFile(file, content);
    const status = await ended();
    expect(status.summary?.state).toBe('completed');
    expect(attempts(status)).toEqual([0, 1, 2].map((round) => [round, 1, '', []]));
  });

  test('a sum is opened as soon as the blob folder is there again', async () => {
    await admin.startStudy({ study: STUDY });
    const hold = holdAt('release');
    join3(hold.options);
    await hold.reached;
    const { blobs } = consortium.config;
    await rename(blobs, `${blobs}.away`);
    hold.go();
    await watch((status) => status.waitingFor.includes('BLOB_UNKNOWN'));
    await rename(`${blobs}.away`, blobs);
    const status = await ended();
    expect(status.summary?.state).toBe('completed');
    expect(attempts(status)).toEqual([0, 1, 2].map((round) => [round, 1, '', []]));
  });

  test('a masked vector that changed ends its attempt, and the sum is never opened', async () => {
    await admin.startStudy({ study: STUDY });
    const hold = holdAt('confirm');
    join3(hold.options);
    await hold.reached;
    const [first, ...others] = await vectorFiles();
    expect(others).toHaveLength(2);
    await writeFile(first!, (await readFile(first!)).fill(7, 0, 4));
    hold.go();
    const status = await ended();
    expect(attempts(status)).toEqual([
      [0, 1, '', []],
      [1, 1, 'ROUND_VECTOR_LOST', []],
      [1, 2, '', []],
      [2, 1, '', []],
    ]);
  });

  test('one database has one aggregator at a time, and the next when that one is gone', async () => {
    const { config, folder, authority } = consortium;
    const own = authority.issue('aggregator', 'aggregator');
    const log = createIdentity().privateKeyPem;
    const files = { key: own.keyPem, chain: own.chainPem, ca: authority.caPem, log };
    for (const [name, text] of Object.entries(files))
      await writeFile(join(folder, name), text, { mode: 0o600 });
    const tls = { key: join(folder, 'key'), certificate: join(folder, 'chain') };
    const start = (pid: number) => {
      let stop: () => void = () => undefined;
      const stopped = new Promise<void>((resolve) => (stop = resolve));
      let listens: () => void = () => undefined;
      const listening = new Promise<void>((resolve) => (listens = resolve));
      const info = (event: string) => event === 'listening' && listens();
      const served = serve({
        config: {
          ...config,
          tls: { ...tls, ca: join(folder, 'ca') },
          logKey: join(folder, 'log'),
          database: join(folder, 'other.db'),
        },
        logger: { ...silentLogger, info },
        processes: { pid, isAlive: (other) => other === 7 },
        threads: 1,
        stopped,
      });
      return { served, listening, stop: () => stop() };
    };
    const first = start(7);
    await Promise.race([first.listening, first.served]);
    expect(await codeOf(start(8).served)).toBe('AGGREGATOR_RUNNING');
    first.stop();
    await first.served;
    const next = start(8);
    await Promise.race([next.listening, next.served]);
    next.stop();
    await next.served;
  });
});

/** Files of the masked vectors: all that no row names. */
async function vectorFiles(): Promise<string[]> {
  const { studies, rounds } = consortium.store.tables;
  const row = (await studies.get(STUDY))!;
  const named = [row.model, row.modelState];
  for (const { model, outcome } of await rounds.of(STUDY)) {
    named.push(model, ...(outcome ? [outcome.aggregate, outcome.nextModel] : []));
  }
  const known = new Set(named.map(({ hash }) => hash));
  const entries = await readdir(consortium.config.blobs, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !known.has(entry.name))
    .map(({ name }) => pathOf(name));
}
