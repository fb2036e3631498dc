import { describe, expect, test } from '@jest/globals';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { isMedleyError, sha256, toBase64, utf8 } from '@medley/kit';
import {
  formatVerifierKey,
  isKeyName,
  logKeyFromPrivateKey,
  logKeyFromSeed,
  parseVerifierKey,
  signMessage,
  verifierKey,
  verifierKeyOf,
} from './key.ts';
import { formatNote, parseNote, signNote } from './note.ts';
import { openNote } from './signer.ts';

// C2SP signed-note, "Example".
const SPEC_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const SPEC_NOTE =
  'This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

const key = logKeyFromSeed('log.example/a', sha256(utf8('a')));
const other = logKeyFromSeed('log.example/b', sha256(utf8('b')));
const trusted = verifierKeyOf('log', key);
const noteMalformed = expect.objectContaining({ code: 'MERKLE_NOTE_MALFORMED' });
const keyInvalid = expect.objectContaining({ code: 'MERKLE_KEY_INVALID' });

describe('the example of the signed-note specification', () => {
  const specKey = parseVerifierKey(SPEC_KEY);

  test('opens with its verifier key', () => {
    expect(openNote(SPEC_NOTE, [specKey])).toEqual({
      text: 'This is an example message.\n',
      signers: [{ role: 'log', key: specKey }],
    });
  });

  test('is written as it was read', () => {
    expect(formatNote(parseNote(SPEC_NOTE))).toBe(SPEC_NOTE);
    expect(formatVerifierKey(specKey)).toBe(SPEC_KEY);
  });

  test('does not open once a letter is changed', () => {
    expect(() => openNote(SPEC_NOTE.replace('message', 'massage'), [specKey])).toThrow(
      expect.objectContaining({ code: 'MERKLE_SIGNATURE_INVALID' }),
    );
  });
});

describe('verifier keys', () => {
  test('are read back for both roles, with different ids', () => {
    for (const role of ['log', 'witness'] as const) {
      const verifier = verifierKeyOf(role, key);
      expect(parseVerifierKey(formatVerifierKey(verifier))).toEqual(verifier);
    }
    expect(verifierKeyOf('witness', key).keyId).not.toBe(trusted.keyId);
  });

  test('are refused when a character is cut off, added or changed', () => {
    for (let i = 0; i < SPEC_KEY.length; i++) {
      const changed = String.fromCharCode(SPEC_KEY.charCodeAt(i) + 1);
      for (const text of [
        SPEC_KEY.slice(0, i),
        SPEC_KEY.slice(i + 1),
        SPEC_KEY.slice(0, i) + changed + SPEC_KEY.slice(i + 1),
      ]) {
        expect(() => parseVerifierKey(text)).toThrow(keyInvalid);
      }
    }
    expect(() => parseVerifierKey(`${SPEC_KEY}\n`)).toThrow(keyInvalid);
  });

  test('are refused for another type, with the id it would have', () => {
    const material = Uint8Array.of(0x02, ...trusted.publicKey);
    const id = Buffer.from(sha256(utf8(`${key.name}\n`), material).subarray(0, 4)).toString('hex');
    expect(() => parseVerifierKey(`${key.name}+${id}+${toBase64(material)}`)).toThrow(keyInvalid);
  });

  test('need a name without spaces, plus signs or controls, and 32 bytes', () => {
    for (const name of ['', 'a b', 'a+b', 'a\u00a0b', 'a\u2003', 'a\nb', 'a\u0007', '\ud800']) {
      expect(isKeyName(name)).toBe(false);
      expect(() => verifierKey('log', name, key.publicKey)).toThrow(keyInvalid);
    }
    expect(isKeyName('köln.example/1')).toBe(true);
    expect(() => verifierKey('log', 'a', new Uint8Array(31))).toThrow(keyInvalid);
  });
});

