import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RoundRow } from '@medley/aggregator';
import { toHex } from '@medley/kit';
import type { AdminMethods, Client } from '@medley/rpc';
import { codeOf, TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';
import { SimAgent } from '../support/simAgent.ts';

const STUDY = 'recurrence-5y';

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let rounds: RoundRow[];
beforeAll(async () => {
  consortium = await TestConsortium.create(undefined, { keepMaskedVectors: true });
  admin = consortium.admin();
  const silos: EnrolledSilo[] = [];
  for (const name of ['alder', 'birch', 'cedar']) silos.push(await consortium.enrol(admin, name));
  await consortium.propose(admin, (yaml) => yaml.replace('count: 30', 'count: 1'));
  for (const silo of silos) await consortium.sign(silo, STUDY);
  await admin.startStudy({ study: STUDY });
  const agents = silos.map((silo) => new SimAgent(silo));
  const attending = agents.map(async (agent, i) => {
    const client = consortium.rounds(silos[i]!.tls);
    await agent.attend(client);
    client.close();
  });
  for await (const { summary } of admin.watchStudy({ study: STUDY }))
    if (summary?.state === 'completed') break;
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
  rounds = await consortium.store.tables.rounds.of(STUDY);
});
afterAll(async () => {
  admin.close();
  await consortium.remove();
});

describe('a round that is computed again', () => {
  test.each([0, 1, 2])('round %i gives the recorded bytes, also after a restart', async (round) => {
    if (round === 2) {
      admin.close();
      await consortium.stop();
      await consortium.start();
      admin = consortium.admin();
    }
    const { outcome } = rounds[round]!;
    const reply = await admin.replayRound({ study: STUDY, round });
    expect(reply).toMatchObject({ round, attempt: 1, survivors: 3 });
    expect(toHex(reply.aggregate!.sha256)).toBe(outcome!.aggregate.hash);
    expect(toHex(reply.nextModel!.sha256)).toBe(outcome!.nextModel.hash);
    expect(reply.leafIndex).toBe(String(outcome!.leafIndex));
  });

  test('is named when a stored vector or a recorded result is another', async () => {
    const { rounds: table } = consortium.store.tables;
    const row = rounds[1]!;
    const { aggregate, nextModel } = rounds[2]!.outcome!;
    await table.put({ ...row, outcome: { ...row.outcome!, aggregate, nextModel } });
    expect(await codeOf(admin.replayRound({ study: STUDY, round: 1 }))).toBe(
      'ROUND_REPLAY_DIFFERS',
    );
    await table.put(row);
    const file = await vectorFile();
    const bytes = await readFile(file);
    await writeFile(file, Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]));
    const codes = [];
    for (const round of [0, 1, 2])
      codes.push(await codeOf(admin.replayRound({ study: STUDY, round })));
    expect(codes.sort()).toEqual(['ROUND_VECTOR_LOST', 'none', 'none']);
    await writeFile(file, bytes);
  });

  test('is refused where there is no such round or its messages were not kept', async () => {
    expect(await codeOf(admin.replayRound({ study: STUDY, round: 9 }))).toBe('ROUND_UNKNOWN');
    expect(await codeOf(admin.replayRound({ study: 'none', round: 1 }))).toBe('STUDY_UNKNOWN');
    const { rounds: table } = consortium.store.tables;
    const head =
      4 + new DataView(rounds[1]!.state.buffer, rounds[1]!.state.byteOffset).getUint32(0);
    await table.put({ ...rounds[1]!, state: rounds[1]!.state.subarray(0, head) });
    expect(await codeOf(admin.replayRound({ study: STUDY, round: 1 }))).toBe('ROUND_REPLAY_UNKEPT');
    await table.put(rounds[1]!);
  });
});

/** A masked vector: a blob that no row names. */
async function vectorFile(): Promise<string> {
  const { blobs } = consortium.config;
  const row = (await consortium.store.tables.studies.get(STUDY))!;
  const named = rounds.flatMap(({ model, outcome }) => [
    model.hash,
    outcome!.aggregate.hash,
    outcome!.nextModel.hash,
  ]);
  const known = new Set([...named, row.model.hash, row.modelState.hash]);
  const entries = await readdir(blobs, { recursive: true, withFileTypes: true });
  const { name } = entries.find((entry) => entry.isFile() && !known.has(entry.name))!;
  return join(blobs, name.slice(0, 2), name);
}
