import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toHex } from '@medley/kit';
import type { AdminMethods, Client, StudyStatus__Output } from '@medley/rpc';
import { addInto, decodeSum, slotStep, vectorFromBytes } from '@medley/secagg';
import { TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';
import { SimAgent, type Encoded } from '../support/simAgent.ts';
import { chiSquareOneInAMillion, chiSquareUniform } from '../support/statistics.ts';

const NAMES = ['alder', 'birch', 'cedar', 'douglas', 'elm'];
const STUDY = 'recurrence-5y';
const ROUNDS = 8;

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let status: StudyStatus__Output;
/** What the silos had before they masked it, by round. */
const plain = new Map<number, Encoded[]>();
/** Every blob of the aggregator by its hash. */
const blobs = new Map<string, Uint8Array>();
/** Hashes of the sums that silos were shown, by round. */
const sums = new Map<number, string>();

beforeAll(async () => {
  consortium = await TestConsortium.create(undefined, { keepMaskedVectors: true });
  admin = consortium.admin();
  const silos: EnrolledSilo[] = [];
  for (const name of NAMES) silos.push(await consortium.enrol(admin, name));
  await consortium.propose(admin, (yaml) => yaml.replace('count: 30', `count: ${String(ROUNDS)}`));
  for (const silo of silos) await consortium.sign(silo, STUDY);
  const agents = silos.map((silo) => {
    return new SimAgent(silo, {
      encoded: (one) => plain.set(one.terms.round, [...(plain.get(one.terms.round) ?? []), one]),
    });
  });
  const attending = agents.map(async (agent, i) => {
    const client = consortium.rounds(silos[i]!.tls);
    await agent.attend(client);
    client.close();
  });
  await admin.startStudy({ study: STUDY });
  for await (const update of admin.watchStudy({ study: STUDY })) status = update;
  for (const agent of agents) {
    for (const { key, closed } of agent.closed) {
      sums.set(key!.round, toHex(closed!.aggregate!.sha256));
    }
    agent.stop();
  }
  await Promise.all(attending);
  const folder = join(consortium.folder, 'blobs');
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    blobs.set(entry.name, new Uint8Array(await readFile(join(entry.parentPath, entry.name))));
  }
});
afterAll(async () => {
  admin.close();
  await consortium.remove();
});

/** The masked vectors of training rounds: blobs of their size that are no opened sum. */
function maskedVectors(): Uint8Array[] {
  const opened = new Set(sums.values());
  const bytes = plain.get(1)![0]!.words.length * 4;
  return [...blobs]
    .filter(([hash, blob]) => blob.length === bytes && !opened.has(hash))
    .map(([, blob]) => blob);
}

describe('what an aggregator receives over five mutual TLS connections', () => {
  test('are vectors of every silo in every round', () => {
    expect(status.summary).toMatchObject({ state: 'completed', round: ROUNDS + 1 });
    expect(maskedVectors()).toHaveLength(NAMES.length * ROUNDS);
  });

  test('is indistinguishable from uniform: bytes of all masked vectors, chi-square with 255 degrees of freedom, false alarm once in 10^6', () => {
    const counts = new Array<number>(256).fill(0);
    for (const vector of maskedVectors()) for (const byte of vector) counts[byte]! += 1;
    // 40 vectors: at least 20 expected per cell, so that the approximation holds.
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(256 * 20);
    expect(chiSquareUniform(counts)).toBeLessThan(chiSquareOneInAMillion(255));
  });

  test('while the vectors before masking are far from uniform, so the test can fail', () => {
    const counts = new Array<number>(256).fill(0);
    for (const round of plain.values()) {
      for (const { words } of round) {
        for (const byte of new Uint8Array(words.buffer, words.byteOffset, words.byteLength)) {
          counts[byte]! += 1;
        }
      }
    }
    expect(chiSquareUniform(counts)).toBeGreaterThan(10 * chiSquareOneInAMillion(255));
  });

  test('holds no vector as it was before masking', () => {
    const received = new Set(maskedVectors().map((vector) => toHex(vector)));
    for (const { words } of [...plain.values()].flat()) {
      expect(received.has(toHex(new Uint8Array(words.buffer)))).toBe(false);
    }
  });

  test.each([0, 1, 7, ROUNDS + 1])(
    'opens in round %i to the plain sum within n·Δ per coordinate',
    (round) => {
      const silos = plain.get(round)!;
      expect(silos).toHaveLength(NAMES.length);
      const { layout } = silos[0]!.terms;
      const opened = vectorFromBytes(blobs.get(sums.get(round)!)!);

      const exact = new Uint32Array(opened.length);
      for (const { words } of silos) addInto(exact, words);
      expect(opened).toEqual(exact);

      const decoded = decodeSum(layout, opened);
      for (const slot of layout) {
        const bound = NAMES.length * slotStep(slot);
        for (let i = 0; i < slot.length; i++) {
          const sum = silos.reduce((total, { values }) => total + values[slot.name]![i]!, 0);
          expect(Math.abs(decoded[slot.name]![i]! - sum)).toBeLessThanOrEqual(bound * (1 + 1e-9));
        }
      }
    },
  );
});
