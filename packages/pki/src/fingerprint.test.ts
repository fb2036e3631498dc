import { describe, expect, test } from '@jest/globals';
import { createIdentity } from './identity.ts';
import { fingerprintWord, fingerprintWords } from './fingerprint.ts';

describe('fingerprints', () => {
  test('there are 2048 different words of four letters', () => {
    const words = Array.from({ length: 2048 }, (_, index) => fingerprintWord(index));
    expect(new Set(words).size).toBe(2048);
    expect(words.every((word) => /^(?:[bdfghjklmnprstvz][aiou]){2}$/.test(word))).toBe(true);
    expect([words[0], words[2047]]).toEqual(['baba', 'zuzu']);
  });

  test('are six words that depend on the key alone', () => {
    const { publicKey } = createIdentity();
    expect(fingerprintWords(publicKey)).toHaveLength(6);
    expect(fingerprintWords(publicKey)).toEqual(fingerprintWords(publicKey.slice()));
    expect(fingerprintWords(createIdentity().publicKey)).not.toEqual(fingerprintWords(publicKey));
  });

  test('of a known key never change: people have written them down', () => {
    const key = Buffer.from(
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      'hex',
    );
    expect(fingerprintWords(key).join('-')).toBe('bavi-ziha-lunu-lifo-dolo-zaja');
  });

  test('are refused for what is no identity key', () => {
    for (const key of [new Uint8Array(31), new Uint8Array(32)]) {
      expect(() => fingerprintWords(key)).toThrow(
        expect.objectContaining({ code: 'PKI_KEY_INVALID' }),
      );
    }
  });
});
