import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isMedleyError, seededRng } from '@medley/kit';
import {
  MAX_TOKEN_LENGTH,
  createInvitation,
  invitationSecretHash,
  isInvitationSecret,
  readInvitation,
} from './invitation.ts';

const NOW = Date.parse('2026-08-24T10:00:00Z');
const HOUR = 3_600_000;
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });
const base = {
  rng: seededRng('invitation'),
  nowMs: NOW,
  ttlMs: 72 * HOUR,
  endpoints: { enrolment: 'agg.heart.example:8443', rounds: '[::1]:8444' },
  consortium: 'heart',
  silo: 'st-anna',
  caPin: 'ab'.repeat(32),
};
const body = (value: unknown): string =>
  `join_v1.${Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')}`;
const opened = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.slice(8), 'base64url').toString()) as Record<string, unknown>;

describe('invitations', () => {
  test('say to the silo what the operator put in', () => {
    const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?$/);
    const endpoint = fc
      .tuple(fc.stringMatching(/^[a-z]{1,10}\.[a-z]{1,10}$/), fc.integer({ min: 1, max: 65535 }))
      .map(([host, port]) => `${host}:${String(port)}`);
    fc.assert(
      fc.property(
        fc.record({
          consortium: name,
          silo: name,
          rounds: endpoint,
          enrolment: endpoint,
          seed: fc.string(),
        }),
        fc.integer({ min: 1000, max: 1e9 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        ({ consortium, silo, rounds, enrolment, seed }, ttlMs, pin) => {
          const caPin = Buffer.from(pin).toString('hex');
          const endpoints = { enrolment, rounds };
          const rng = seededRng(seed);
          const made = createInvitation({
            rng,
            nowMs: NOW,
            ttlMs,
            endpoints,
            consortium,
            silo,
            caPin,
          });
          const read = readInvitation(made.token, NOW);
          expect(read).toMatchObject({ consortium, silo, endpoints, caPin, id: made.id });
          expect(read.expiresAtMs).toBe(made.expiresAtMs);
          expect(isInvitationSecret(read.secret, made.secretHash)).toBe(true);
          expect(made.token.length).toBeLessThanOrEqual(MAX_TOKEN_LENGTH);
        },
      ),
    );
  });

  test('keep their secret out of what is stored', () => {
    const { token, secretHash } = createInvitation(base);
    const { secret } = readInvitation(` ${token}\n`, NOW);
    expect(secret).toHaveLength(16);
    expect(secretHash).toBe(invitationSecretHash(secret));
    expect(token).not.toContain(secretHash);
    expect(
      isInvitationSecret(
        secret.map((octet) => octet ^ 1),
        secretHash,
      ),
    ).toBe(false);
    expect(isInvitationSecret(secret, '')).toBe(false);
  });

  test('are never the same twice', () => {
    const [first, second] = [createInvitation(base), createInvitation(base)];
    expect(first.id).not.toBe(second.id);
    expect(first.secretHash).not.toBe(second.secretHash);
  });

  test('end when they say', () => {
    const { token, expiresAtMs } = createInvitation(base);
    expect(expiresAtMs).toBe(NOW + 72 * HOUR);
    expect(readInvitation(token, expiresAtMs - 1).silo).toBe('st-anna');
    expect(() => readInvitation(token, expiresAtMs)).toThrow(coded('PKI_INVITATION_EXPIRED'));
  });

  test.each<[string, Partial<typeof base>, string]>([
    ['an odd silo name', { silo: 'St Anna' }, 'PKI_NAME_INVALID'],
    ['a short pin', { caPin: 'abcd' }, 'PKI_INVITATION_INVALID'],
    [
      'an endpoint without a port',
      { endpoints: { enrolment: 'a', rounds: 'a:1' } },
      'PKI_INVITATION_INVALID',
    ],
    [
      'an endpoint with a scheme',
      { endpoints: { enrolment: 'https://a:1', rounds: 'a:1' } },
      'PKI_INVITATION_INVALID',
    ],
    [
      'names that fill a page',
      { silo: 'a'.repeat(63), consortium: 'b'.repeat(63) },
      'PKI_INVITATION_LONG',
    ],
  ])('are not made with %s', (_, change, code) => {
    const endpoints = { enrolment: `${'c'.repeat(60)}:8443`, rounds: `${'c'.repeat(60)}:8444` };
    expect(() => createInvitation({ ...base, endpoints, ...change })).toThrow(coded(code));
  });

  test.each<[string, (token: string) => string]>([
    ['another version', (token) => token.replace('v1', 'v2')],
    ['a missing end', (token) => token.slice(0, -3)],
    ['padding', (token) => `${token}=`],
    ['an unknown field', (token) => body({ ...opened(token), z: 1 })],
    ['a missing field', (token) => body({ ...opened(token), k: undefined })],
    ['a wrong type', (token) => body({ ...opened(token), e: 'a:1' })],
    [
      'another order of fields',
      (token) => body(Object.fromEntries(Object.entries(opened(token)).reverse())),
    ],
    ['blanks', (token) => body(JSON.stringify(opened(token), undefined, 1))],
    ['a field twice', (token) => body(JSON.stringify(opened(token)).replace('{', '{"c":"x",'))],
    ['a list', () => body([])],
    ['null', () => body('null')],
    ['nothing', () => ''],
  ])('are refused with %s', (_, change) => {
    const { token } = createInvitation(base);
    expect(() => readInvitation(change(token), NOW)).toThrow(coded('PKI_INVITATION_INVALID'));
  });

  test('any text is refused with a code that does not repeat it', () => {
    const { token } = createInvitation(base);
    const noise = fc.string({ minLength: 1 }).map((text) => body(text));
    const cut = fc
      .tuple(fc.nat(token.length - 1), fc.constantFrom('A', 'z', '_', '.'))
      .map(([at, char]) => token.slice(0, at) + char + token.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(fc.string(), noise, cut), (text) => {
        try {
          readInvitation(text, NOW);
        } catch (error) {
          expect(isMedleyError(error)).toBe(true);
          expect(String(error)).not.toContain(String(opened(token)['k']));
        }
      }),
    );
  });
});
