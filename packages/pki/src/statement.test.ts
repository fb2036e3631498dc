import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '@medley/kit';
import { createIdentity, openIdentity } from './identity.ts';
import { signStatement, statementBytes, verifyStatement } from './statement.ts';

const identity = openIdentity(createIdentity().privateKeyPem);
const other = createIdentity().publicKey;

describe('signed statements', () => {
  test('verify whatever the order of their keys', () => {
    const { signature } = signStatement(identity, 'charter', { decision: 'sign', at: 1 });
    const reordered = { at: 1, decision: 'sign' };
    expect(verifyStatement(identity.publicKey, 'charter', reordered, signature)).toBe(true);
  });

  test('do not serve another domain, document or key', () => {
    const document = { requestId: 'r1' };
    const { signature } = signStatement(identity, 'collect', document);
    expect(verifyStatement(identity.publicKey, 'charter', document, signature)).toBe(false);
    expect(verifyStatement(identity.publicKey, 'collect', { requestId: 'r2' }, signature)).toBe(
      false,
    );
    expect(verifyStatement(other, 'collect', document, signature)).toBe(false);
  });

  test('are the domain line and the canonical document', () => {
    expect(Buffer.from(statementBytes('charter', { b: 1, a: 'ü' })).toString()).toBe(
      'medley/charter/v1\n{"a":"ü","b":1}',
    );
  });

  test('any JSON document verifies after a trip through text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { signature } = signStatement(identity, 'charter', value as Json);
        const read = JSON.parse(JSON.stringify(value)) as Json;
        expect(verifyStatement(identity.publicKey, 'charter', read, signature)).toBe(true);
      }),
    );
  });

  test('what has no canonical form verifies as false and cannot be signed', () => {
    expect(verifyStatement(identity.publicKey, 'charter', Number.NaN, new Uint8Array(64))).toBe(
      false,
    );
    expect(() => signStatement(identity, 'charter', Number.NaN)).toThrow(
      expect.objectContaining({ code: 'CANONICAL_INVALID' }),
    );
  });

  test('a domain cannot smuggle a line', () => {
    for (const domain of ['', 'a\nb', 'a/v1', 'A']) {
      expect(() => statementBytes(domain, {})).toThrow(
        expect.objectContaining({ code: 'INTERNAL' }),
      );
    }
  });
});
