import { beforeAll, describe, expect, test } from '@jest/globals';
import { systemRng, utf8 } from '@medley/kit';
import {
  createCsr,
  createIdentity,
  createTlsKey,
  fingerprintWords,
  invitationSecretHash,
  openIdentity,
  signEnrolment,
  type SignedEnrolment,
} from '@medley/pki';
import { checkPending } from './approval.ts';

let request: SignedEnrolment;
let other: SignedEnrolment;
let words: string;

beforeAll(async () => {
  const { privateKeyPem } = await createTlsKey(2048);
  const requestOf = (silo: string): SignedEnrolment => {
    const csrPem = createCsr({ privateKeyPem, consortium: 'ours', name: silo });
    const invitationId = '00112233aabbccdd';
    const secretHash = invitationSecretHash(utf8('secret of 16 byte'));
    const identity = openIdentity(createIdentity().privateKeyPem);
    return signEnrolment(identity, { silo, csrPem, invitationId, secretHash });
  };
  request = requestOf('charite');
  other = requestOf('vienna');
  words = spoken(request);
});

/** The right words of a request, as its hospital reads them out. */
function spoken({ identityKey }: SignedEnrolment): string {
  return fingerprintWords(identityKey).join(' ');
}

describe('the right words', () => {
  test('are accepted and returned', () => {
    expect(checkPending(request, 'charite', words).join(' ')).toBe(words);
  });

  test('may come in any case and with any separators', () => {
    const [a, b, c, d, e, f] = words.toUpperCase().split(' ');
    expect(checkPending(request, 'charite', ` ${a}-${b}, ${c} / ${d}\t${e}\n${f}. `)).toHaveLength(
      6,
    );
  });
});

describe('OPERATOR_FINGERPRINT_DIFFERS', () => {
  test.each([
    ['no words', () => ''],
    ['five words', () => words.split(' ').slice(0, 5).join(' ')],
    ['seven words', () => `${words} bado`],
    ['words in another order', () => words.split(' ').reverse().join(' ')],
    ['the words of another key', () => spoken(other)],
  ])('for %s', (_, said) => {
    expect(() => checkPending(request, 'charite', said())).toThrow(
      expect.objectContaining({ code: 'OPERATOR_FINGERPRINT_DIFFERS' }),
    );
  });

  test('does not tell the right words', () => {
    const missing = words.split(' ')[0]!;
    const ask = (): unknown => checkPending(request, 'charite', 'bado');
    expect(ask).toThrow(expect.not.objectContaining({ message: expect.stringContaining(missing) }));
  });
});

describe('OPERATOR_REQUEST_FORGED', () => {
  const forged: readonly (readonly [string, () => SignedEnrolment])[] = [
    ['another certificate request', () => ({ ...request, csrPem: other.csrPem })],
    ['another identity key', () => ({ ...request, identityKey: other.identityKey })],
    ['another invitation', () => ({ ...request, invitationId: 'ffffffffffffffff' })],
    ['another secret', () => ({ ...request, secretHash: '00'.repeat(32) })],
    ['a signature of noise', () => ({ ...request, signature: systemRng.bytes(64) })],
    ['no signature', () => ({ ...request, signature: new Uint8Array() })],
    ['a request that is no PEM', () => ({ ...request, csrPem: 'hello' })],
    ['the request of another silo', () => other],
  ];
  test.each(forged)('for %s', (_, make) => {
    expect(() => checkPending(make(), 'charite', words)).toThrow(
      expect.objectContaining({ code: 'OPERATOR_REQUEST_FORGED' }),
    );
  });
});
