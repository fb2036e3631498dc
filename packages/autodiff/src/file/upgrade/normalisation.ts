import { floatOf, intOf, type Attribute } from '../../graph/graph.ts';
import { boolTensor, floatTensor } from '../../graph/tensor.ts';
import {
  ints,
  rankOf,
  refused,
  scalar,
  scalarLike,
  without,
  type Entry,
  type Rewrite,
  type Rule,
} from './rewrite.ts';

// Until 13 what a node did was told by its outputs: one in use, five in training.
const batchNorm: Rule = (r) => {
  const { node } = r;
  const attributes = new Map(without(node, 'is_test', 'spatial', 'consumed_inputs'));
  const outputs = node.outputs.slice(0, 3);
  const isTraining =
    intOf(node, 'is_test', 0) === 0 && node.outputs.slice(1).some((name) => name !== '');
  if (intOf(node, 'spatial', 1) === 0 && rankOf(r, r.input(0)) > 2) {
    if (isTraining) throw refused(r, 'statistics of each place cannot be trained');
    perPlace(r);
    return;
  }
  if (isTraining) attributes.set('training_mode', { kind: 'int', value: 1 });
  r.finish({ outputs: isTraining ? outputs : outputs.slice(0, 1), attributes });
};

/** Scale, bias and statistics of shape [C, D1, …]: (x − mean) / √(var + ε) · scale + bias. */
function perPlace(r: Rewrite): void {
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map(r.input) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const epsilon = scalar(r, floatOf(r.node, 'epsilon', 1e-5));
  const deviation = r.op('Sqrt', [r.op('Add', [variance, epsilon])]);
  const normal = r.op('Div', [r.op('Sub', [x, mean]), deviation]);
  r.finish({
    op: 'Add',
    inputs: [r.op('Mul', [normal, scale]), bias],
    outputs: r.node.outputs.slice(0, 1),
    attributes: new Map(),
  });
}

// Before 12 the ratio was an attribute and the node did nothing in use; before 7 `is_test` told.
const dropout: Rule = (r) => {
  const { node } = r;
  const ratio = r.constant(floatTensor([], [floatOf(node, 'ratio', 0.5)]));
  const isTraining = node.attributes.has('is_test') && intOf(node, 'is_test', 0) === 0;
  const inputs = [r.input(0), ratio];
  if (isTraining) inputs.push(r.constant(boolTensor([], [true])));
  r.finish({ inputs, attributes: without(node, 'ratio', 'is_test') });
};

// In operator set 21 scale and bias are of each channel, in 18 of each group: normalised without, then
// scaled.
const groupNorm: Rule = (r) => {
  const { node } = r;
  const [x, scale, bias] = [r.input(0), r.input(1), r.input(2)];
  const groups = intOf(node, 'num_groups', 0);
  if (groups < 1 || groups > 2 ** 20) throw refused(r, 'its number of groups has no sense');
  const axes = ints(
    r,
    Array.from({ length: rankOf(r, x) - 2 }, (_, i) => i + 1),
  );
  const grouped = r.op('Reshape', [x, ints(r, [0, groups, -1])]);
  const filled = (value: number): string =>
    r.constant(floatTensor([groups], new Float32Array(groups).fill(value)));
  const normal = r.op('InstanceNormalization', [grouped, filled(1), filled(0)], {
    epsilon: { float: floatOf(node, 'epsilon', 1e-5) },
  });
  const back = r.op('Reshape', [normal, r.op('Shape', [x])]);
  const scaled = r.op('Mul', [back, r.op('Unsqueeze', [scale, axes])]);
  r.finish({
    op: 'Add',
    inputs: [scaled, r.op('Unsqueeze', [bias, axes])],
    attributes: new Map(),
  });
};

// RMSNormalization of operator set 23, by its definition: x / √(mean(x²) + ε) · scale.
const rmsNorm: Rule = (r) => {
  const [x, weight] = [r.input(0), r.input(1)];
  const axis = intOf(r.node, 'axis', -1);
  const rank = axis < 0 ? 0 : rankOf(r, x);
  const count = axis < 0 ? -axis : rank - axis;
  const axes = ints(
    r,
    Array.from({ length: count }, (_, i) => i - count),
  );
  const square = r.op('ReduceMean', [r.op('Mul', [x, x]), axes], { keepdims: 1 });
  const epsilon = scalarLike(r, floatOf(r.node, 'epsilon', 1e-5), x);
  const size = r.op('Sqrt', [r.op('Add', [square, epsilon])]);
  r.finish({ op: 'Mul', inputs: [r.op('Div', [x, size]), weight], attributes: new Map() });
};

// Quantising got block sizes and types of its own; what stands for the old behaviour is dropped.
const quantise: Rule = (r) => {
  const isDefault = (attribute: Attribute): boolean =>
    attribute.kind === 'int' && attribute.value === 0;
  const block = r.node.attributes.get('block_size');
  if (block !== undefined && !isDefault(block)) throw refused(r, 'it quantises in blocks');
  r.finish({
    attributes: without(r.node, 'block_size', 'saturate', 'output_dtype', 'precision'),
  });
};

/** Normalisations, Dropout and quantising. */
export const NORMALISATION: readonly Entry[] = [
  { op: 'BatchNormalization', before: 14, rule: batchNorm },
  { op: 'Dropout', before: 12, rule: dropout },
  { op: 'GroupNormalization', since: 21, rule: groupNorm },
  { op: 'RMSNormalization', since: 23, rule: rmsNorm },
  { op: 'QuantizeLinear', since: 19, rule: quantise },
  { op: 'DequantizeLinear', since: 19, rule: quantise },
];
