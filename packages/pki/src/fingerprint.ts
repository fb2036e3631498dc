import { MedleyError, sha256, utf8 } from '@medley/kit';
import { isIdentityKey } from './identity.ts';

const WORD_COUNT = 6;
const FIRST = 'bdglnrtz';
const SECOND = 'bdfghjklmnprstvz';
const VOWEL = 'aiou';

/**
 * Six words for two people to compare by telephone: 66 bits of SHA-256 over the identity's public
 * key, eleven a word. Finding another key with the same words takes about 2^66 tries. Throws
 * PKI_KEY_INVALID for bytes that are no identity key.
 */
export function fingerprintWords(publicKey: Uint8Array): string[] {
  if (!isIdentityKey(publicKey)) {
    throw new MedleyError(
      'PKI_KEY_INVALID',
      'an identity key is 32 bytes of a point of full order',
    );
  }
  const digest = sha256(utf8('medley/fingerprint/v1\n'), publicKey);
  const stream = [...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Array.from({ length: WORD_COUNT }, (_, i) =>
    fingerprintWord(Number.parseInt(stream.slice(11 * i, 11 * i + 11), 2)),
  );
}

/**
 * Word `index` in 0…2047: consonant, vowel, consonant, vowel for 3, 2, 4 and 2 bits. After the
 * proquints of Wilkerson 2009 ("A proposal for proquints: identifiers that are readable, spellable
 * and pronounceable", arXiv:0901.4016), shortened to eleven bits.
 */
export function fingerprintWord(index: number): string {
  return (
    FIRST.charAt((index >> 8) & 7) +
    VOWEL.charAt((index >> 6) & 3) +
    SECOND.charAt((index >> 2) & 15) +
    VOWEL.charAt(index & 3)
  );
}
