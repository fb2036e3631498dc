import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { inspectModel } from '@medley/autodiff';
import { isMedleyError } from '@medley/kit';
import fc from 'fast-check';

const golden = fileURLToPath(new URL('../../../shared/golden', import.meta.url));
const isHere = existsSync(golden);
const names = isHere
  ? readdirSync(golden).filter((name) => existsSync(`${golden}/${name}/model.onnx`))
  : [];

/** True when the bytes give a report or a coded error. */
function answers(bytes: Uint8Array): boolean {
  try {
    inspectModel(bytes);
    return true;
  } catch (error) {
    if (isMedleyError(error) && error.code !== 'INTERNAL') return true;
    throw error;
  }
}

(isHere ? describe : describe.skip)(
  'real models, damaged (skipped where ../shared/golden is absent)',
  () => {
    test.each(names)('%s gives a report or a coded error, whatever bytes are changed', (name) => {
      const model = new Uint8Array(readFileSync(`${golden}/${name}/model.onnx`));
      // Near its ends a file holds names, nodes and shapes; in between lie weights.
      const near = Math.min(model.length, 4000);
      const place = fc.oneof(
        fc.nat(near - 1),
        fc.nat(near - 1).map((at) => model.length - 1 - at),
      );
      const change = fc.tuple(place, fc.nat(255));
      const property = fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat(model.length), { freq: 8 }),
        (changes, end) => {
          const bytes = model.slice(0, end ?? model.length);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          expect(answers(bytes)).toBe(true);
        },
      );
      fc.assert(property, { numRuns: 150, seed: 11 });
    });
  },
);
