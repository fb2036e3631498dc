import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { equalBytes, fromBase64, fromHex, sha256, toBase64, toHex, utf8 } from './bytes.ts';
import { canonicalBytes, documentHash } from './canonical.ts';

describe('canonicalBytes', () => {
  test('writes the sample of RFC 8785 section 3.2.3', () => {
    const sample = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\u0022\u002f",
      literals: [null, true, false],
    };
    expect(new TextDecoder().decode(canonicalBytes(sample))).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test('is the same for any order of keys', () => {
    expect(documentHash({ b: 1, a: { d: 2, c: 3 } })).toBe(
      documentHash({ a: { c: 3, d: 2 }, b: 1 }),
    );
  });

  test('refuses what JSON cannot carry', () => {
    for (const value of [NaN, Infinity, undefined, { a: NaN }]) {
      expect(() => canonicalBytes(value)).toThrow(
        expect.objectContaining({ code: 'CANONICAL_INVALID' }),
      );
    }
  });
});

describe('bytes', () => {
  test('hex and base64 come back as they went, and nothing else is taken', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
    expect(fromHex('abc')).toBeUndefined();
    expect(fromHex('zz')).toBeUndefined();
    expect(fromBase64('YQ')).toBeUndefined();
    expect(fromBase64('Y Q==')).toBeUndefined();
  });

  test('sha256 hashes the concatenation (FIPS 180-4, "abc")', () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(toHex(sha256(utf8('ab'), utf8('c')))).toBe(expected);
  });

  test('equalBytes compares contents', () => {
    expect(equalBytes(utf8('a'), utf8('a'))).toBe(true);
    expect(equalBytes(utf8('a'), utf8('b'))).toBe(false);
    expect(equalBytes(utf8('a'), utf8('aa'))).toBe(false);
  });
});
