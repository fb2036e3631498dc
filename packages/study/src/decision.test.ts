import { describe, expect, test } from '@jest/globals';
import { canonicalBytes, isMedleyError } from '@medley/kit';
import fc from 'fast-check';
import { charterHash } from './charter.ts';
import {
  DECISION_MEANING,
  checkDecision,
  decisionStatement,
  readDecision,
  type DecisionDraft,
} from './decision.ts';
import { CREATED_MS, recurrenceCharter } from './recurrence.ts';

const charter = recurrenceCharter();
const draft: DecisionDraft = {
  charter,
  decision: 'approve',
  silo: 'hospital-2',
  steward: 'Dr. A. Curie',
  atMs: CREATED_MS + 1000,
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

describe('decision on a charter', () => {
  test('says who approves what, when and what that means', () => {
    expect(decisionStatement(draft)).toEqual({
      charter: charterHash(charter),
      decision: 'approve',
      silo: 'hospital-2',
      steward: 'Dr. A. Curie',
      meaning: DECISION_MEANING.approve,
      at: '2026-11-23T08:00:01.000Z',
    });
    const refusal = decisionStatement({ ...draft, decision: 'refuse', reason: 'no capacity' });
    expect(readDecision(canonicalBytes(refusal))).toEqual(refusal);
  });

  test.each<[string, Partial<DecisionDraft>]>([
    ['a refusal without a reason', { decision: 'refuse' }],
    ['an approval with one', { reason: 'why not' }],
    ['a silo outside the roster', { silo: 'hospital-9' }],
    ['a steward without a name', { steward: '' }],
    ['a time after the charter', { atMs: Date.parse('2029-01-01T00:00:00Z') }],
  ])('refuses %s', (_, change) => {
    expect(codeOf(() => decisionStatement({ ...draft, ...change }))).toBe('DECISION_INVALID');
  });

  test('refuses another meaning, another charter and another byte form', () => {
    const decision = decisionStatement(draft);
    const bytes = canonicalBytes(decision);
    const meaning = DECISION_MEANING.refuse;
    expect(codeOf(() => readDecision(canonicalBytes({ ...decision, meaning })))).toBe(
      'DECISION_INVALID',
    );
    const other = recurrenceCharter({ modelParameters: 8 });
    expect(codeOf(() => checkDecision(decision, other))).toBe('DECISION_INVALID');
    expect(codeOf(() => readDecision(Uint8Array.of(0x20, ...bytes)))).toBe('DECISION_INVALID');
  });

  test('answers mutated bytes with its own code only', () => {
    const bytes = canonicalBytes(decisionStatement(draft));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const hostile = bytes.slice();
        hostile[at] = value;
        expect(['ok', 'DECISION_INVALID']).toContain(codeOf(() => readDecision(hostile)));
      }),
      { numRuns: 300 },
    );
  });
});
