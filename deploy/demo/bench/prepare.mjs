import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildMlp } from '@medley/autodiff';
import { enrolSilos } from '../dist/enrol.js';
import { foundConsortium } from '../dist/found.js';
import { COORDINATE, PRETENDED_ROWS, WEIGHT_CAP } from './update.mjs';

const STUDY = 'bench';
/** Words of a training vector beside update and score bins: weight, loss, test count, loss, Brier. */
const FIXED_WORDS = 5;

/**
 * A consortium with enrolled silos, a signed study and agents that run: all but the start of the study.
 * What runs is the demo's own founding and enrolment.
 */
export async function prepare(options, progress) {
  const { work, programs, silos } = options;
  const names = Array.from({ length: silos }, (_, i) => `silo-${i + 1}`);
  await mkdir(join(work, 'logs'), { recursive: true });
  await writeStudy(join(work, 'study'), options);
  const site = join(work, 'site.yaml');
  await writeData(work, site);
  const source = {
    silos: names.map((name) => ({ name, title: name, file: site })),
    pooled: site,
    studyFile: join(work, 'study', 'study.yaml'),
  };
  const box = { ...options, source, rounds: null };
  progress('the consortium is founded');
  const { aggregator, passphraseFile } = await foundConsortium(box, { keepMaskedVectors: false });
  progress('the silos enrol');
  await enrolSilos(box, passphraseFile);
  progress('the study is proposed and signed');
  const operator = ['--home', join(work, 'operator')];
  await programs.call('medley', 'study', 'propose', join(work, 'study'), ...operator);
  const homeOf = (name) => join(work, 'silos', name);
  for (const name of names) {
    const sign = ['study', 'sign', STUDY, '--as', 'Bench', '--yes', '--home', homeOf(name)];
    await programs.call('medley-agent', ...sign);
  }
  const start = () => programs.call('medley', 'study', 'start', STUDY, ...operator);
  return { ...options, box, study: STUDY, names, homeOf, aggregator, operator, start };
}

/** A study file and a model, so that a training vector has exactly `size` words. */
async function writeStudy(folder, { size, rounds, ring, bits }) {
  await mkdir(folder, { recursive: true });
  // One feature and h hidden units make 3·h + 1 parameters; two bins to four fill up to the size.
  const bins = [2, 3, 4].find((count) => (size - FIXED_WORDS - 2 * count - 1) % 3 === 0);
  const hidden = (size - FIXED_WORDS - 2 * bins - 1) / 3;
  const model = buildMlp({
    features: 1,
    hidden: [hidden],
    outputs: 1,
    activation: 'tanh',
    seed: 'bench',
    inputName: 'features',
    outputName: 'logit',
  });
  await writeFile(join(folder, 'model.onnx'), model);
  const yaml = `apiVersion: medley/v1
kind: Study
name: ${STUDY}
title: Rounds without training, to be timed
purpose: { text: Timing of the secure aggregation., legalBasis: No data of anybody }
expires: 2035-12-31T00:00:00Z
cohort: { minPatients: 11 }
features:
  - { name: x, type: number, range: [0, 100] }
outcome: { kind: binary, column: y }
split: { train: 0.5, seed: bench }
model: { file: model.onnx, input: features, output: logit }
training:
  loss: bce_with_logits
  optimizer: { kind: adam }
  learningRate: 0.01
  batchSize: 8
  localEpochs: 1
  standardise: false
strategy: { kind: fedavg }
rounds: { count: ${rounds}, maxAttempts: 3, stepSeconds: 60, trainingSeconds: 60 }
clipping: { normL2: 1000000, coordinate: ${COORDINATE} }
secureAggregation: { bits: ${bits}, ringBits: ${ring}, weightCap: ${WEIGHT_CAP} }
evaluation: { scoreBins: ${bins} }
`;
  await writeFile(join(folder, 'study.yaml'), yaml);
}

/** Rows that the steward's check may look at; no round reads them. */
async function writeData(folder, site) {
  const rows = Array.from({ length: 3 * PRETENDED_ROWS }, (_, row) => `${row},${row % 2}`);
  await writeFile(join(folder, 'rows.csv'), ['x,y', ...rows, ''].join('\n'));
  const yaml = `connectors:
  - id: rows
    kind: csv
    file: rows.csv
    columns: { x: { from: x }, y: { from: y } }
`;
  await writeFile(site, yaml);
}
