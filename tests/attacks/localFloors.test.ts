import { describe, expect, test } from '@jest/globals';
import { checkTerms, sessionId, type SessionTerms } from '@medley/secagg';
import { charterHash, readCharter, roundTerms, type Charter } from '@medley/study';
import { canonicalBytes } from '@medley/kit';
import { recurrence, recurrenceCharter } from '../../packages/study/src/recurrence.ts';
import { termsOf } from '../../silo-agent/src/round/rules.ts';
import type { PinnedStudy } from '../../silo-agent/src/study/folder.ts';
import { codeOf } from '../support/secagg.ts';

// Every floor that an agent takes from the charter its steward signed, and never from the wire.

const { study } = recurrence();
const charter = recurrenceCharter();
const pinned = { study, charter, charterHash: charterHash(charter) } as PinnedStudy;
const modelHash = 'ab'.repeat(32);
const round = { round: 1, attempt: 1 };

/** What the agent says to a task whose session the aggregator made from another charter. */
function answer(change: (charter: Charter) => Charter, of: Partial<typeof round> = {}) {
  const id = { study: study.name, ...round, ...of };
  const theirs = roundTerms({
    study,
    kind: 'training',
    modelHash,
    ...round,
    charter: change(charter),
  });
  const task = {
    ...{ id, kind: 'training', charterHash: pinned.charterHash },
    ...{ model: { hex: modelHash }, sessionId: sessionId(theirs) },
  };
  return codeOf(() => termsOf(pinned, task as unknown as Parameters<typeof termsOf>[1]));
}

const aggregation =
  (change: Partial<Charter['secureAggregation']>) =>
  (one: Charter): Charter => ({
    ...one,
    secureAggregation: { ...one.secureAggregation, ...change },
  });
const clipping =
  (change: Partial<Charter['clipping']>) =>
  (one: Charter): Charter => ({ ...one, clipping: { ...one.clipping, ...change } });

const FLOORS: readonly [string, (charter: Charter) => Charter][] = [
  ['roster: one silo fewer', (one) => ({ ...one, roster: one.roster.slice(0, -1) })],
  [
    'roster: another key for one silo',
    (one) => ({
      ...one,
      roster: one.roster.map((member, i) =>
        i === 1 ? { ...member, identityKey: Buffer.alloc(32, 7).toString('base64') } : member,
      ),
    }),
  ],
  ['minimum t', aggregation({ threshold: 3 })],
  ['minSurvivors', aggregation({ minSurvivors: 3 })],
  ['R, the ring of the update', aggregation({ ringBits: 16, bits: 8 })],
  ['b, the bits of the quantiser', aggregation({ bits: 12 })],
  ['C, the clipping norm', clipping({ normL2: 100 })],
  ['c∞, the clip range', clipping({ coordinate: 1.5 })],
  ['the weight cap', aggregation({ weightCap: 1_000_000 })],
  ['suite', aggregation({ suite: 0 as 1 })],
  ['protocol version', aggregation({ protocolVersion: 1 as 2 })],
];

describe('local floors: an agent refuses a session that is weaker than its charter', () => {
  test('and takes the one that its charter makes', () => {
    expect(answer((one) => one)).toBeUndefined();
  });

  test.each(FLOORS)('%s: ROUND_SESSION_MISMATCH', (_floor, change) => {
    expect(answer(change)).toBe('ROUND_SESSION_MISMATCH');
  });

  test('the maximum number of attempts: STUDY_ROUND_INVALID', () => {
    const { maxAttempts } = charter.secureAggregation;
    expect(answer((one) => one, { attempt: maxAttempts + 1 })).toBe('STUDY_ROUND_INVALID');
  });
});

describe('local floors: what no agent signs or runs, whatever the charter says', () => {
  const terms = roundTerms({ charter, study, kind: 'training', modelHash, ...round });
  const unsafe: readonly [string, Partial<SessionTerms>, string][] = [
    ['a roster of two', { roster: terms.roster.slice(0, 2) }, 'SECAGG_TERMS_ROSTER'],
    ['t at half of the roster', { threshold: 2 }, 'SECAGG_TERMS_THRESHOLD'],
    ['fewer than three survivors', { minSurvivors: 2 }, 'SECAGG_TERMS_SURVIVORS'],
    ['fewer survivors than t', { minSurvivors: 3 }, 'SECAGG_TERMS_SURVIVORS'],
    ['suite 0', { suite: 0 as 1 }, 'SECAGG_TERMS_VERSION'],
    ['protocol version 1', { protocolVersion: 1 as 2 }, 'SECAGG_TERMS_VERSION'],
    ['another ring', { ringBits: 64 as 32 }, 'SECAGG_TERMS_VERSION'],
    ['no bound on the norm', { clipNormL2: Infinity }, 'SECAGG_TERMS_FIELD'],
    [
      'bits that overflow',
      { layout: terms.layout.map((slot) => ({ ...slot, bits: 31 })) },
      'SECAGG_TERMS_OVERFLOW',
    ],
  ];

  test.each(unsafe)('%s: refused before a key is made', (_what, change, code) => {
    expect(codeOf(() => checkTerms({ ...terms, ...change }))).toBe(code);
  });

  test.each([
    ['t at half of the roster', { threshold: 2 }, 'CHARTER_FLOOR_TOO_WEAK'],
    ['fewer than three survivors', { minSurvivors: 2 }, 'CHARTER_FLOOR_TOO_WEAK'],
    ['bits that overflow', { ringBits: 12, bits: 12 }, 'CHARTER_OVERFLOW'],
    ['another suite', { suite: 2 as 1 }, 'CHARTER_INVALID'],
  ] as const)('%s: no charter at all', (_what, change, code) => {
    const bytes = canonicalBytes(aggregation(change)(charter));
    expect(codeOf(() => readCharter(bytes))).toBe(code);
  });
});
