import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ManualClock, utf8 } from '@medley/kit';
import { gaussianPrice } from '@medley/privacy';
import {
  draftCharter,
  DEFAULT_FLOORS,
  EXAMPLE_STUDY,
  plannedCurve,
  readStudy,
  type Charter,
} from '@medley/study';
import { BudgetLedger } from '../budget/ledger.ts';
import { checkForecast, forecastOf, privacyDocument, privacyLines } from './privacyView.ts';

function charterOf(block: string): Charter {
  const bytes = utf8(EXAMPLE_STUDY.replace('localEpochs: 2', 'localSteps: 5') + block);
  return draftCharter({
    ...{ consortium: 'c', study: readStudy(bytes, 'study.yaml'), studyBytes: bytes },
    ...{ modelBytes: utf8('model'), modelParameters: 9, nowMs: 0, floors: DEFAULT_FLOORS },
    roster: [1, 2, 3].map((i) => ({ silo: `s${i}`, identityKey: new Uint8Array(32).fill(i) })),
    log: { origin: 'o', verifierKey: 'k' },
  });
}

const noised = charterOf(
  'privacy: { level: record, epsilon: 4, delta: 1e-5, clipNorm: 1, samplingRate: 0.1 }\n',
);
const plain = charterOf('');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-view-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ledgerOf = (epsilon: number): BudgetLedger =>
  new BudgetLedger({
    ...{ folder, dataset: 'patients', limit: { epsilon, delta: 1e-6 } },
    ...{ clock: new ManualClock(0), processes: { pid: 1, isAlive: () => false } },
  });

test('a steward reads what the whole study would take, before signing', async () => {
  const forecast = (await forecastOf(ledgerOf(10), noised))!;
  expect(forecast).toMatchObject({ spent: 0, fits: true });
  // At the site's smaller delta the same rounds count for more than the study's 4.
  expect(forecast.asked).toBeGreaterThan(4);
  expect(() => checkForecast(forecast)).not.toThrow();
  expect(privacyLines(noised).join(' ')).toMatch(
    /epsilon 4 at delta 0.00001 for each record; all rounds take (3\.99\d|4\.000)/,
  );
  expect(privacyDocument(noised)).toMatchObject({ level: 'record', planned: expect.any(Number) });
});

test('a study that does not fit into what other studies left is refused with the arithmetic', async () => {
  const ledger = ledgerOf(6);
  expect((await forecastOf(ledger, noised))!.fits).toBe(true);
  await ledger.debit({
    ...gaussianPrice({ rate: 0.1, noiseMultiplier: 2, steps: 150 }),
    curve: plannedCurve(noised),
    ...{ releaseId: 'another', study: 'another', unit: 'record' },
  });
  const forecast = (await forecastOf(ledger, noised))!;
  expect(forecast.fits).toBe(false);
  expect(() => checkForecast(forecast)).toThrow(
    expect.objectContaining({ code: 'PRIVACY_BUDGET_EXCEEDED' }),
  );
});

test('a study without privacy takes nothing, and says so', async () => {
  expect(await forecastOf(ledgerOf(0), plain)).toBeUndefined();
  expect(() => checkForecast(undefined)).not.toThrow();
  expect(privacyDocument(plain)).toBeNull();
  expect(privacyLines(plain)).toEqual(['none: sums of all hospitals are exact']);
});
