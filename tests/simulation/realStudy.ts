import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildMlp } from '@medley/autodiff';
import { seededRng, uniformReal } from '@medley/kit';

/** Rows of each hospital, half of them for training. */
const ROWS = 80;
/**
 * A power of two, so that a clipped coordinate is exact in every number format on the way; and so small
 * that no gradient comes near zero, where the order of rows would matter.
 */
const COORDINATE = 2 ** -12;

/**
 * A study whose every round can be told in advance bit for bit: one step of a learning rate so large that
 * each coordinate of every update is clipped. With as many training rows as the weight cap it lies on
 * the quantiser's grid, and what is random in a round (keys, masks, rounding, order of rows) changes no
 * bit of the model.
 */
export function exactStudy(name: string, rounds: number): string {
  return `apiVersion: medley/v1
kind: Study
name: ${name}
title: Rounds that are killed
purpose: { text: Durability of the programs., legalBasis: No data of anybody }
expires: 2035-12-31T00:00:00Z
cohort: { minPatients: 11 }
features:
  - { name: a, type: number, range: [-1, 1] }
  - { name: b, type: number, range: [-1, 1] }
outcome: { kind: binary, column: y }
split: { train: 0.5, seed: faults }
model: { file: model.onnx, input: features, output: logit }
training:
  loss: bce_with_logits
  optimizer: { kind: sgd }
  learningRate: 100
  batchSize: ${ROWS}
  localEpochs: 1
  standardise: false
strategy: { kind: fedavg }
rounds: { count: ${rounds}, maxAttempts: 3, stepSeconds: 60, trainingSeconds: 60 }
clipping: { normL2: 1000000, coordinate: ${COORDINATE} }
secureAggregation: { bits: 22, weightCap: ${ROWS / 2} }
evaluation: { scoreBins: 4 }
`;
}

/** Writes a study's folder. */
export async function writeStudy(folder: string, name: string, rounds: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'study.yaml'), exactStudy(name, rounds));
  const model = buildMlp({
    features: 2,
    hidden: [3],
    outputs: 1,
    activation: 'tanh',
    seed: 'faults',
    inputName: 'features',
    outputName: 'logit',
  });
  await writeFile(join(folder, 'model.onnx'), model);
}

/** Writes one hospital's rows and the connectors over them; gives the file with the connectors. */
export async function writeRows(folder: string, silo: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const rng = seededRng(`rows of ${silo}`);
  const rows = Array.from({ length: ROWS }, () => {
    const [a, b] = [2 * uniformReal(rng) - 1, 2 * uniformReal(rng) - 1];
    return `${a.toFixed(6)},${b.toFixed(6)},${uniformReal(rng) < 0.3 + 0.3 * a ? 1 : 0}`;
  });
  await writeFile(join(folder, `${silo}.csv`), ['a,b,y', ...rows, ''].join('\n'));
  const file = join(folder, `${silo}.yaml`);
  await writeFile(
    file,
    `connectors:
  - id: rows
    kind: csv
    file: ${silo}.csv
    columns: { a: { from: a }, b: { from: b }, y: { from: y } }
`,
  );
  return file;
}
