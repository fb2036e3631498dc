import { describe, expect, test } from '@jest/globals';
import { decodeModel, encodeModel } from '../file/codec.ts';
import { onnx } from '../generated/onnx.js';
import { initialParameters } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import type { OptimizerOptions } from '../optimizer/optimizer.ts';
import { Session, type RuntimeTensor } from '../session.ts';
import { buildTraining } from '../training/build.ts';
import { initialSlots, Trainer } from '../training/trainer.ts';
import { writeTrainingInfo } from './trainingInfo.ts';

const model = buildMlp({ features: 3, hidden: [4], outputs: 2, activation: 'relu', seed: 't' });
const inputs = Float32Array.from({ length: 18 }, (_, i) => Math.cos(2 * i));
const labels = Int32Array.of(0, 1, 1, 0, 1, 0);

/** Both graphs as one, as onnx.proto says how a training runs: lists one after another. */
function together(file: Uint8Array): Uint8Array {
  const proto = decodeModel(file);
  const graph = proto.graph!;
  const step = proto.trainingInfo[0]!.algorithm!;
  const merged: onnx.IGraphProto = {
    name: 'together',
    node: [...(graph.node ?? []), ...(step.node ?? [])],
    initializer: [...(graph.initializer ?? []), ...(step.initializer ?? [])],
    input: [...(graph.input ?? []), ...(step.input ?? [])],
    output: [...(graph.output ?? []), ...(step.output ?? [])],
  };
  proto.graph = new onnx.GraphProto(merged);
  proto.trainingInfo = [];
  return encodeModel(proto);
}

const floats = (data: Float32Array, ...dims: number[]): RuntimeTensor => ({
  dtype: 'float32',
  dims,
  data,
});

describe.each<OptimizerOptions>([
  { kind: 'sgd', momentum: 0.9 },
  { kind: 'adamw' },
  { kind: 'adagrad', initialAccumulator: 0.1 },
])('training_info for %j', (optimizer) => {
  const options = { loss: 'cross_entropy', optimizer, clip: { kind: 'norm', limit: 1 } } as const;
  const file = writeTrainingInfo(model, options);
  const info = decodeModel(file).trainingInfo[0]!;
  const bindings = (info.updateBinding ?? []).map(
    ({ key, value }) => [key ?? '', value ?? ''] as const,
  );

  test('binds outputs of the algorithm to initializers, each once', () => {
    const { graph } = decodeModel(file);
    const initializers = [...(graph!.initializer ?? []), ...(info.algorithm?.initializer ?? [])];
    const names = new Set(initializers.map(({ name }) => name));
    const outputs = new Set((info.algorithm?.output ?? []).map(({ name }) => name));
    expect(new Set(bindings.map(([key]) => key)).size).toBe(bindings.length);
    for (const [key, value] of bindings) {
      expect(names).toContain(key);
      expect(outputs).toContain(value);
    }
    const starts = new Set((info.initialization?.output ?? []).map(({ name }) => name));
    for (const { key, value } of info.initializationBinding ?? []) {
      expect(names).toContain(key);
      expect(starts).toContain(value);
    }
  });

  test('leaves the model as it was, and it runs', async () => {
    expect(decodeModel(file).graph).toEqual(decodeModel(model).graph);
    const [before, after] = await Promise.all([model, file].map((bytes) => Session.open(bytes)));
    const feeds = { input: floats(inputs, 6, 3) };
    const [one, two] = await Promise.all([before, after].map((s) => s!.run(feeds, ['output'])));
    expect(two).toEqual(one);
    await Promise.all([before!.close(), after!.close()]);
  });

  test('makes the update that the trainer makes', async () => {
    const session = await Session.open(together(file));
    const results = await session.run(
      {
        input: floats(inputs, 6, 3),
        labels: { dtype: 'int32', dims: [6], data: labels },
        sample_weights: floats(new Float32Array(6).fill(1), 6),
        learning_rate: { dtype: 'float64', dims: [], data: Float64Array.of(0.1) },
      },
      [...bindings.map(([, value]) => value), 'loss'],
    );
    await session.close();
    const artifacts = buildTraining(model, options);
    const trainer = await Trainer.open(artifacts);
    const step = await trainer.step({
      parameters: initialParameters(model),
      slots: initialSlots(artifacts.manifest),
      stepCount: 0,
      inputs,
      labels,
      learningRate: 0.1,
    });
    await trainer.close();
    const found = new Map(bindings.map(([key, value]) => [key, results[value]!.data]));
    for (const { name, offset, count } of artifacts.manifest.parameters)
      expect(found.get(name)).toEqual(step.parameters.slice(offset, offset + count));
    const { slots, trainableCount } = artifacts.manifest;
    slots.forEach((name, i) =>
      expect(found.get(name)).toEqual(
        step.slots.slice(i * trainableCount, (i + 1) * trainableCount),
      ),
    );
    expect(found.get('step_count')).toEqual(BigInt64Array.of(1n));
    expect(results['loss']!.data[0]).toBe(step.loss);
  });
});

test('a private training is refused', () => {
  const privacy = { clipNorm: 1, noiseMultiplier: 1, lotSize: 8 } as never;
  expect(() =>
    writeTrainingInfo(model, { loss: 'mse', optimizer: { kind: 'sgd' }, privacy }),
  ).toThrow(expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }));
});
