import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '@medley/kit';
import {
  cosignCheckpoint,
  formatVerifierKey,
  openCheckpoint,
  parseVerifierKey,
  verifierKeyOf,
  type WitnessKey,
} from '@medley/merkle';
import { signWitness, verifyWitness } from '@medley/pki';
import type { CheckpointNotice__Output, Client, RoundsMethods } from '@medley/rpc';
import { decodeEvent } from '@medley/trail';
import { openLogStore } from '@medley/audit';
import { grpcMessages } from '../../silo-agent/src/round/messages.ts';
import { codeOf, TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';
import { witnessKeyOf } from '../support/witness.ts';

let consortium: TestConsortium;
let silos: EnrolledSilo[];
const clients: Client<RoundsMethods>[] = [];
const signal = new AbortController().signal;

beforeAll(async () => {
  consortium = await TestConsortium.create();
  const admin = consortium.admin();
  silos = [];
  for (const name of ['alder', 'birch', 'cedar']) silos.push(await consortium.enrol(admin, name));
  admin.close();
  // Enrolments wait for the next checkpoint; a start signs what a stop left.
  await restart();
});
afterAll(async () => {
  for (const client of clients) client.close();
  await consortium.remove();
});

async function restart(): Promise<void> {
  for (const client of clients.splice(0)) client.close();
  await consortium.stop();
  await consortium.start();
  clients.push(...silos.map(({ tls }) => consortium.rounds(tls)));
}

/** What a stream says of the log first. */
async function notice(client: Client<RoundsMethods>): Promise<CheckpointNotice__Output> {
  const stop = new AbortController();
  const request = { agentVersion: 'test', protocolVersion: 2 };
  try {
    for await (const { checkpoint } of client.attend(request, { signal: stop.signal })) {
      if (checkpoint) return checkpoint;
    }
  } finally {
    stop.abort();
  }
  throw new Error('the stream told of no checkpoint');
}

function wordOf(note: string, silo: EnrolledSilo, key: WitnessKey = witnessKeyOf(silo.name)) {
  const witnessKey = formatVerifierKey(verifierKeyOf('witness', key));
  const claim = { consortium: 'test', silo: silo.name, verifierKey: witnessKey };
  const { size } = openCheckpoint(note, [parseVerifierKey(verifier)]);
  return {
    treeSize: String(size),
    cosignature: cosignCheckpoint(note, key, Math.floor(systemClock.nowMs() / 1000)),
    witnessKey,
    signature: signWitness(silo.identity, claim),
  };
}

let verifier = '';

describe('witnesses', () => {
  test('make a checkpoint final at two thirds of the enrolled silos, and are published with it', async () => {
    const told = await notice(clients[0]!);
    verifier = told.verifierKey;
    const standings = [];
    for (const i of [0, 1]) {
      standings.push(await clients[i]!.cosignCheckpoint(wordOf(told.note, silos[i]!)));
    }
    expect(standings).toEqual([
      { cosigned: 1, required: 2 },
      { cosigned: 2, required: 2 },
    ]);
    // The same word again counts once.
    const again = await clients[0]!.cosignCheckpoint(wordOf(told.note, silos[0]!));
    expect(again).toEqual({ cosigned: 2, required: 2 });

    const { size } = openCheckpoint(told.note, [parseVerifierKey(verifier)]);
    const store = await openLogStore(consortium.config.database);
    const published = (await store.checkpoints(size - 1, 1))[0]!;
    store.close();
    const keys = silos.map(({ name }) => verifierKeyOf('witness', witnessKeyOf(name)));
    const { signers } = openCheckpoint(published.note, [parseVerifierKey(verifier), ...keys]);
    expect(signers.map(({ key }) => key.name)).toEqual([
      'medley/test',
      'medley/test/alder',
      'medley/test/birch',
    ]);
  });

  test('stand in the log with the word of their identity keys', async () => {
    await restart();
    const { entries } = await logOf();
    const events = entries.flatMap((leaf) => {
      const event = decodeEvent(leaf);
      return event.type === 'witness.registered' ? [event.data] : [];
    });
    expect(events.map(({ silo }) => silo)).toEqual(['alder', 'birch']);
    for (const { silo, verifierKey, identityKey, signature } of events) {
      const [key, word] = [identityKey, signature].map((text) => Buffer.from(text, 'base64'));
      expect(verifyWitness(key!, { consortium: 'test', silo, verifierKey }, word!)).toBe(true);
      expect(key).toEqual(Buffer.from(silos.find(({ name }) => name === silo)!.identity.publicKey));
    }
  });

  test('are refused a word that is not theirs, of another checkpoint, or of none', async () => {
    const { note } = await notice(clients[2]!);
    const good = wordOf(note, silos[2]!);
    const cedar = clients[2]!;
    const code = (change: Partial<typeof good>) =>
      codeOf(cedar.cosignCheckpoint({ ...good, ...change }));
    const other = wordOf(note, silos[0]!);
    expect(await code({ ...other })).toBe('WITNESS_INVALID');
    expect(await code({ cosignature: other.cosignature })).toBe('WITNESS_INVALID');
    // Another's key under its own signature: one word would count as two.
    expect(await code(wordOf(note, silos[2]!, witnessKeyOf('alder')))).toBe('WITNESS_INVALID');
    expect(await code({ cosignature: '— nonsense\n' })).toBe('WITNESS_INVALID');
    expect(await code({ witnessKey: verifier })).toBe('WITNESS_INVALID');
    expect(await code({ signature: new Uint8Array(64) })).toBe('WITNESS_INVALID');
    expect(await code({ treeSize: '1000000' })).toBe('AUDIT_RANGE');
    const { checkpoints } = await logOf();
    const older = String(checkpoints[0]!.size);
    expect(await code({ treeSize: older })).toBe('WITNESS_INVALID');
    expect(await code({})).toBe('none');
  });

  test('are proven that the log goes on from any size, and nothing beyond its end', async () => {
    const messages = grpcMessages(clients[0]!);
    const { checkpoints } = await logOf();
    const { size } = checkpoints.at(-1)!;
    expect((await messages.proveLog(1, size, signal)).every((hash) => hash.length === 32)).toBe(
      true,
    );
    for (const [from, to] of [
      [0, size],
      [size, 1],
      [1, size + 1000],
    ] as const) {
      expect(await codeOf(messages.proveLog(from, to, signal))).toBe('AUDIT_RANGE');
    }
  });
});

async function logOf() {
  const store = await openLogStore(consortium.config.database);
  try {
    const checkpoints = await store.checkpoints(-1, 1000);
    return { checkpoints, entries: await store.leaves(0, checkpoints.at(-1)!.size) };
  } finally {
    store.close();
  }
}
