import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { compileTraining, readTensorFile } from '@medley/autodiff';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const folder = fileURLToPath(new URL('../../../shared/vectors/onnx-training', import.meta.url));
const isHere = existsSync(folder);
const CASES = isHere ? readdirSync(folder).filter((name) => name.startsWith('test_')) : [];

/** Tolerances of ONNX's own test runner. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

function tensors(name: string, kind: 'input' | 'output') {
  const data = `${folder}/${name}/test_data_set_0`;
  const count = readdirSync(data).filter((file) => file.startsWith(`${kind}_`)).length;
  return Array.from({ length: count }, (_, i) =>
    readTensorFile(new Uint8Array(readFileSync(`${data}/${kind}_${i}.pb`))),
  );
}

/** Outputs of a model, in its order, for inputs in its order. */
async function run(model: Uint8Array, inputs: readonly ReturnType<typeof readTensorFile>[]) {
  const session = await InferenceSession.create(model);
  const feeds = session.inputNames.map((name, i) => {
    const { dtype, data, dims } = inputs[i]!;
    return [name, new Tensor(dtype as Tensor.Type, data as Tensor.DataType, dims)] as const;
  });
  const results = await session.run(Object.fromEntries(feeds));
  return session.outputNames.map((name) => {
    const { data, dims } = results[name]!;
    return { data: data as Float32Array, dims };
  });
}

(isHere ? describe : describe.skip)(
  `ONNX's training operators, ${CASES.length} cases (skipped where ../shared/vectors is absent)`,
  () => {
    test.each(CASES)('%s gives the recorded outputs', async (name) => {
      const bytes = new Uint8Array(readFileSync(`${folder}/${name}/model.onnx`));
      const found = await run(compileTraining(bytes), tensors(name, 'input'));
      const expected = tensors(name, 'output');
      expect(found).toHaveLength(expected.length);
      found.forEach(({ data, dims }, i) => {
        expect(dims).toEqual(expected[i]!.dims);
        Array.from(data, Number).forEach((value, at) => {
          const wanted = Number(expected[i]!.data[at]);
          expect(Math.abs(value - wanted)).toBeLessThanOrEqual(
            ABSOLUTE + RELATIVE * Math.abs(wanted),
          );
        });
      });
    });

    test('all nine are there', () => {
      expect(CASES).toHaveLength(9);
    });
  },
);
