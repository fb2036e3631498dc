import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { buildMlp, initialParameters, inspectModel, LOSSES } from '@medley/autodiff';
import { CATALOGUE, seededRng, uniformReal } from '@medley/kit';
import { classify } from './engine/classify.ts';
import { saliency } from './engine/gradient.ts';
import { trainPrivately } from './engine/private.ts';
import { localRound } from './engine/site.ts';
import { ownGraphs, runnable, standardFile } from './engine/standard.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}docs/training.md`, 'utf8');
const samples = readdirSync(`${root}tests/samples/engine`);

const ROWS = 64;
const FEATURES = 4;
const rng = seededRng('rows of the samples');
const inputs = Float32Array.from({ length: ROWS * FEATURES }, () => uniformReal(rng) * 2 - 1);
/** 1 where the first two numbers of a row add up to more than 0. */
const isAbove = Array.from({ length: ROWS }, (_, row) =>
  inputs[FEATURES * row]! + inputs[FEATURES * row + 1]! > 0 ? 1 : 0,
);
const mlp = (outputs: number, hidden: readonly number[] = [8, 8]) =>
  buildMlp({ features: FEATURES, hidden, outputs, activation: 'tanh', seed: 'sample' });

test('every piece of code in docs/training.md is one of the files that are run here', () => {
  const blocks = [...page.matchAll(/```ts\n([^`]*)```/g)].map(([, code]) => code);
  const files = samples.map((name) => readFileSync(`${root}tests/samples/engine/${name}`, 'utf8'));
  expect(blocks.toSorted()).toEqual(files.toSorted());
});

test('docs/training.md has a row for every loss and names every error code of the engine', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const listed = rows.flatMap((row) => row.split('|')[1]?.match(/\w+/g) ?? []);
  expect(LOSSES.filter((name) => !listed.includes(name))).toEqual([]);
  const codes = Object.keys(CATALOGUE).filter((code) => /^(MODEL|TRAINING)_/.test(code));
  const others = ['MODEL_INPUT_UNFIT', 'MODEL_STATE_INVALID'];
  const missing = codes.filter((code) => !page.includes(`\`${code}\``));
  expect(missing.filter((code) => !others.includes(code))).toEqual([]);
});

describe('the samples of docs/training.md', () => {
  test('train a classifier', async () => {
    const trained = await classify(mlp(2), { inputs, labels: Int32Array.from(isAbove) });
    expect(trained.losses).toHaveLength(20 * 4);
    expect(trained.losses.at(-1)!).toBeLessThan(0.7 * trained.losses[0]!);
    expect(trained.meanLoss).toBeLessThan(0.5);
    expect(inspectModel(trained.model)).toEqual(inspectModel(mlp(2)));
    expect(initialParameters(trained.model)).not.toEqual(initialParameters(mlp(2)));
  });

  test('run a round of one silo', async () => {
    const shared = await localRound(mlp(1), { inputs, labels: Float32Array.from(isAbove) }, 2);
    expect(shared.map(({ name }) => name)).toEqual(['net.2.weight', 'net.2.bias']);
  });

  test('train with differential privacy', async () => {
    const labels = Float32Array.from(isAbove);
    const { epsilon, method, parameters } = await trainPrivately(mlp(1), { inputs, labels });
    expect(method).toBe('ghost');
    expect(epsilon).toBeLessThan(3);
    expect(parameters.every(Number.isFinite)).toBe(true);
  });

  test('differentiate by the input', async () => {
    const found = await saliency(mlp(1, []), inputs, FEATURES);
    expect([...found.subarray(0, 4)]).toEqual([...initialParameters(mlp(1, [])).subarray(0, 4)]);
  });

  test('write the training in the form of the standard', async () => {
    const model = mlp(1);
    expect(inspectModel(standardFile(model)).parameters).toEqual(
      ownGraphs(model).manifest.parameters,
    );
    expect(inspectModel(runnable(model)).operators).toEqual(inspectModel(model).operators);
  });
});
