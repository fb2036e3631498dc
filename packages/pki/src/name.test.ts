import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isHostName, isName, readSubjectUri, subjectUri, type Role } from './name.ts';

const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
const role = fc.constantFrom<Role>('silo', 'operator', 'aggregator', 'audit');

describe('names', () => {
  test('a subject survives its URI', () => {
    fc.assert(
      fc.property(name, role, name, (consortium, role, name) => {
        const subject = { consortium, role, name };
        expect(readSubjectUri(subjectUri(subject))).toEqual(subject);
      }),
    );
  });

  test.each(['', '-a', 'a-', 'A', 'a_b', 'a/b', 'a b', 'a\n', 'ä', 'a'.repeat(64)])(
    'refuses %j as a name',
    (text) => {
      expect(isName(text)).toBe(false);
      expect(() => subjectUri({ consortium: text, role: 'silo', name: 'a' })).toThrow(
        expect.objectContaining({ code: 'PKI_NAME_INVALID' }),
      );
    },
  );

  test.each([
    'medley://a/silo',
    'medley://a/silo/b/',
    'medley://a/nurse/b',
    'medley://a/silo/B',
    'https://a/silo/b',
    'medley://a/silo/b?x',
    'medley://-/silo/b',
  ])('refuses the URI %s', (uri) => {
    expect(readSubjectUri(uri)).toBeUndefined();
  });

  test('knows host names from addresses and wildcards', () => {
    expect(isHostName('agg.consortium.example')).toBe(true);
    expect(isHostName('localhost')).toBe(true);
    for (const text of ['127.0.0.1', '*.example', 'a..b', 'A.b', 'a,b', '']) {
      expect(isHostName(text)).toBe(false);
    }
  });
});
