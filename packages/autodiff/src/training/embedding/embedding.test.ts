import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../../file/writer.ts';
import { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import { floatTensor } from '../../graph/tensor.ts';
import { initialParameters } from '../../inspect.ts';
import { infer } from '../../ops/registry.ts';
import type { OptimizerOptions } from '../../optimizer/optimizer.ts';
import { buildTraining } from '../build.ts';
import type { TrainingOptions } from '../manifest.ts';
import { initialSlots, Trainer, type TrainingState } from '../trainer.ts';
import { LARGE_TABLE } from './lookup.ts';

const WIDTH = 16;
const ROWS = LARGE_TABLE / WIDTH + 5;
const TOKENS = 3;

/** Mean of the looked-up rows, then one linear unit. */
function model(
  lookUp: (b: Builder, table: Value, tokens: Value) => Value,
  inputs = 'int64' as const,
) {
  const b = new Builder(infer);
  const fill = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1));
  const table = b.constant(floatTensor([ROWS, WIDTH], fill(ROWS * WIDTH)), 'table');
  const weight = b.constant(floatTensor([WIDTH, 1], fill(WIDTH)), 'weight');
  const rows = lookUp(b, table, b.input('tokens', inputs, ['batch', TOKENS]));
  const mean = b.op('ReduceMean', [rows, b.ints([1])], { keepdims: 0 });
  const graph = b.graph('embedding', [b.named(b.op('MatMul', [mean, weight]), 'output')]);
  return writeModel(graph, { producer: 'medley', version: 'test' });
}

const plain = model((b, table, tokens) => b.op('Gather', [table, tokens], { axis: 0 }));
const DATA = 10;
const numbers = Array.from({ length: DATA * TOKENS }, (_, i) =>
  i % 5 === 0 ? -1 - (i % 3) : (i * 7919) % ROWS,
);
const inputs = { data: BigInt64Array.from(numbers, BigInt), dims: [DATA, TOKENS] };
const labels = { data: Float32Array.from({ length: DATA }, (_, i) => i % 2), dims: [DATA, 1] };
const order = Int32Array.from([3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 3, 1]);

async function trained(
  sparseEmbeddings: NonNullable<TrainingOptions['sparseEmbeddings']>,
  options: Omit<TrainingOptions, 'loss'>,
  how: 'epoch' | 'steps' = 'epoch',
  bytes = plain,
) {
  const artifacts = buildTraining(bytes, { loss: 'mse', sparseEmbeddings, ...options });
  const trainer = await Trainer.open(artifacts);
  const start = {
    parameters: initialParameters(bytes),
    slots: initialSlots(trainer.manifest),
    stepCount: 0,
  };
  const batchSize = 5;
  let state: TrainingState = start;
  if (how === 'epoch')
    state = await trainer.epoch({ ...start, inputs, labels, order, batchSize, learningRate: 0.1 });
  for (let from = 0; how === 'steps' && from < order.length; from += batchSize) {
    const rows = [...order.subarray(from, from + batchSize)];
    const tokens = rows.flatMap((row) => numbers.slice(row * TOKENS, (row + 1) * TOKENS));
    state = await trainer.step({
      ...state,
      inputs: { data: BigInt64Array.from(tokens, BigInt), dims: [rows.length, TOKENS] },
      labels: { data: Float32Array.from(rows, (row) => row % 2), dims: [rows.length, 1] },
      learningRate: 0.1,
    });
  }
  await trainer.close();
  return { manifest: trainer.manifest, start, state };
}

const SGD: OptimizerOptions = { kind: 'sgd' };
const ADAM: OptimizerOptions = { kind: 'adam', weightDecay: 0.1 };

