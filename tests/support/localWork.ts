import { seededRng } from '@medley/kit';
import { evaluationValues, statisticsValues, trainingValues, type SlotValues } from '@medley/study';
import type { LocalWork } from '../../silo-agent/src/training/work.ts';

/** Local work that gives made-up but possible figures, at once. */
export function honestWork(index: number): LocalWork {
  return {
    perform: async ({ kind, study, charter, seed }) => {
      const rng = seededRng(`${seed} ${index}`);
      const noise = (): number => rng.bytes(1)[0]! / 256;
      const test = { logits: [-1, 0.5, 2, -0.2], labels: [0, 1, 1, 0] };
      const summary = {
        kind,
        trainRows: 30,
        testRows: 4,
        fingerprint: 'ab'.repeat(32),
        elapsedMs: 1,
      };
      const values = (): SlotValues => {
        switch (kind) {
          case 'statistics': {
            const row = (): Float64Array => Float64Array.of(18 + 80 * noise(), 1, 0, 1, noise());
            return statisticsValues(study, charter, Array.from({ length: 30 }, row));
          }
          case 'training': {
            const delta = Float32Array.from(
              { length: charter.modelParameters },
              () => noise() - 0.5,
            );
            return trainingValues(study, charter, { delta, weight: 30, trainLoss: noise(), test });
          }
          case 'evaluation':
            return evaluationValues(study, charter, test);
        }
      };
      return { values: values(), summary };
    },
    close: async () => undefined,
  };
}
