import { describe, expect, test } from '@jest/globals';
import type { DemoFigures, RoundFigures } from '../figures.ts';
import { chiSquareOfBytes } from '../uniformity.ts';
import { reportPage } from './page.ts';
import { ticks } from './svg.ts';

const names = ['a', 'b', 'c', 'd'];

function round(number: number): RoundFigures {
  const kind = number === 0 ? 'statistics' : 'training';
  return {
    round: number,
    kind,
    attempt: 1,
    seconds: 0.5,
    bytesUp: 1234,
    bytesDown: 4321,
    sharers: names,
    survivors: number === 2 ? names.slice(1) : names,
    dropped: number === 2 ? ['a'] : [],
    steps: [
      { step: 'advertise', atMs: 0 },
      { step: 'share', atMs: 12 },
      { step: 'mask', atMs: 30 },
      { step: 'confirm', atMs: 410 },
      { step: 'release', atMs: 440 },
    ],
    auc: number === 0 ? null : 0.6 + number / 100,
    loss: number === 0 ? null : 0.7,
  };
}

const figures: DemoFigures = {
  schemaVersion: 1,
  study: 'Risk <after> "surgery"',
  silos: names.map((name) => ({
    name,
    title: `Hospital & ${name}`,
    train: 100,
    test: 50,
    auc: { local: 0.7, federated: 0.72, pooled: 0.73 },
    brier: 0.2,
  })),
  mean: { auc: { local: 0.7, federated: 0.72, pooled: 0.73 }, brier: 0.2 },
  rounds: [0, 1, 2, 3, 4].map(round),
  dropout: { silo: 'a', killedInRound: 2, restartedInRound: 4, backInRound: 4 },
  aggregatorSaw: { maskedVectors: 19, words: 300, chiSquare: 250, sample: 'ab12' },
  audit: {
    verified: true,
    entries: 40,
    checkpoints: 9,
    claims: [{ name: 'roots', ok: true, checked: 9 }],
  },
  bundle: {
    verified: true,
    claims: [{ name: 'witnesses', ok: true, checked: 9, detail: 'hospitals vouch' }],
  },
  model: { file: 'model.onnx', parameters: 177 },
  privacy: null,
  seconds: 42,
};

describe('the report page', () => {
  const page = reportPage(figures);

  test('stands alone: no script, nothing fetched, every text escaped', () => {
    expect(page).not.toMatch(/<script|https?:\/\/|<link|<img/);
    expect(page).toContain('Risk &lt;after&gt; &quot;surgery&quot;');
    expect(page).toContain('Hospital &amp; a');
  });

  test('draws each plot with a description for screen readers, and data plots as tables too', () => {
    expect(page.match(/<svg[^>]*role="img" aria-label="[^"]+"/g)).toHaveLength(3);
    expect(page.match(/<summary>View as table<\/summary>/g)).toHaveLength(2);
  });

  test('tells the drop-out round step by step', () => {
    expect(page).toContain('Round 2, step by step');
    expect(page).toContain('380 ms');
    expect(page).toContain('✖ killed');
    expect(page).toContain('masks rebuilt');
  });

  test('says so when nobody was killed', () => {
    expect(reportPage({ ...figures, dropout: null })).toContain('No hospital dropped out');
  });

  test('has numbers everywhere: no NaN, no undefined', () => {
    expect(page).not.toMatch(/NaN|undefined|null/);
  });
});

test('ticks are round numbers inside their range', () => {
  expect(ticks(0.553, 0.76)).toEqual([0.6, 0.65, 0.7, 0.75]);
  expect(ticks(1, 31)).toEqual([10, 20, 30]);
});

test('chi-square of bytes is 0 for exactly equal counts and large for one value', () => {
  expect(chiSquareOfBytes([Uint8Array.from({ length: 512 }, (_, i) => i % 256)])).toBe(0);
  expect(chiSquareOfBytes([new Uint8Array(256)])).toBe(256 * 255);
});
