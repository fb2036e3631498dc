import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { seededRng } from '@medley/kit';
import { createAuthority, openAuthority, type Authority } from './ca.ts';
import { readPem, writePem } from './pem.ts';
import { buildCrl, readCrl, type Revocation } from './revocation.ts';

const NOW = Date.parse('2026-08-24T10:00:00Z');
const DAY = 86_400_000;
const rng = seededRng('revocation');
const refused = expect.objectContaining({ name: 'MedleyError', code: 'PKI_CRL_INVALID' });
let authority: Authority;
let twin: Authority;

beforeAll(async () => {
  const make = { consortium: 'heart', nowMs: NOW, keyBits: 2048, rng };
  authority = openAuthority(await createAuthority(make));
  twin = openAuthority(await createAuthority(make));
});

const list = (revoked: readonly Revocation[], number = 1): string =>
  buildCrl({ authority, revoked, nowMs: NOW, nextUpdateMs: NOW + DAY, number });
const one: Revocation = { serial: 'c0ffee', atMs: NOW - DAY, reason: 'keyCompromise' };

describe('revocation lists', () => {
  test('read back as they were signed', () => {
    const revocation = fc.record<Revocation>({
      serial: fc
        .uint8Array({ minLength: 1, maxLength: 20 })
        .filter((bytes) => bytes[0] !== 0)
        .map((bytes) => Buffer.from(bytes).toString('hex')),
      atMs: fc.integer({ min: 0, max: 4e9 }).map((seconds) => seconds * 1000),
      reason: fc.constantFrom('keyCompromise', 'superseded', 'privilegeWithdrawn'),
    });
    fc.assert(
      fc.property(fc.array(revocation, { maxLength: 5 }), fc.nat(), (revoked, number) => {
        expect(readCrl(list(revoked, number), authority.certificatePem)).toEqual({
          number,
          thisUpdateMs: NOW,
          nextUpdateMs: NOW + DAY,
          revoked,
        });
      }),
      { numRuns: 40 },
    );
  });

  test('of a large consortium are read too', () => {
    const revoked = Array.from({ length: 3000 }, (_, i) => ({
      ...one,
      serial: Buffer.from([0x40, i >> 8, i & 255]).toString('hex'),
    }));
    expect(readCrl(list(revoked), authority.certificatePem).revoked).toHaveLength(3000);
  });

  test('are believed from the authority only', () => {
    expect(() => readCrl(list([one]), twin.certificatePem)).toThrow(refused);
    const der = readPem(list([one]), 'X509 CRL')!;
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = der.map((octet, i) => (i === at ? octet ^ mask : octet));
        try {
          const read = readCrl(writePem('X509 CRL', changed), authority.certificatePem);
          expect(read).toEqual(readCrl(list([one]), authority.certificatePem));
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
      { numRuns: 200 },
    );
    expect(() => readCrl('', authority.certificatePem)).toThrow(refused);
  });

  test.each(['', 'xyz', 'abc', 'ab'.repeat(21)])('are not built with the serial %j', (serial) => {
    expect(() => list([{ ...one, serial }])).toThrow(refused);
  });
});