describe('embeddings of which an update touches only the rows of its batch', () => {
  test.each([[SGD], [{ kind: 'adagrad' } as const]])(
    'end bit for bit as whole tables do, with %j',
    async (optimizer) => {
      const sparse = await trained('exact', { optimizer });
      const whole = await trained('never', { optimizer });
      expect(sparse.manifest.sparseEmbeddings).toEqual(['table']);
      expect(whole.manifest.sparseEmbeddings).toBeUndefined();
      expect(sparse.state.parameters).not.toEqual(sparse.start.parameters);
      expect(sparse.state.parameters).toEqual(whole.state.parameters);
      expect(sparse.state.slots).toEqual(whole.state.slots);
    },
  );

  test.each([
    [SGD, {}],
    [ADAM, {}],
    [ADAM, { clip: { kind: 'norm', limit: 0.01 } as const }],
  ])(
    'end bit for bit alike in an epoch and in steps, with %j and %j',
    async (optimizer, options) => {
      const epoch = await trained('lazy', { optimizer, ...options });
      const steps = await trained('lazy', { optimizer, ...options }, 'steps');
      expect(epoch.state.parameters).toEqual(steps.state.parameters);
      expect(epoch.state.slots).toEqual(steps.state.slots);
    },
  );

  test('keep the rows that no batch looked up, and their moments, when lazy', async () => {
    const { start, state } = await trained('lazy', { optimizer: ADAM });
    const touched = new Set(numbers.map((row) => (row + ROWS) % ROWS));
    const changed = new Set<number>();
    const moments = new Set<number>();
    for (let i = 0; i < ROWS * WIDTH; i++) {
      if (state.parameters[i] !== start.parameters[i]) changed.add(Math.floor(i / WIDTH));
      if (state.slots[i] !== 0) moments.add(Math.floor(i / WIDTH));
    }
    expect([...changed].sort()).toEqual([...touched].sort());
    expect([...moments].sort()).toEqual([...touched].sort());
  });

  test('are not sparse where Adam would move every row, unless asked to be lazy', async () => {
    const { manifest } = await trained('exact', { optimizer: ADAM });
    expect(manifest.sparseEmbeddings).toBeUndefined();
    const tied = await trained('lazy', { optimizer: { kind: 'lamb' } });
    expect(tied.manifest.sparseEmbeddings).toBeUndefined();
  });

  test('may be looked up by numbers that are moved and reckoned with', async () => {
    const shifted = model((b, table, tokens) => {
      const flat = b.op('Reshape', [tokens, b.ints([-1, TOKENS])]);
      const next = b.op('Add', [flat, b.ints([1])]);
      const mod = b.op('Mod', [next, b.ints([ROWS])]);
      return b.op('Gather', [table, mod], { axis: 0 });
    });
    const sparse = await trained('exact', { optimizer: SGD }, 'epoch', shifted);
    const whole = await trained('never', { optimizer: SGD }, 'epoch', shifted);
    expect(sparse.manifest.sparseEmbeddings).toEqual(['table']);
    expect(sparse.state.parameters).toEqual(whole.state.parameters);
  });

  test('are whole where the table is also read in another way', async () => {
    const tied = model((b, table, tokens) => {
      const rows = b.op('Gather', [table, tokens], { axis: 0 });
      return b.op('Add', [rows, b.op('ReduceMean', [table], { keepdims: 0 })]);
    });
    const { manifest } = await trained('exact', { optimizer: SGD }, 'epoch', tied);
    expect(manifest.sparseEmbeddings).toBeUndefined();
  });

  test('refuse a token beyond the table as whole tables do', async () => {
    const trainer = await Trainer.open(buildTraining(plain, { loss: 'mse', optimizer: SGD }));
    const far = { data: BigInt64Array.from([0n, 1n, BigInt(ROWS)]), dims: [1, TOKENS] };
    const one = { data: Float32Array.of(1), dims: [1, 1] };
    const state = {
      parameters: initialParameters(plain),
      slots: new Float32Array(0),
      stepCount: 0,
    };
    await expect(
      trainer.step({ ...state, inputs: far, labels: one, learningRate: 0.1 }),
    ).rejects.toMatchObject({ code: 'TRAINING_RUNTIME' });
    await trainer.close();
  });
});
