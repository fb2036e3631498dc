// Times one case with our engine: prints { ms, peakBytes, … } as JSON. Compiled code, one thread.
import { performance } from 'node:perf_hooks';
import { seededRng, uniformInt, uniformReal } from '@medley/kit';
import { CASES } from '../dist/bench/case.js';
import { buildTraining, gaussianNoise, initialParameters, Trainer } from '../dist/index.js';
import { initialSlots } from '../dist/training/trainer.js';
import { timed } from './timed.mjs';

const BATCHES = 4;
const wanted = CASES.find(({ name }) => name === process.argv[2]);
const { loss, optimizer, privacy, batchSize, row } = wanted;
const model = wanted.model();
const before = performance.now();
const artifacts = buildTraining(model, { loss, optimizer, ...(privacy && { privacy }) });
const buildMs = performance.now() - before;
const trainer = await Trainer.open(artifacts);
const { manifest } = trainer;

const rng = seededRng('bench data');
const rows = BATCHES * batchSize;
const size = rows * row.reduce((product, dim) => product * dim, 1);
const inputs = wanted.tokens
  ? BigInt64Array.from({ length: size }, () => BigInt(uniformInt(rng, wanted.tokens)))
  : Float32Array.from({ length: size }, () => 2 * uniformReal(rng) - 1);
const labels =
  wanted.outputs === 1
    ? Float32Array.from({ length: rows }, (_, i) => i % 2)
    : Int32Array.from({ length: rows }, (_, i) => i % wanted.outputs);
const data = {
  inputs: { data: inputs, dims: [rows, ...row] },
  labels: wanted.outputs === 1 ? { data: labels, dims: [rows, 1] } : labels,
};

let state = {
  parameters: initialParameters(model),
  slots: initialSlots(manifest),
  stepCount: 0,
};
const noiseOf = (steps) => gaussianNoise(rng, steps * manifest.trainableCount, 1);
let noise = new Float32Array(0);
let noiseMs = 0;
const run = async (steps) => {
  const order = Int32Array.from({ length: steps * batchSize }, (_, i) => (i * 7) % rows);
  if (privacy && noise.length !== steps * manifest.trainableCount) {
    const start = performance.now();
    noise = noiseOf(steps);
    noiseMs = (performance.now() - start) / steps;
  }
  const start = performance.now();
  const next = await trainer.epoch({
    ...state,
    ...data,
    order,
    batchSize,
    learningRate: wanted.learningRate,
    ...(privacy && { noise }),
  });
  const elapsed = performance.now() - start;
  state = next;
  return elapsed;
};
const result = await timed(run);
console.log(
  JSON.stringify({
    ...result,
    buildMs,
    parameters: manifest.parameterCount,
    ...(privacy && { noiseMs, method: manifest.privacy.method }),
  }),
);
await trainer.close();
