// Times one case with TensorFlow.js: peer.mjs CASE cpu|wasm prints { ms, peakBytes } or null as JSON.
import { performance } from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs';
import { timed } from '../timed.mjs';
import { MODELS } from './models.mjs';

const BATCHES = 4;
const [name, backend] = process.argv.slice(2);
// Its warnings go to standard output otherwise.
console.warn = console.error;
if (backend === 'wasm') {
  const { setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm');
  setThreadsCount(1);
}
await tf.setBackend(backend);
console.log(JSON.stringify(MODELS[name] ? await time(...MODELS[name]) : null));

async function time(make, row, batchSize, outputs, optimizerOf) {
  const model = make();
  const optimizer = optimizerOf();
  const rows = BATCHES * batchSize;
  const isText = name.startsWith('transformer');
  const inputs = isText
    ? tf.randomUniform([rows, ...row], 0, 1000, 'int32')
    : tf.randomUniform([rows, ...row], -1, 1);
  const classes = Int32Array.from({ length: rows }, (_, i) => i % Math.max(outputs, 2));
  const labels =
    outputs === 1
      ? tf.tensor2d(Float32Array.from(classes), [rows, 1])
      : tf.oneHot(tf.tensor1d(classes, 'int32'), outputs);
  const loss = outputs === 1 ? tf.losses.sigmoidCrossEntropy : tf.losses.softmaxCrossEntropy;
  return timed(async (steps) => {
    const start = performance.now();
    for (let step = 0; step < steps; step++) {
      const order = Int32Array.from(
        { length: batchSize },
        (_, i) => ((step * batchSize + i) * 7) % rows,
      );
      tf.tidy(() => {
        const at = tf.tensor1d(order, 'int32');
        const [x, y] = [tf.gather(inputs, at), tf.gather(labels, at)];
        optimizer.minimize(() => loss(y, model(x)), true).dataSync();
      });
    }
    return performance.now() - start;
  });
}
