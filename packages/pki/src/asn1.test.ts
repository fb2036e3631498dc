import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contentOf, decode, encode, integer, octets, sequence, time, timeOf } from './asn1.ts';

describe('ASN.1', () => {
  test('integers have the fewest octets and no sign', () => {
    expect([...encode(integer(0))]).toEqual([2, 1, 0]);
    expect([...encode(integer(127))]).toEqual([2, 1, 0x7f]);
    expect([...encode(integer(128))]).toEqual([2, 2, 0, 0x80]);
    expect([...encode(integer(16384))]).toEqual([2, 2, 0x40, 0]);
    expect([...encode(integer(Uint8Array.of(0, 0, 0x80)))]).toEqual([2, 2, 0, 0x80]);
  });

  test('decodes what it encodes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const [part] = decode(encode(sequence(octets(bytes)))).value;
        expect(typeof part === 'object' && contentOf(part, 'OCTETSTRING')).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['an indefinite length', '3080020100 0000'],
    ['a long form where the short would do', '308103020100'],
    ['bytes after the value', '020100ff'],
    ['a truncated value', '3003020100'.slice(0, 8)],
    ['nothing', ''],
  ])('refuses %s', (_, hex) => {
    expect(() => decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toThrow();
  });

  test('refuses nesting beyond reason', () => {
    let node = sequence();
    for (let i = 0; i < 400; i++) node = sequence(node);
    expect(() => decode(encode(node))).toThrow();
  });

  test('writes times before and after 2050 and reads them back', () => {
    for (const text of [
      '2026-08-24T10:11:12.000Z',
      '2049-12-31T23:59:59.000Z',
      '2050-01-01T00:00:00.000Z',
    ]) {
      expect(timeOf(decode(encode(time(Date.parse(text)))))).toBe(Date.parse(text));
    }
  });
});
