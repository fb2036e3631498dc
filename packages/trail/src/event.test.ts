import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, isMedleyError, utf8 } from '@medley/kit';
import fc from 'fast-check';
import { decodeEvent, encodeEvent, isEventType, type TrailEvent } from './event.ts';
import { EVENT_SCHEMAS } from './schema.ts';

const dropped: TrailEvent = {
  v: 1,
  type: 'round.dropped',
  at: '2026-11-23T08:00:00.000Z',
  consortium: 'breast-cancer',
  actor: { kind: 'aggregator', id: 'aggregator' },
  outcome: 'ok',
  study: 'recurrence-5y',
  round: 3,
  attempt: 1,
  data: { silo: 'silo-2', step: 'mask' },
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}

describe('an event', () => {
  test('is the canonical JSON of itself', () => {
    const leaf = encodeEvent(dropped);
    expect(decodeEvent(leaf)).toEqual(dropped);
    expect(new TextDecoder().decode(leaf)).toBe(
      '{"actor":{"id":"aggregator","kind":"aggregator"},"at":"2026-11-23T08:00:00.000Z",' +
        '"attempt":1,"consortium":"breast-cancer","data":{"silo":"silo-2","step":"mask"},' +
        '"outcome":"ok","round":3,"study":"recurrence-5y","type":"round.dropped","v":1}',
    );
  });

  test.each<[string, object]>([
    ['an unknown type', { ...dropped, type: 'round.forgotten' }],
    ['a type from the prototype', { ...dropped, type: 'constructor' }],
    ['another version', { ...dropped, v: 2 }],
    ['an unknown key', { ...dropped, patients: 12 }],
    ['an unknown key in its data', { ...dropped, data: { ...dropped.data, patients: 12 } }],
    ['data of another type', { ...dropped, data: { silo: 'silo-2', reason: 'x', retried: true } }],
    ['no study where it needs one', { ...dropped, study: undefined }],
    ['a study where it has none', { ...dropped, type: 'silo.refused', data: {} }],
    ['local time', { ...dropped, at: '2026-11-23T08:00:00+01:00' }],
    ['an actor of no kind', { ...dropped, actor: { kind: 'patient', id: 'x' } }],
    ['NaN', { ...dropped, round: NaN }],
    [
      'a leaf too long for the log',
      { ...dropped, actor: { kind: 'silo', id: 'x'.repeat(70_000) } },
    ],
  ])('is refused with %s', (_, event) => {
    expect(codeOf(() => encodeEvent(event as TrailEvent))).toBe('TRAIL_EVENT_INVALID');
  });

  test('may leave out where a refused message belonged', () => {
    const refused: TrailEvent = {
      v: 1,
      type: 'message.refused',
      at: dropped.at,
      consortium: 'breast-cancer',
      actor: { kind: 'aggregator', id: 'aggregator' },
      outcome: 'refused',
      data: { step: 'enrol', code: 'PKI_INVITATION_INVALID' },
    };
    expect(decodeEvent(encodeEvent(refused))).toEqual(refused);
  });

  test('has one byte form only', () => {
    const text = new TextDecoder().decode(encodeEvent(dropped));
    for (const other of [` ${text}`, `${text}\n`, text.replace('"v":1', '"v":1.0'), '[]', 'null']) {
      expect(codeOf(() => decodeEvent(utf8(other)))).toBe('TRAIL_EVENT_INVALID');
    }
    const doubled = text.replace('"v":1', '"v":2,"v":1');
    expect(codeOf(() => decodeEvent(utf8(doubled)))).toBe('TRAIL_EVENT_INVALID');
  });

  test('answers any bytes with its own code only', () => {
    const leaf = encodeEvent(dropped);
    fc.assert(
      fc.property(fc.nat(leaf.length - 1), fc.nat(255), (at, value) => {
        const hostile = leaf.slice();
        hostile[at] = value;
        expect(['ok', 'TRAIL_EVENT_INVALID']).toContain(codeOf(() => decodeEvent(hostile)));
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(codeOf(() => decodeEvent(canonicalBytes(value)))).toBe('TRAIL_EVENT_INVALID');
      }),
    );
  });
});

test('every schema is of the type it stands under and closes its objects', () => {
  for (const [type, schema] of Object.entries(EVENT_SCHEMAS)) {
    expect(isEventType(type)).toBe(true);
    expect(schema['title']).toBe(type);
    const objects = JSON.stringify(schema).match(/"type":"object"/g) ?? [];
    const closed = JSON.stringify(schema).match(/"additionalProperties":false/g) ?? [];
    expect(closed).toHaveLength(objects.length);
  }
});
