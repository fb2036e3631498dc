import { describe, expect, test } from '@jest/globals';
import { exportModel } from './export.ts';
import { decodeModel } from './file/codec.ts';
import { initialParameters, inspectModel } from './inspect.ts';
import { buildMlp } from './mlp.ts';
import { Session } from './session.ts';

const model = buildMlp({ features: 2, hidden: [3], outputs: 1, activation: 'tanh', seed: 'e' });
const rows = Float32Array.of(1, -2, 0.5, 3);

async function outputs(bytes: Uint8Array, x: Float32Array): Promise<number[]> {
  const session = await Session.open(bytes);
  const results = await session.run({ input: { dtype: 'float32', dims: [2, 2], data: x } }, [
    'output',
  ]);
  await session.close();
  return [...(results['output']!.data as Float32Array)];
}

describe('an exported model', () => {
  test('is the model itself when the weights are its own', async () => {
    const bytes = exportModel(model, initialParameters(model));
    expect(initialParameters(bytes)).toEqual(initialParameters(model));
    expect(await outputs(bytes, rows)).toEqual(await outputs(model, rows));
  });

  test('holds the weights it was given, in their places', async () => {
    const weights = initialParameters(model).map((value, i) => value + i / 10);
    const bytes = exportModel(model, weights);
    expect(initialParameters(bytes)).toEqual(weights);
    expect(inspectModel(bytes).parameters).toEqual(inspectModel(model).parameters);
  });

  test('standardises its input when asked to', async () => {
    const weights = initialParameters(model);
    const mean = Float32Array.of(0.5, 1);
    const scale = Float32Array.of(2, 4);
    const bytes = exportModel(model, weights, { standardise: { input: 'input', mean, scale } });
    const by = rows.map((value, i) => (value - mean[i % 2]!) / scale[i % 2]!);
    expect(await outputs(bytes, rows)).toEqual(await outputs(model, by));
    expect(inspectModel(bytes).inputs).toEqual(inspectModel(model).inputs);
  });

  test('carries metadata, each key once', () => {
    const once = exportModel(model, initialParameters(model), {
      metadata: { study: 'a', round: '1' },
    });
    const twice = exportModel(once, initialParameters(model), { metadata: { round: '2' } });
    const found = decodeModel(twice).metadataProps.map(({ key, value }) => [key, value]);
    expect(found).toEqual([
      ['study', 'a'],
      ['round', '2'],
    ]);
  });

  test.each([
    ['weights of another model', new Float32Array(3), {}, 'MODEL_PARAMETERS_MISMATCH'],
    ['weights that are no numbers', initialParameters(model).fill(NaN), {}, 'TRAINING_NOT_FINITE'],
    [
      'a scale of 0',
      initialParameters(model),
      { scale: Float32Array.of(1, 0) },
      'TRAINING_OPTIONS_INVALID',
    ],
    [
      'a mean too short',
      initialParameters(model),
      { mean: Float32Array.of(1) },
      'TRAINING_OPTIONS_INVALID',
    ],
    ['an unknown input', initialParameters(model), { input: 'other' }, 'TRAINING_OPTIONS_INVALID'],
  ])('refuses %s', (_, weights, wrong, code) => {
    const standardise = {
      input: 'input',
      mean: new Float32Array(2),
      scale: Float32Array.of(1, 1),
      ...wrong,
    };
    expect(() => exportModel(model, weights, { standardise })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
