import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isPem, readPem, writePem } from './pem.ts';

describe('PEM', () => {
  test('reads back what it writes, also with CRLF', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const text = writePem('THING', bytes);
        expect(readPem(text, 'THING')).toEqual(bytes);
        expect(readPem(text.replaceAll('\n', '\r\n'), 'THING')).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['another label', writePem('OTHER', new Uint8Array(4))],
    ['text before the block', `note\n${writePem('THING', new Uint8Array(4))}`],
    ['two blocks', writePem('THING', new Uint8Array(4)).repeat(2)],
    ['no end', '-----BEGIN THING-----\nAAAA\n'],
    ['no body', '-----BEGIN THING-----\n-----END THING-----'],
    ['loose base64', '-----BEGIN THING-----\nAAB=\n-----END THING-----'],
  ])('refuses %s', (_, text) => {
    expect(readPem(text, 'THING')).toBeUndefined();
  });

  test('refuses a text beyond the limit', () => {
    const text = writePem('THING', new Uint8Array(100));
    expect(readPem(text, 'THING', text.length - 1)).toBeUndefined();
  });

  test('tells a label from its text', () => {
    expect(isPem(' -----BEGIN A-----', 'A')).toBe(true);
    expect(isPem('-----BEGIN AB-----', 'A')).toBe(false);
  });
});
