import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sha256, toHex, utf8 } from '@medley/kit';
import {
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  verifyConsistency,
  verifyInclusion,
} from '@medley/merkle';
import type { AdminMethods, Client } from '@medley/rpc';
import { decodeEvent } from '@medley/trail';
import { codeOf, TestConsortium } from '../support/aggregator.ts';

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
beforeAll(async () => {
  consortium = await TestConsortium.create();
  admin = consortium.admin();
});
afterAll(async () => {
  admin.close();
  await consortium.remove();
});

const order = {
  manifestHash: sha256(utf8('a manifest')),
  format: 'bundle/v1',
  first: '0',
  end: '1',
  size: '1',
  recipient: 'the data protection officer',
};

test('an export stands in the log before it is handed over, proven by a checkpoint that goes on', async () => {
  const key = parseVerifierKey(await verifierKey());
  const before = openCheckpoint((await consortium.store.tables.checkpoints.list())[0]!.note, [key]);
  const { index, leaf, checkpoint, path, consistency } = await admin.recordExport({
    ...order,
    study: 'recurrence-5y',
  });
  expect(decodeEvent(leaf)).toMatchObject({
    type: 'audit.exported',
    actor: { kind: 'operator', id: 'ada' },
    data: {
      manifestHash: toHex(order.manifestHash),
      format: 'bundle/v1',
      ...{ first: 0, end: 1, size: 1 },
      study: 'recurrence-5y',
      recipient: 'the data protection officer',
    },
  });
  const { size, root } = openCheckpoint(checkpoint, [key]);
  verifyInclusion({ leafHash: leafHash(leaf), index: Number(index), size, root, proof: path });
  verifyConsistency({
    ...{ fromSize: before.size, fromRoot: before.root },
    ...{ toSize: size, toRoot: root, proof: consistency },
  });
});

test.each([
  ['more than a checkpoint covers', { end: '900', size: '1000' }, 'AUDIT_RANGE'],
  ['a range that runs backwards', { first: '1', end: '0' }, 'AUDIT_RANGE'],
  ['nothing', { end: '0', size: '0' }, 'AUDIT_RANGE'],
  ['a manifest without hash', { manifestHash: new Uint8Array(3) }, 'TRAIL_EVENT_INVALID'],
  ['no recipient', { recipient: '' }, 'TRAIL_EVENT_INVALID'],
  ['a study that is no name', { study: '../x' }, 'TRAIL_EVENT_INVALID'],
])('an export of %s is refused and leaves no entry', async (_, change, code) => {
  const size = await consortium.store.tables.log.count();
  expect(await codeOf(admin.recordExport({ ...order, ...change }))).toBe(code);
  expect(await consortium.store.tables.log.count()).toBe(size);
});

async function verifierKey(): Promise<string> {
  const [entry] = await consortium.store.tables.log.range(0, 1);
  const event = decodeEvent(entry!.leaf);
  if (event.type !== 'consortium.created') throw new Error('the log does not say whose it is');
  return event.data.logKey;
}
