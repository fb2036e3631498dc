import { MedleyError, canonicalBytes, checkSchema, equalBytes, type Json } from '@medley/kit';
import type { Charter } from '@medley/study';
import { EVENT_SCHEMAS } from './schema.ts';

/** Who did it. `id` is a silo's or operator's name, or `aggregator`. */
export interface Actor {
  readonly kind: 'operator' | 'silo' | 'aggregator';
  readonly id: string;
}

interface Envelope<Type extends string, Data> {
  readonly v: 1;
  readonly type: Type;
  /** RFC 3339, UTC, milliseconds, by the aggregator's clock. */
  readonly at: string;
  readonly consortium: string;
  readonly actor: Actor;
  readonly outcome: 'ok' | 'refused' | 'failed';
  readonly data: Data;
}

interface OfStudy {
  readonly study: string;
}

interface OfRound extends OfStudy {
  readonly round: number;
  readonly attempt: number;
}

/** A steward's signed decision as it came in: {@link Decision} bytes and Ed25519 signature, base64. */
export interface SignedDecision {
  readonly charterHash: string;
  readonly silo: string;
  readonly statement: string;
  readonly signature: string;
}

/** An operator's account as it is from now on. */
export interface OperatorTerms {
  readonly operator: string;
  readonly roles: readonly string[];
  readonly state: 'active' | 'disabled';
  /** Of the one certificate that is honoured; absent when any of this name is. */
  readonly certificateSerial?: string;
}

/** `receiptToJson` of secure aggregation: hashes in hex, signatures in base64. */
export type ReceiptJson = Readonly<Record<string, Json>>;

/**
 * One entry of the audit trail. Hashes are lower-case hex SHA-256. No event holds patient data or a
 * count of patients.
 */
export type TrailEvent =
  | Envelope<'consortium.created', { readonly caPin: string; readonly logKey: string }>
  | Envelope<
      'silo.invited',
      { readonly silo: string; readonly invitationId: string; readonly expires: string }
    >
  | Envelope<
      'silo.requested',
      { readonly silo: string; readonly requestId: string; readonly identityKeyHash: string }
    >
  | Envelope<
      'silo.approved',
      {
        readonly silo: string;
        readonly requestId: string;
        readonly certificateSerial: string;
        readonly identityKeyHash: string;
      }
    >
  | Envelope<
      'silo.refused',
      { readonly silo: string; readonly requestId: string; readonly reason: string }
    >
  | Envelope<
      'silo.revoked',
      { readonly silo: string; readonly certificateSerial: string; readonly reason: string }
    >
  | Envelope<
      'silo.endorsed',
      { readonly silo: string; readonly requestId: string; readonly identityKeyHash: string }
    >
  | Envelope<
      'silo.renewed',
      {
        readonly silo: string;
        readonly certificateSerial: string;
        readonly previousSerial: string;
        readonly expires: string;
      }
    >
  | Envelope<
      'witness.registered',
      {
        readonly silo: string;
        readonly verifierKey: string;
        readonly identityKey: string;
        readonly signature: string;
      }
    >
  | Envelope<
      'crl.published',
      { readonly number: number; readonly revoked: number; readonly crlHash: string }
    >
  | Envelope<'operator.added', OperatorTerms>
  | Envelope<'operator.changed', OperatorTerms>
  | Envelope<
      'token.created',
      {
        readonly tokenId: string;
        readonly operator: string;
        readonly scopes: readonly string[];
        readonly expires: string;
      }
    >
  | Envelope<'token.revoked', { readonly tokenId: string; readonly operator: string }>
  | Envelope<
      'audit.exported',
      {
        /** Of the bundle's manifest. */
        readonly manifestHash: string;
        readonly format: string;
        /** Entries [first, end) were asked for, of the checkpoint of `size` entries. */
        readonly first: number;
        readonly end: number;
        readonly size: number;
        /** The only one asked for. */
        readonly study?: string;
        readonly silo?: string;
        readonly recipient: string;
      }
    >
  | Envelope<'consortium.setting', { readonly name: string; readonly value: string }>
  | (OfStudy &
      Envelope<
        'study.proposed',
        {
          readonly charterHash: string;
          readonly files: Charter['files'];
          /** The study file, base64: with it an auditor derives every session from the log alone. */
          readonly studyFile?: string;
        }
      >)
  | (OfStudy & Envelope<'charter.signed', SignedDecision>)
  | (OfStudy & Envelope<'charter.refused', SignedDecision>)
  | (OfStudy &
      Envelope<'study.started', { readonly charterHash: string; readonly charter: Charter }>)
  | (OfStudy & Envelope<'charter.withdrawn', SignedDecision>)
  | (OfStudy & Envelope<'study.paused', { readonly reason: string }>)
  | (OfStudy & Envelope<'study.resumed', { readonly charterHash: string }>)
  | (OfStudy & Envelope<'study.stopped', { readonly reason: string }>)
  | (OfStudy & Envelope<'study.completed', { readonly modelHash: string; readonly rounds: number }>)
  | (OfStudy &
      Envelope<'model.exported', { readonly modelHash: string; readonly recipient: string }>)
  | (OfRound &
      Envelope<
        'round.opened',
        {
          readonly kind: string;
          readonly sid: string;
          readonly modelHash: string;
          readonly deadline: string;
        }
      >)
  | (OfRound &
      Envelope<
        'privacy.spent',
        {
          readonly silo: string;
          /** Canonical bytes of the {@link SpendStatement} and Ed25519 signature, base64. */
          readonly statement: string;
          readonly signature: string;
        }
      >)
  | (OfRound & Envelope<'round.dropped', { readonly silo: string; readonly step: string }>)
  | (OfRound &
      Envelope<
        'round.blamed',
        {
          readonly silo: string;
          readonly step: string;
          readonly code: string;
          /** `serializeEvidence` of secure aggregation, base64. */
          readonly evidence?: string;
        }
      >)
  | (OfRound &
      Envelope<
        'round.closed',
        {
          readonly kind: string;
          readonly receipt: ReceiptJson;
          /** Of the opened sum; the same as in the receipt. */
          readonly aggregateHash: string;
          /** State that the round started from. */
          readonly modelHash: string;
          readonly nextModelHash: string;
        }
      >)
  | (OfRound &
      Envelope<
        'model.rolledback',
        { readonly reason: string; readonly modelHash: string; readonly nextModelHash: string }
      >)
  | (OfRound & Envelope<'round.aborted', { readonly reason: string; readonly retried: boolean }>)
  | (Partial<OfRound> &
      Envelope<
        'message.refused',
        { readonly silo?: string; readonly step: string; readonly code: string }
      >);

