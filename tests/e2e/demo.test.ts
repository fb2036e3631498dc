import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readLogFolder } from '@medley/operator';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DemoFigures } from '@medley/demo';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'medley-demo-'));
const json = join(folder, 'figures.json');
const out = join(folder, 'report');

let printed: string;
let status: number | null;
let figures: DemoFigures;
beforeAll(() => {
  const args = ['--json', json, '--out', out, '--work', join(folder, 'work')];
  const run = spawnSync(process.execPath, ['deploy/demo/dist/main.js', ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true', NO_COLOR: '1', NODE_OPTIONS: '' },
  });
  ({ status } = run);
  printed = run.stdout + run.stderr;
  if (status === 0) figures = JSON.parse(readFileSync(json, 'utf8')) as DemoFigures;
}, 400_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('npm run demo', () => {
  test('ends well and prints a line for each of its nine steps', () => {
    expect(printed.split('\n').filter((line) => /^\d\/9 ✔/.test(line))).toHaveLength(9);
    expect(status).toBe(0);
  });

  // The figures vary with the keys and masks no more than by rounding, and with the order of batches
  // by a few thousandths; over ten seeds the margins were several times the bounds asserted here.
  test('trains a model that beats local training and matches pooled training', () => {
    const { local, federated, pooled } = figures.mean.auc;
    expect(federated).toBeGreaterThanOrEqual(local + 0.005);
    expect(federated).toBeGreaterThanOrEqual(pooled - 0.01);
    expect(figures.silos).toHaveLength(5);
    for (const { train, test: tested, auc, brier } of figures.silos) {
      expect(train).toBeGreaterThan(tested);
      expect(tested).toBeGreaterThan(50);
      expect(auc.federated).toBeGreaterThan(0.6);
      expect(brier).toBeLessThan(0.25);
    }
  });

  test('takes less than two minutes, install excluded', () => {
    expect(figures.seconds).toBeLessThan(120);
  });

  test('runs the statistics round, thirty training rounds and an evaluation, each counted', () => {
    expect(figures.rounds.map(({ kind }) => kind)).toEqual([
      'statistics',
      ...new Array<string>(30).fill('training'),
      'evaluation',
    ]);
    for (const { bytesUp, bytesDown, seconds, survivors } of figures.rounds) {
      expect(bytesUp).toBeGreaterThan(1000);
      expect(bytesDown).toBeGreaterThan(1000);
      expect(seconds).toBeGreaterThan(0);
      expect(survivors.length).toBeGreaterThanOrEqual(4);
    }
  });

  test('closes a round without the agent that was killed in it, and has it back later', () => {
    const { dropout, rounds } = figures;
    expect(dropout).not.toBeNull();
    const round = rounds.find((one) => one.round === dropout?.killedInRound);
    expect(round?.sharers).toContain(dropout?.silo);
    expect(round?.survivors).not.toContain(dropout?.silo);
    expect(round?.survivors).toHaveLength(4);
    expect(dropout?.backInRound).toBeGreaterThan(dropout?.killedInRound ?? Infinity);
    expect(rounds.at(-1)?.survivors).toContain(dropout?.silo);
  });

  test('shows the aggregator nothing but noise: χ² with 255 degrees of freedom, false alarm once in 10^6', () => {
    expect(figures.aggregatorSaw.maskedVectors).toBeGreaterThan(100);
    expect(figures.aggregatorSaw.chiSquare).toBeLessThan(377.1);
  });

  test('leaves a verified log, a model for stock ONNX Runtime and a page without outside links', async () => {
    expect(figures.audit.verified).toBe(true);
    expect(figures.audit.claims.every(({ ok }) => ok)).toBe(true);
    expect(figures.bundle.claims.filter(({ ok }) => !ok)).toEqual([]);
    const folder = join(out, 'audit');
    const own = spawnSync(process.execPath, [join(folder, 'verify.mjs'), folder], {
      encoding: 'utf8',
    });
    expect([own.status, own.stdout]).toEqual([0, expect.stringContaining('Every claim holds.')]);
    const log = await readLogFolder(folder);
    expect(log.entries).toHaveLength(figures.audit.entries);
    // A patient as the study file describes one, not standardised: 55 years, post-menopausal, …
    const session = await InferenceSession.create(join(out, 'model.onnx'));
    const patient = Float32Array.from([
      55,
      1,
      1,
      0,
      3,
      Math.log1p(4),
      Math.log1p(30),
      Math.log1p(50),
      0,
    ]);
    const { logit } = await session.run({ features: new Tensor('float32', patient, [1, 9]) });
    expect(logit?.dims).toEqual([1, 1]);
    expect(Math.abs(Number(logit?.data[0]))).toBeLessThan(10);
    await session.release();
    const page = readFileSync(join(out, 'index.html'), 'utf8');
    expect(page).toContain('<svg');
    expect(page).not.toMatch(/(src|href)="?https?:/);
  });

  test('keeps private keys in the folders of those who own them', () => {
    for (const { name } of figures.silos) {
      expect(existsSync(join(folder, 'work', 'silos', name, 'keys', 'identity.key.pem'))).toBe(
        true,
      );
    }
    expect(existsSync(join(folder, 'work', 'aggregator', 'ca.key.pem'))).toBe(false);
  });
});