describe('signing keys', () => {
  test('from a seed and from a KeyObject of it are one key', () => {
    const seed = Buffer.from(sha256(utf8('a'))).toString('base64url');
    const x = Buffer.from(key.publicKey).toString('base64url');
    const jwk = { kty: 'OKP', crv: 'Ed25519', d: seed, x };
    const same = logKeyFromPrivateKey(key.name, createPrivateKey({ key: jwk, format: 'jwk' }));
    expect(same.publicKey).toEqual(key.publicKey);
    expect(signNote('text\n', same)).toBe(signNote('text\n', key));
  });

  test('follow RFC 8032 section 7.1, test 1', () => {
    const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
    const rfc = logKeyFromSeed('rfc8032', new Uint8Array(Buffer.from(seed, 'hex')));
    expect(Buffer.from(rfc.publicKey).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    expect(Buffer.from(signMessage(rfc, new Uint8Array())).toString('hex')).toMatch(
      /^e5564300.*100b$/,
    );
  });

  test('refuse other kinds of keys, short seeds and signers that do not match their public key', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => logKeyFromPrivateKey('a', privateKey)).toThrow(keyInvalid);
    expect(() => logKeyFromSeed('a', new Uint8Array(31))).toThrow(keyInvalid);
    expect(() => signNote('text\n', { ...key, publicKey: other.publicKey })).toThrow(keyInvalid);
  });
});

describe('openNote', () => {
  const note = signNote('first\n\nlast\n', key);
  const both = note + signNote('first\n\nlast\n', other).split('\n\n').at(-1)!;

  test('keeps empty lines that belong to the text', () => {
    expect(openNote(note, [trusted]).text).toBe('first\n\nlast\n');
  });

  test('names every trusted key once and ignores the others', () => {
    const keys = [verifierKeyOf('log', other), trusted, trusted];
    expect(openNote(both, keys).signers.map((signer) => signer.key.name)).toEqual([
      key.name,
      other.name,
    ]);
    expect(openNote(both, [trusted]).signers).toHaveLength(1);
    expect(openNote(note + note.split('\n\n').at(-1)!, [trusted]).signers).toHaveLength(1);
  });

  test('refuses a note that no trusted key signed', () => {
    const missing = expect.objectContaining({ code: 'MERKLE_SIGNATURE_MISSING' });
    expect(() => openNote(note, [verifierKeyOf('log', other)])).toThrow(missing);
    expect(() => openNote(note, [verifierKeyOf('witness', key)])).toThrow(missing);
    expect(() => openNote(note, [])).toThrow(missing);
  });

  test('refuses the whole note when one trusted key signed wrongly', () => {
    const forged = note + signNote('another text\n', other).split('\n\n').at(-1)!;
    expect(() => openNote(forged, [trusted, verifierKeyOf('log', other)])).toThrow(
      expect.objectContaining({ code: 'MERKLE_SIGNATURE_INVALID' }),
    );
    expect(openNote(forged, [trusted]).signers).toHaveLength(1);
  });

  test('refuses two keys that share name and id', () => {
    const twin = { ...trusted, publicKey: other.publicKey };
    expect(() => openNote(note, [trusted, twin])).toThrow(keyInvalid);
  });
});

describe('parseNote', () => {
  const line = '\u2014 a AAAAAAA=\n';

  test('refuses every other form', () => {
    for (const text of [
      '',
      '\n',
      'text\n',
      'text\n\n',
      `text${line}`,
      `text\n${line}`,
      `text\n\n${line}rest`,
      `text\n\n${line}\n`,
      `text\n\n${line.trimEnd()}`,
      'text\n\n\u2014 a\n',
      'text\n\n\u2014  AAAAAAA=\n',
      'text\n\n\u2014 a AAAAAAA= x\n',
      'text\n\n\u2014 a AAAAAAB=\n',
      'text\n\n\u2014 a AAAAAA==\n',
      'text\n\n- a AAAAAAA=\n',
      `te\rxt\n\n${line}`,
      `te\u0000xt\n\n${line}`,
      `te\ud800xt\n\n${line}`,
      `text\n\n${line.repeat(1_025)}`,
      `${'x'.repeat(1_000_000)}\n\n${line}`,
    ]) {
      expect(() => parseNote(text)).toThrow(noteMalformed);
    }
    expect(parseNote(`text\n\n${line.repeat(1_024)}`).signatures).toHaveLength(1_024);
  });

  test('whatever a peer sends, only coded errors come out', () => {
    const piece = fc.constantFrom(
      '\n',
      '\n\n',
      '\u2014 ',
      key.name,
      ' ',
      'AAAAAAA=',
      trusted.keyId,
      '\ud800',
    );
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(piece, fc.string())).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        for (const read of [() => openNote(text, [trusted]), () => parseVerifierKey(text)]) {
          try {
            read();
          } catch (error) {
            expect(isMedleyError(error) && error.code.startsWith('MERKLE_')).toBe(true);
          }
        }
      }),
    );
  });
});

test('signNote refuses text that could not be read back', () => {
  for (const text of ['', 'no newline', 'a\tb\n']) {
    expect(() => signNote(text, key)).toThrow(noteMalformed);
  }
});
