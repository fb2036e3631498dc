import { canonicalBytes, toBase64, type Json } from '@medley/kit';
import {
  decodeEvent,
  encodeEvent,
  EVENT_SCHEMAS,
  type EventOf,
  type EventType,
  type TrailEvent,
} from '@medley/trail';
import { CHARTER } from './trail.ts';

interface Node {
  readonly title?: string;
  readonly const?: Json;
  readonly enum?: readonly Json[];
  readonly type?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
}

const TEXTS = [
  ...['st-anna', 'A_CODE', '0a', 'a'.repeat(64), '2026-11-24T10:00:00.000Z', 'step'],
  ...['A'.repeat(43), `${'A'.repeat(43)}=`, `${'A'.repeat(86)}==`],
];

/** One well-formed event of a type, made from its schema alone: a new type needs no line here. */
export function sampleEvent(type: EventType, change: Partial<TrailEvent> = {}): TrailEvent {
  const event = { ...(sample(EVENT_SCHEMAS[type], type) as object), ...change };
  return decodeEvent(encodeEvent(event as TrailEvent));
}

/** One event of every type. */
export function sampleEvents(): TrailEvent[] {
  return (Object.keys(EVENT_SCHEMAS) as EventType[]).map((type) => sampleEvent(type));
}

/** A statement of what a hospital spent, in its entry; readable, though nobody signed it. */
export function sampleSpend(
  { silo, round, epsilon }: { silo: string; round: number; epsilon: number },
  change: Partial<EventOf<'privacy.spent'>> = {},
): TrailEvent {
  const statement = canonicalBytes({
    ...{ medley: 'spend/v1', charter: 'c'.repeat(64), silo, round, kind: 'training' },
    ...{ unit: 'record', adjacency: 'addRemove', accountant: 'rdp/1' },
    mechanism: { kind: 'gaussian', parameters: { noiseMultiplier: 1.5 } },
    ...{ epsilon, delta: 1e-6, limit: 3, entry: 'e'.repeat(64) },
  });
  const data = { silo, statement: toBase64(statement), signature: `${'A'.repeat(86)}==` };
  return sampleEvent('privacy.spent', { round, data, ...change });
}

function sample(node: Node, where: string): Json {
  if (node.const !== undefined) return node.const;
  if (node.enum) return node.enum[0]!;
  if (node.properties) {
    const isCharter = 'secureAggregation' in node.properties;
    if (isCharter) return CHARTER as unknown as Json;
    return Object.fromEntries(
      Object.entries(node.properties).map(([key, child]) => [key, sample(child, key)]),
    );
  }
  switch (node.type) {
    case 'integer':
    case 'number':
      return node.minimum ?? 1;
    case 'boolean':
      return true;
    case 'array':
      return node.items ? [sample(node.items, where)] : [];
    default: {
      const text = TEXTS.find((one) => new RegExp(node.pattern ?? '', 'u').test(one));
      if (text === undefined) throw new Error(`${where}: no sample of ${node.pattern ?? ''}`);
      return text;
    }
  }
}
