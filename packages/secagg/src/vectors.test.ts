import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash, hkdfSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, seededRng, toHex, utf8 } from '@medley/kit';
import { TestSession, termsFor } from '../../../tests/support/secagg.ts';
import { hashVector, vectorBytes } from './arithmetic/ring.ts';
import { encodeVector } from './arithmetic/quantize.ts';
import { splitSecret } from './arithmetic/shamir.ts';
import { planUnmask, removeMasks } from './coordinator/unmask.ts';
import { applyMask, deriveKey, pairMaskKey, selfMaskKey } from './crypto/masks.ts';
import { makeReceipt, receiptToJson } from './receipt.ts';
import { sessionId, termsDocument } from './session.ts';
import { signedShares } from './wire/boxTree.ts';
import { plainHash, seedCommitment, setHash, shareHash } from './wire/frame.ts';
import { advertBytes, confirmationBytes, maskedBytes, releaseBytes } from './wire/messages.ts';

// vectors/README.md says when this file may be written anew.
const FILE = new URL('../vectors/session-v2.json', import.meta.url);
const REGENERATE = process.env['MEDLEY_REGENERATE_VECTORS'] === '1';

function sessionVectors() {
  const terms = termsFor(4);
  const rng = seededRng('vectors');
  const values = terms.roster.map((_, silo) => ({
    update: Float64Array.from({ length: 9 }, (_, i) => ((i - 4) * (silo + 1)) / 50),
    weight: Float64Array.of(100 * (silo + 1)),
  }));
  const encoded = values.map((value) => encodeVector(terms.layout, value, rng));
  const options = { terms, vectors: encoded, stepsTaken: [5, 5, 2, 5], seed: 'vectors' };
  const session = new TestSession(options).runThrough('release');
  const { coordinator } = session;
  const sum = session.maskedSum();
  removeMasks(sum, planUnmask(terms, coordinator));
  const { sid } = coordinator;
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  return {
    terms: termsDocument(terms),
    sid: toHex(sid),
    encoded: encoded.map((vector) => toHex(vectorBytes(vector))),
    adverts: coordinator.adverts.map((m) => toHex(advertBytes(sid, m))),
    shares: coordinator.shares.map((m) => hash(signedShares(sid, m))),
    masked: coordinator.headers.map(({ silo }) => toHex(vectorBytes(session.masked.get(silo)!))),
    headers: coordinator.headers.map((m) => toHex(maskedBytes(sid, m))),
    confirmations: coordinator.confirmations.map((m) => toHex(confirmationBytes(sid, m))),
    releases: coordinator.releases.map((m) => hash(releaseBytes(sid, m))),
    sum: toHex(vectorBytes(sum)),
    receipt: receiptToJson(makeReceipt(terms, coordinator, hashVector(sum))),
  };
}

function primitiveVectors() {
  const secret = new Uint8Array(32).fill(0x11);
  const sid = new Uint8Array(32).fill(0x22);
  const mask = new Uint32Array(6);
  applyMask(mask, secret, 1);
  return {
    keys: {
      share: toHex(deriveKey(secret, sid, 'share', 1, 2)),
      mask: toHex(pairMaskKey(secret, sid, 2, 1)),
      self: toHex(selfMaskKey(secret, sid, 1)),
    },
    mask: toHex(vectorBytes(mask)),
    setHash: toHex(setHash(sid, [1, 2, 200])),
    seedCommitment: toHex(seedCommitment(sid, 7, secret)),
    shareHash: toHex(shareHash(sid, 'seed', { from: 7, to: 2 }, secret)),
    plainHash: toHex(plainHash(sid, 7, secret, vectorBytes(Uint32Array.of(1, 2)))),
    shares: splitSecret(secret, 2, [1, 2, 200], seededRng('shares')).map(({ share }) =>
      toHex(share),
    ),
  };
}

describe('the wire', () => {
  const built = { primitives: primitiveVectors(), session: sessionVectors() };
  if (REGENERATE) writeFileSync(FILE, `${JSON.stringify(built, null, 2)}\n`);

  test('has not changed since protocol version 2', () => {
    expect(existsSync(FILE)).toBe(true);
    const pinned: unknown = JSON.parse(readFileSync(FILE, 'utf8'));
    expect(JSON.parse(JSON.stringify(built))).toEqual(pinned);
  });

  test('follows from the layout as documented, without the code under test', () => {
    const sid = new Uint8Array(32).fill(0x22);
    const secret = new Uint8Array(32).fill(0x11);
    const key = hkdfSync('sha256', secret, sid, utf8('medley/secagg/v1/mask/1/2'), 32);
    expect(built.primitives.keys.mask).toBe(Buffer.from(key).toString('hex'));
    const set = createHash('sha256').update('medley/secagg/v1/set\0').update(sid);
    set.update(Buffer.from('00000003' + '00000001' + '00000002' + '000000c8', 'hex'));
    expect(built.primitives.setHash).toBe(set.digest('hex'));
    const terms = termsFor(4);
    const document = { domain: 'medley/secagg/v1/session', terms: termsDocument(terms) };
    const sidDirect = createHash('sha256').update(canonicalBytes(document)).digest('hex');
    expect(toHex(sessionId(terms))).toBe(sidDirect);
  });
});
