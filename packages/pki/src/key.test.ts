import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isMedleyError, seededRng } from '@medley/kit';
import { createTlsKey, encryptPrivateKey, openPrivateKey, type KeyPair } from './key.ts';

const PASSPHRASE = 'correct horse – Batterie';
let pair: KeyPair;
let encrypted: string;

beforeAll(async () => {
  pair = await createTlsKey(2048);
  encrypted = encryptPrivateKey(pair.privateKeyPem, PASSPHRASE, seededRng('key'));
});

describe('private keys at rest', () => {
  test('an encrypted key opens with its passphrase and is the same key', () => {
    expect(encrypted).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    const opened = openPrivateKey(encrypted, PASSPHRASE);
    expect(opened.export({ type: 'pkcs8', format: 'pem' })).toBe(pair.privateKeyPem);
  });

  test.each(['correct horse – batterie', '', undefined, `${PASSPHRASE} `])(
    'it does not open with %j',
    (passphrase) => {
      expect(() => openPrivateKey(encrypted, passphrase)).toThrow(
        expect.objectContaining({ code: 'PKI_PASSPHRASE_WRONG' }),
      );
    },
  );

  test('salt and IV come from the given randomness and differ each time', () => {
    const rng = seededRng('key');
    const first = encryptPrivateKey(pair.privateKeyPem, PASSPHRASE, rng);
    const second = encryptPrivateKey(pair.privateKeyPem, PASSPHRASE, rng);
    expect(first).toBe(encrypted);
    expect(second).not.toBe(first);
  });

  test('refuses a short passphrase', () => {
    expect(() => encryptPrivateKey(pair.privateKeyPem, 'elevenchars')).toThrow(
      expect.objectContaining({ code: 'PKI_PASSPHRASE_WEAK' }),
    );
  });

  test('any text is opened or refused with a code', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.nat(encrypted.length - 1), fc.constantFrom('A', '=', '\n', '-'))
        .map(([at, char]) => encrypted.slice(0, at) + char),
      fc.nat(pair.privateKeyPem.length - 1).map((at) => pair.privateKeyPem.slice(at)),
    );
    fc.assert(
      fc.property(text, (pem) => {
        try {
          openPrivateKey(pem);
        } catch (error) {
          expect(isMedleyError(error)).toBe(true);
        }
      }),
    );
  });
});
