import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import {
  exportModel,
  GOLDEN_TOLERANCE,
  initialParameters,
  inspectModel,
  runGoldenCase,
} from '@medley/autodiff';
import fc from 'fast-check';

const golden = fileURLToPath(new URL('../../../shared/golden', import.meta.url));
const isHere = existsSync(golden);
const CASES = isHere
  ? readdirSync(golden).filter((name) => existsSync(`${golden}/${name}/case.json`))
  : [''];
const modelOf = (name: string) => new Uint8Array(readFileSync(`${golden}/${name}/model.onnx`));

(isHere ? describe : describe.skip)(
  'recorded trainings (skipped where ../shared/golden is absent)',
  () => {
    test('there are eleven', () => {
      expect(CASES).toHaveLength(11);
    });

    test.each(CASES)('%s is reproduced', async (name) => {
      const result = await runGoldenCase(`${golden}/${name}`);
      expect(result).toMatchObject({ name, verdict: 'PASS' });
      // PyTorch's new exporter lays weights out anew; the others keep every name.
      if (!name.endsWith('_dynamo')) expect(result.notCompared).toEqual([]);
      expect(result.lossError).toBeLessThan(GOLDEN_TOLERANCE.loss);
    });

    test('a model of the dynamo exporter keeps what PyTorch wrote about its nodes', () => {
      const bytes = modelOf('mlp_dynamo');
      const exported = exportModel(bytes, initialParameters(bytes));
      const count = (file: Uint8Array) =>
        Buffer.from(file).toString('latin1').split('pkg.torch').length;
      expect(count(bytes)).toBeGreaterThan(10);
      expect(count(exported)).toBe(count(bytes));
      expect(initialParameters(exported)).toEqual(initialParameters(bytes));
    });

    test.each(['logistic', 'mlp', 'mlp_dynamo'])(
      '%s with bytes changed or cut off gives a report or a coded error',
      (name) => {
        const bytes = modelOf(name);
        const change = fc.tuple(fc.nat(Math.min(bytes.length, 3000) - 1), fc.nat(255));
        const property = fc.property(
          fc.array(change, { minLength: 1, maxLength: 5 }),
          fc.option(fc.nat(bytes.length)),
          (changes, end) => {
            const broken = bytes.slice(0, end ?? bytes.length);
            for (const [at, value] of changes) broken[at] = value;
            try {
              inspectModel(broken);
            } catch (error) {
              if (!isMedleyError(error) || error.code === 'INTERNAL') throw error;
            }
          },
        );
        fc.assert(property, { numRuns: 500, seed: 3 });
      },
    );

    test('a folder without a case is refused', async () => {
      await expect(runGoldenCase(golden)).rejects.toMatchObject({ code: 'GOLDEN_CASE_INVALID' });
    });
  },
);
