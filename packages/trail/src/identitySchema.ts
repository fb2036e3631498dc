import type { JsonSchema } from '@medley/kit';
import {
  closed,
  event,
  hash,
  identifier,
  instant,
  matching,
  name,
  serial,
  silo,
  text,
} from './form.ts';

const words = (description: string): JsonSchema => ({
  type: 'array',
  maxItems: 16,
  items: matching('^[a-z]{1,40}$', 'One word.'),
  description,
});
const operatorTerms = closed(
  'The account as it is from now on.',
  {
    operator: name('Whose account it is.'),
    roles: words('viewer, scientist, operator, auditor, admin.'),
    state: { enum: ['active', 'disabled'], description: 'Whether it may be used.' },
    certificateSerial: serial,
  },
  ['certificateSerial'],
);

const index = (description: string): JsonSchema => ({
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description,
});

/** Events of the consortium, its hospitals and its operators. */
export const IDENTITY_SCHEMAS = {
  'consortium.created': event(
    'consortium.created',
    'consortium',
    'The consortium and its log began.',
    closed('Keys of the consortium.', {
      caPin: matching('^[A-Za-z0-9_+/=-]{32,96}$', 'SHA-256 of the authority’s public key.'),
      logKey: text('Verifier key of the log (C2SP signed-note).', 400),
    }),
  ),
  'silo.invited': event(
    'silo.invited',
    'consortium',
    'An operator invited a hospital.',
    closed('The invitation; its token is not recorded.', {
      silo,
      invitationId: identifier('Public part of the invitation.'),
      expires: instant('End of the invitation'),
    }),
  ),
  'silo.requested': event(
    'silo.requested',
    'consortium',
    'An invited hospital handed in its keys.',
    closed('The request.', {
      silo,
      requestId: identifier('The request.'),
      identityKeyHash: hash('SHA-256 of the raw identity key.'),
    }),
  ),
  'silo.approved': event(
    'silo.approved',
    'consortium',
    'An operator approved a hospital after comparing fingerprints.',
    closed('The approval.', {
      silo,
      requestId: identifier('The request.'),
      certificateSerial: serial,
      identityKeyHash: hash('SHA-256 of the raw identity key.'),
    }),
  ),
  'silo.refused': event(
    'silo.refused',
    'consortium',
    'An operator refused a hospital.',
    closed('The refusal.', {
      silo,
      requestId: identifier('The request.'),
      reason: text('Why.', 1000),
    }),
  ),
  'silo.revoked': event(
    'silo.revoked',
    'consortium',
    'A hospital’s certificate was revoked.',
    closed('The revocation.', { silo, certificateSerial: serial, reason: text('Why.', 1000) }),
  ),
  'silo.endorsed': event(
    'silo.endorsed',
    'consortium',
    'An operator approved a hospital; another operator’s approval is still needed.',
    closed('The first approval.', {
      silo,
      requestId: identifier('The request.'),
      identityKeyHash: hash('SHA-256 of the raw identity key.'),
    }),
  ),
  'silo.renewed': event(
    'silo.renewed',
    'consortium',
    'A hospital’s agent renewed its certificate, signed for by its identity key.',
    closed('The renewal.', {
      silo,
      certificateSerial: serial,
      previousSerial: serial,
      expires: instant('End of the new certificate'),
    }),
  ),
  'witness.registered': event(
    'witness.registered',
    'consortium',
    'A hospital became a witness of this log, or took another key as one.',
    closed('The key and who says that it is theirs.', {
      silo,
      verifierKey: text('Verifier key of the witness (C2SP signed-note, type 0x04).', 400),
      identityKey: matching(
        '^[A-Za-z0-9+/]{43}=$',
        'Identity key of the hospital, 32 bytes, base64.',
      ),
      signature: matching(
        '^[A-Za-z0-9+/]{86}==$',
        'The identity key’s over the statement in the domain `witness-key`, base64.',
      ),
    }),
  ),
  'crl.published': event(
    'crl.published',
    'consortium',
    'An operator published a revocation list that the authority signed.',
    closed('The list.', {
      number: { type: 'integer', minimum: 0, description: 'Its number, which grows.' },
      revoked: { type: 'integer', minimum: 0, description: 'Certificates in it.' },
      crlHash: hash('SHA-256 of its PEM text.'),
    }),
  ),
  'operator.added': event(
    'operator.added',
    'consortium',
    'An operator’s account was made.',
    operatorTerms,
  ),
  'operator.changed': event(
    'operator.changed',
    'consortium',
    'An operator’s roles, state or certificate changed.',
    operatorTerms,
  ),
  'token.created': event(
    'token.created',
    'consortium',
    'An operator made an API token; its secret is not recorded.',
    closed('The token.', {
      tokenId: identifier('Public part of the token.'),
      operator: name('Whose it is.'),
      scopes: words('What it may do, within its operator’s roles.'),
      expires: instant('End of the token'),
    }),
  ),
  'token.revoked': event(
    'token.revoked',
    'consortium',
    'An API token was revoked.',
    closed('The token.', {
      tokenId: identifier('Public part of the token.'),
      operator: name('Whose it was.'),
    }),
  ),
  'audit.exported': event(
    'audit.exported',
    'consortium',
    'An operator took entries of this log out, for somebody to read and check.',
    closed(
      'What was taken out, and for whom.',
      {
        manifestHash: hash('SHA-256 of the manifest, which names every file with its hash.'),
        format: matching('^[a-z][a-z0-9./-]{0,39}$', 'Form of what was taken out.'),
        first: index('First entry asked for.'),
        end: index('Entry behind the last one asked for.'),
        size: index('Entries of the checkpoint that it is of.'),
        study: name('The only study asked for.'),
        silo: name('The only hospital asked for.'),
        recipient: text('Who receives it.'),
      },
      ['study', 'silo'],
    ),
  ),
  'consortium.setting': event(
    'consortium.setting',
    'consortium',
    'A setting that hospitals may want to know of has another value than at the last start.',
    closed('The setting.', {
      name: text('`approvals`: operators that it takes to approve a hospital.'),
      value: text('Its value.'),
    }),
  ),
} as const satisfies Readonly<Record<string, JsonSchema>>;
