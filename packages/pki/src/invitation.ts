import {
  MedleyError,
  canonicalBytes,
  checkSchema,
  equalBytes,
  fromHex,
  sha256,
  toHex,
  utf8,
  type JsonSchema,
  type Rng,
} from '@medley/kit';
import { checkName } from './name.ts';

/** Where a silo dials, each `host:port` (IPv6 in brackets). */
export interface Endpoints {
  /** Serves enrolment, without a client certificate. */
  readonly enrolment: string;
  /** Serves rounds, by mutual TLS. */
  readonly rounds: string;
}

/** An invitation as its silo reads it. */
export interface Invitation {
  readonly id: string;
  /** 16 bytes. Proves possession of the token; never stored by the operator. */
  readonly secret: Uint8Array;
  readonly consortium: string;
  readonly silo: string;
  readonly endpoints: Endpoints;
  /** Hex SHA-256 of the authority's SubjectPublicKeyInfo. */
  readonly caPin: string;
  /** Whole seconds. */
  readonly expiresAtMs: number;
}

/** The longest token, in characters: it must fit a QR code that a telephone reads from a screen. */
export const MAX_TOKEN_LENGTH = 400;

const PREFIX = 'join_v1.';

/** The token's JSON under one-letter names, because it is typed, pasted and scanned. */
interface Body {
  readonly c: string;
  readonly e: readonly [string, string];
  readonly i: string;
  readonly k: string;
  readonly p: string;
  readonly s: string;
  readonly x: number;
}

const NAME = { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$' };
const ENDPOINT = {
  type: 'string',
  maxLength: 261,
  pattern: '^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\\[[0-9a-f:.]+\\]):[1-9][0-9]{0,4}$',
};
const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['c', 'e', 'i', 'k', 'p', 's', 'x'],
  properties: {
    c: NAME,
    e: { type: 'array', minItems: 2, maxItems: 2, items: ENDPOINT },
    i: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    k: { type: 'string', pattern: '^[A-Za-z0-9_-]{22}$' },
    p: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' },
    s: NAME,
    x: { type: 'integer', minimum: 1, maximum: 253402300799 },
  },
};

/**
 * A single-use invitation for one silo. Give `token` to the silo; store `id`, `secretHash` and
 * `expiresAtMs`. The token alone grants nothing: the operator still approves the keys.
 *
 * Throws PKI_NAME_INVALID, PKI_INVITATION_INVALID for malformed endpoints or pin, and
 * PKI_INVITATION_LONG beyond {@link MAX_TOKEN_LENGTH}.
 */
export function createInvitation(options: {
  readonly rng: Rng;
  readonly nowMs: number;
  readonly ttlMs: number;
  readonly endpoints: Endpoints;
  readonly consortium: string;
  readonly silo: string;
  readonly caPin: string;
}): {
  readonly token: string;
  readonly id: string;
  readonly secretHash: string;
  readonly expiresAtMs: number;
} {
  const { rng, endpoints } = options;
  const secret = rng.bytes(16);
  const expiresAt = Math.floor((options.nowMs + options.ttlMs) / 1000);
  const body: Body = {
    c: checkName(options.consortium, 'the consortium'),
    e: [endpoints.enrolment, endpoints.rounds],
    i: toHex(rng.bytes(8)),
    k: toBase64Url(secret),
    p: toBase64Url(fromHex(options.caPin) ?? new Uint8Array()),
    s: checkName(options.silo, 'the silo'),
    x: expiresAt,
  };
  checkBody(body);
  const token = PREFIX + toBase64Url(canonicalBytes(body));
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new MedleyError(
      'PKI_INVITATION_LONG',
      `the token has ${String(token.length)} characters`,
    );
  }
  return {
    token,
    id: body.i,
    secretHash: invitationSecretHash(secret),
    expiresAtMs: expiresAt * 1000,
  };
}

/**
 * Reads a token. Strict: only the very text {@link createInvitation} can give. Throws
 * PKI_INVITATION_INVALID, and PKI_INVITATION_EXPIRED from `expiresAtMs` on.
 */
export function readInvitation(token: string, nowMs: number): Invitation {
  const body = readBody(token.trim());
  const expiresAtMs = body.x * 1000;
  if (nowMs >= expiresAtMs) {
    throw new MedleyError('PKI_INVITATION_EXPIRED', `invitation ${body.i} expired`);
  }
  return {
    id: body.i,
    secret: fromBase64Url(body.k),
    consortium: body.c,
    silo: body.s,
    endpoints: { enrolment: body.e[0], rounds: body.e[1] },
    caPin: toHex(fromBase64Url(body.p)),
    expiresAtMs,
  };
}

/** What the operator stores of an invitation's secret, lower-case hex. The secret has 128 random bits, so one hash suffices. */
export function invitationSecretHash(secret: Uint8Array): string {
  return toHex(sha256(utf8('medley/invitation/v1\n'), secret));
}

/** Whether `secret` is the one behind `secretHash`, in time that tells nothing of how nearly. */
export function isInvitationSecret(secret: Uint8Array, secretHash: string): boolean {
  return equalBytes(utf8(invitationSecretHash(secret)), utf8(secretHash));
}

function readBody(token: string): Body {
  if (token.length > MAX_TOKEN_LENGTH || !/^join_v1\.[A-Za-z0-9_-]+$/.test(token)) {
    throw new MedleyError('PKI_INVITATION_INVALID', 'not the text of an invitation');
  }
  const bytes = fromBase64Url(token.slice(PREFIX.length));
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // Without the cause: the parser quotes its input, which holds the secret.
    throw new MedleyError('PKI_INVITATION_INVALID', 'the invitation does not hold a document');
  }
  checkBody(body);
  if (PREFIX + toBase64Url(canonicalBytes(body)) !== token) {
    throw new MedleyError('PKI_INVITATION_INVALID', 'the invitation is not in its canonical form');
  }
  return body;
}

function checkBody(body: unknown): asserts body is Body {
  checkSchema(body, SCHEMA, 'PKI_INVITATION_INVALID');
}

function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function fromBase64Url(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
