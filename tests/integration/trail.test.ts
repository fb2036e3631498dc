import { describe, expect, test } from '@jest/globals';
import { fromBase64, toHex, utf8, type Json } from '@medley/kit';
import { statementBytes, verifyStatement } from '@medley/pki';
import { verifyTrail } from '@medley/trail';
import fc from 'fast-check';
import { identityOf } from '../support/secagg.ts';
import {
  STUDY_BYTES,
  edited,
  failing,
  sealed,
  signedDecision,
  wholeStudy,
} from '../support/trail.ts';

const events = wholeStudy();
const log = sealed(events);

describe('a whole study', () => {
  test('is proven from the log alone', () => {
    const report = verifyTrail(log);
    expect(report.claims.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.ok).toBe(true);
    const checked = Object.fromEntries(report.claims.map(({ name, checked: n }) => [name, n]));
    expect(checked).toEqual({
      checkpoints: log.checkpoints.length + 1,
      roots: log.checkpoints.length,
      inclusion: events.length,
      consistency: log.checkpoints.length - 1,
      events: events.length,
      charters: 6,
      order: 10,
      receipts: 4,
      budgets: 0,
      sessions: 9,
      models: 4,
    });
  });

  test('says what it could not derive where the log holds no study file, and takes it from outside', () => {
    const without = sealed(
      edited(events, 'study.proposed', (event) => {
        const { charterHash, files } = event.data;
        return { ...event, data: { charterHash, files } };
      }),
    );
    const report = verifyTrail(without);
    const sessions = report.claims.find(({ name }) => name === 'sessions');
    expect(sessions).toMatchObject({ ok: true, checked: 0 });
    expect(sessions?.detail).toMatch(/8 entries left out/);
    const studies = { 'recurrence-5y': { studyBytes: STUDY_BYTES } };
    const full = verifyTrail({ ...without, studies }).claims.find(
      ({ name }) => name === 'sessions',
    );
    expect(full).toMatchObject({ ok: true, checked: 9 });
    const other = { 'recurrence-5y': { studyBytes: utf8('another file') } };
    const none = verifyTrail({ ...without, studies: other });
    expect(none.claims.find(({ name }) => name === 'sessions')).toMatchObject({ checked: 0 });
  });
});

test('an approval is signed as @medley/pki signs statements', () => {
  const { statement, signature } = signedDecision('silo-1');
  const bytes = fromBase64(statement)!;
  const decision = JSON.parse(new TextDecoder().decode(bytes)) as Json;
  expect(toHex(statementBytes('charter', decision))).toBe(
    toHex(utf8('medley/charter/v1\n')) + toHex(bytes),
  );
  const { publicKey } = identityOf('silo-1');
  expect(verifyStatement(publicKey, 'charter', decision, fromBase64(signature)!)).toBe(true);
});

describe('whoever holds the exported files', () => {
  test('cannot change one bit of an entry', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(7), (which, where, bit) => {
        const entries = log.entries.slice();
        const index = which % entries.length;
        const entry = entries[index]!.slice();
        entry[where % entry.length]! ^= 1 << bit;
        entries[index] = entry;
        expect(failing({ ...log, entries })).toEqual(
          expect.arrayContaining(['roots', 'inclusion']),
        );
      }),
      { numRuns: 25 },
    );
  });

  test('cannot drop, double or swap entries', () => {
    fc.assert(
      fc.property(
        fc.nat(events.length - 2),
        fc.constantFrom('drop', 'double', 'swap'),
        (at, how) => {
          const entries = log.entries.slice();
          if (how === 'drop') entries.splice(at, 1);
          if (how === 'double') entries.splice(at, 0, entries[at]!);
          if (how === 'swap') [entries[at], entries[at + 1]] = [entries[at + 1]!, entries[at]!];
          expect(failing({ ...log, entries })).toContain('roots');
        },
      ),
      { numRuns: 25 },
    );
  });

  test('cannot change a character of a checkpoint', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (which, where) => {
        const checkpoints = log.checkpoints.slice();
        const index = which % checkpoints.length;
        const note = checkpoints[index]!;
        const at = where % note.length;
        const other = note[at] === 'A' ? 'B' : 'A';
        checkpoints[index] = note.slice(0, at) + other + note.slice(at + 1);
        expect(failing({ ...log, checkpoints })).toContain('checkpoints');
      }),
      { numRuns: 25 },
    );
  });

  test('cannot cut the end off, reorder checkpoints or present none', () => {
    expect(failing({ ...log, entries: log.entries.slice(0, -1) })).toContain('roots');
    expect(failing({ ...log, checkpoints: [...log.checkpoints].reverse() })).toContain(
      'checkpoints',
    );
    expect(failing({ ...log, checkpoints: [] })).toEqual(
      expect.arrayContaining(['checkpoints', 'roots', 'inclusion']),
    );
    expect(failing({ ...log, checkpoints: log.checkpoints.slice(0, -1) })).toContain('roots');
  });

  test('cannot pass another log off as this one', () => {
    const { verifierKey } = log;
    expect(failing({ ...log, verifierKey: verifierKey.replace('breast', 'heart') })).toEqual(
      expect.arrayContaining(['checkpoints', 'charters']),
    );
    expect(failing({ ...log, verifierKey: 'nonsense' })).toContain('checkpoints');
  });

  test('never makes the check throw', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), { maxLength: 5 }),
        fc.array(fc.string(), { maxLength: 3 }),
        fc.string(),
        (entries, checkpoints, verifierKey) => {
          expect(verifyTrail({ entries, checkpoints, verifierKey }).ok).toBe(false);
        },
      ),
      { numRuns: 50 },
    );
  });
});