export type EventType = TrailEvent['type'];

/** The event of one type. */
export type EventOf<Type extends EventType> = Extract<TrailEvent, { readonly type: Type }>;

/** Largest leaf: entry bundles give its length in 16 bits (C2SP tlog-tiles). */
export const MAX_EVENT_BYTES = 65_535;

/** True for the name of an event type; `type` may be anything. */
export function isEventType(type: unknown): type is EventType {
  return typeof type === 'string' && Object.hasOwn(EVENT_SCHEMAS, type);
}

/** The leaf of an event: canonical JSON (RFC 8785). Throws TRAIL_EVENT_INVALID. */
export function encodeEvent(event: TrailEvent): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = canonicalBytes(event);
  } catch (cause) {
    throw new MedleyError('TRAIL_EVENT_INVALID', 'the event has no canonical form', { cause });
  }
  decodeEvent(bytes);
  return bytes;
}

/** Reads a leaf, strictly: canonical form and the schema of its type. Throws TRAIL_EVENT_INVALID. */
export function decodeEvent(leaf: Uint8Array): TrailEvent {
  if (leaf.length > MAX_EVENT_BYTES) {
    throw new MedleyError('TRAIL_EVENT_INVALID', `an event of ${leaf.length} bytes`);
  }
  let value: unknown;
  let canonical: Uint8Array;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(leaf));
    canonical = canonicalBytes(value);
  } catch (cause) {
    throw new MedleyError('TRAIL_EVENT_INVALID', 'an event is canonical JSON', { cause });
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : null;
  if (!isEventType(type)) throw new MedleyError('TRAIL_EVENT_INVALID', 'no such type of event');
  checkSchema(value, EVENT_SCHEMAS[type], 'TRAIL_EVENT_INVALID');
  if (!equalBytes(canonical, leaf)) {
    throw new MedleyError('TRAIL_EVENT_INVALID', 'an event is canonical JSON');
  }
  return value as TrailEvent;
}
