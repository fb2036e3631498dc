import { intOf, intsOf, stringOf, type Attribute } from '../../graph/graph.ts';
import { numbersOf, floatTensor } from '../../graph/tensor.ts';
import {
  ints,
  rankOf,
  refused,
  scalarLike,
  without,
  type Entry,
  type Rewrite,
  type Rule,
} from './rewrite.ts';

const text = (value: string): Attribute => ({ kind: 'string', value });

/** Resize as it was before 11: coordinates are divided by the scale; "nearest" cuts off, or rounds up when shrinking. */
function asymmetric(r: Rewrite, scales: string): void {
  const tensor = r.value(scales)?.tensor;
  const numbers = tensor === undefined ? undefined : numbersOf(tensor);
  const mode = stringOf(r.node, 'mode', 'nearest');
  const shrinks = numbers?.some((scale) => scale < 1) === true;
  if (mode === 'nearest' && shrinks && numbers.some((scale) => scale > 1)) {
    throw refused(r, 'it grows along one axis and shrinks along another');
  }
  r.finish({
    op: 'Resize',
    inputs: [r.input(0), '', scales],
    attributes: new Map([
      ['mode', text(mode === 'bilinear' ? 'linear' : mode)],
      ['coordinate_transformation_mode', text('asymmetric')],
      ['nearest_mode', text(shrinks ? 'ceil' : 'floor')],
    ]),
  });
}

const upsample: Rule = (r) => {
  const scales = r.node.attributes.get('scales');
  const given =
    scales?.kind === 'floats'
      ? r.constant(floatTensor([scales.value.length], scales.value))
      : r.input(1);
  if (given === '') throw refused(r, 'it has no scales');
  asymmetric(r, given);
};

const resize10: Rule = (r) => asymmetric(r, r.input(1));

// Until 12 region and scales had to be given, if only as empty tensors.
const resize11: Rule = (r) => {
  const [x, region, scales, sizes] = [0, 1, 2, 3].map(r.input) as [string, string, string, string];
  const isCrop = stringOf(r.node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const kept = isCrop ? region : '';
  r.finish({ inputs: sizes === '' ? [x, kept, scales] : [x, kept, '', sizes] });
};

// Operator set 19 can space the elements of a window: a convolution with equal weights, for each channel
// by itself.
const averagePool: Rule = (r) => {
  const dilations = intsOf(r.node, 'dilations') ?? [];
  const plain = without(r.node, 'dilations');
  if (dilations.every((step) => step === 1)) {
    r.finish({ attributes: plain });
    return;
  }
  const kernel = intsOf(r.node, 'kernel_shape') ?? [];
  const count = kernel.reduce((product, size) => product * size, 1);
  if (intOf(r.node, 'ceil_mode', 0) === 1)
    throw refused(r, 'dilations with ceil_mode are not read');
  if (kernel.length === 0 || !(count <= 2 ** 20)) throw refused(r, 'its kernel has no sense');
  const x = r.input(0);
  const rank = rankOf(r, x);
  const shape = r.op('Shape', [x]);
  const spatial = r.op('Shape', [x], { start: 2 });
  const one = ints(r, [1]);
  const images = r.op('Reshape', [x, r.op('Concat', [ints(r, [-1]), one, spatial], { axis: 0 })]);
  const ones = r.constant(floatTensor([1, 1, ...kernel], new Float32Array(count).fill(1)));
  const weights = r.value(x)?.dtype === 'float64' ? r.op('CastLike', [ones, x]) : ones;
  const settings = Object.fromEntries(
    ['strides', 'pads'].flatMap((name) => {
      const values = intsOf(r.node, name);
      return values === undefined ? [] : [[name, values]];
    }),
  );
  const window = {
    ...settings,
    dilations,
    kernel_shape: kernel,
    auto_pad: stringOf(r.node, 'auto_pad', 'NOTSET'),
  };
  const sums = r.op('Conv', [images, weights], window);
  const filled = r.op('Expand', [
    scalarLike(r, 1, x),
    r.op('Concat', [one, one, spatial], { axis: 0 }),
  ]);
  const counts =
    intOf(r.node, 'count_include_pad', 0) === 1
      ? scalarLike(r, count, x)
      : r.op('Conv', [filled, weights], window);
  const means = r.op('Div', [sums, counts]);
  const outer = r.op('Slice', [shape, ints(r, [0]), ints(r, [2])]);
  const inner = r.op('Shape', [means], { start: 2, end: rank });
  const sizes = r.op('Concat', [outer, inner], { axis: 0 });
  r.finish({ op: 'Reshape', inputs: [means, sizes], attributes: new Map() });
};

/** Resampling and pooling. */
export const RESAMPLING: readonly Entry[] = [
  { op: 'Upsample', rule: upsample },
  { op: 'Resize', before: 11, rule: resize10 },
  { op: 'Resize', since: 11, before: 13, rule: resize11 },
  { op: 'AveragePool', since: 19, rule: averagePool },
];
