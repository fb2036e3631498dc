// The models of the bench in TensorFlow.js. Each is a function of rows and draws its weights at once.
import * as tf from '@tensorflow/tfjs';

const weight = (dims, fan) =>
  tf.variable(tf.randomUniform(dims, -Math.sqrt(1 / fan), Math.sqrt(1 / fan)));

function dense(from, to) {
  const [w, b] = [weight([from, to], from), weight([to], from)];
  return (x) => tf.add(tf.matMul(x, w), b);
}

function perceptron(...widths) {
  const layers = widths.slice(1).map((to, i) => dense(widths[i], to));
  return (x) => layers.reduce((y, layer, i) => layer(i === 0 ? y : tf.relu(y)), x);
}

function conv(from, to, size, stride, pad) {
  const w = weight([size, size, from, to], from * size * size);
  return (x) => tf.conv2d(x, w, stride, pad);
}

function lenet() {
  const [a, c] = [conv(1, 6, 5, 1, 2), conv(6, 16, 5, 1, 0)];
  const [p, q] = [weight([6], 25), weight([16], 150)];
  const head = perceptron(400, 120, 84, 10);
  const pool = (x) => tf.maxPool(tf.relu(x), 2, 2, 0);
  return (x) => {
    const y = pool(tf.add(c(pool(tf.add(a(x), p))), q));
    return head(tf.reshape(y, [y.shape[0], 400]));
  };
}

function normalised(layer, width) {
  const [scale, shift] = [tf.variable(tf.ones([width])), tf.variable(tf.zeros([width]))];
  return (x) => {
    const y = layer(x);
    const { mean, variance } = tf.moments(y, [0, 1, 2]);
    return tf.batchNorm(y, mean, variance, shift, scale, 1e-5);
  };
}

function block(from, to, stride) {
  const a = normalised(conv(from, to, 3, stride, 1), to);
  const b = normalised(conv(to, to, 3, 1, 1), to);
  const skip = from === to ? (x) => x : normalised(conv(from, to, 1, stride, 0), to);
  return (x) => tf.relu(tf.add(b(tf.relu(a(x))), skip(x)));
}

function resnet18() {
  const stem = normalised(conv(3, 64, 3, 1, 1), 64);
  const blocks = [64, 128, 256, 512].flatMap((to, stage) => [
    block(stage === 0 ? 64 : to / 2, to, stage === 0 ? 1 : 2),
    block(to, to, 1),
  ]);
  const head = dense(512, 10);
  return (x) =>
    head(
      tf.mean(
        blocks.reduce((y, next) => next(y), tf.relu(stem(x))),
        [1, 2],
      ),
    );
}

function lstm() {
  const [gates, head] = [dense(64 + 128, 512), dense(128, 1)];
  return (x) => {
    let h = tf.zeros([x.shape[0], 128]);
    let c = h;
    for (const step of tf.unstack(x, 1)) {
      const [i, f, g, o] = tf.split(gates(tf.concat([step, h], 1)), 4, 1);
      c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
      h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    }
    return head(h);
  };
}

function encoderLayer(width, heads, tokens) {
  const flat = (layer) => (x) =>
    tf.reshape(layer(tf.reshape(x, [-1, x.shape[2]])), [x.shape[0], tokens, -1]);
  const parts = [1, 2, 3, 4].map(() => flat(dense(width, width)));
  const [up, down] = [flat(dense(width, 4 * width)), flat(dense(4 * width, width))];
  const norms = [1, 2].map(() => {
    const [scale, shift] = [tf.variable(tf.ones([width])), tf.variable(tf.zeros([width]))];
    return (x) => {
      const { mean, variance } = tf.moments(x, 2, true);
      return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), scale), shift);
    };
  });
  const split = (x) =>
    tf.transpose(tf.reshape(x, [x.shape[0], tokens, heads, width / heads]), [0, 2, 1, 3]);
  return (x) => {
    const [q, k, v] = parts.slice(0, 3).map((part) => split(part(x)));
    const scores = tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / width));
    const mixed = tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]);
    const y = norms[0](tf.add(x, parts[3](tf.reshape(mixed, [x.shape[0], tokens, width]))));
    return norms[1](tf.add(y, down(tf.relu(up(y)))));
  };
}

function transformer() {
  const [table, places] = [weight([1000, 128], 128), weight([64, 128], 128)];
  const layers = [1, 2, 3, 4].map(() => encoderLayer(128, 4, 64));
  const head = dense(128, 10);
  return (x) =>
    head(
      tf.mean(
        layers.reduce((y, layer) => layer(y), tf.add(tf.gather(table, x), places)),
        1,
      ),
    );
}

const adam = () => tf.train.adam(1e-3);
const momentum = () => tf.train.momentum(0.01, 0.9);

/** By name: model, sizes of a row (channels last), rows of a batch, outputs, optimizer. */
export const MODELS = {
  'mlp-30-64-32-1-b32': [() => perceptron(30, 64, 32, 1), [30], 32, 1, adam],
  'mlp-784-256-10-b64': [() => perceptron(784, 256, 10), [784], 64, 10, adam],
  'lenet-28-b32': [lenet, [28, 28, 1], 32, 10, momentum],
  'resnet18-32-b16': [resnet18, [32, 32, 3], 16, 10, momentum],
  'lstm-50x16x64-128': [lstm, [50, 64], 16, 1, adam],
  'transformer-4x128-t64-b16': [transformer, [64], 16, 10, adam],
};
