import { floatOf, intOf, intsOf, type Attribute } from '../../graph/graph.ts';
import { floatTensor } from '../../graph/tensor.ts';
import { forEach, ints, refused, scalarLike, without, type Entry, type Rule } from './rewrite.ts';

/** An attribute with a list of integers that became input `index`. */
const intsToInput =
  (attribute: string, index: number): Rule =>
  (r) => {
    const values = intsOf(r.node, attribute);
    if (values === undefined) {
      r.finish({});
      return;
    }
    const before = Array.from({ length: index }, (_, i) => r.input(i));
    r.finish({
      inputs: [...before, ints(r, values)],
      attributes: without(r.node, attribute),
    });
  };

// Before 13 the sizes were an attribute; operator set 18 wants to know how many equal parts are meant.
const split: Rule = (r) => {
  const sizes = intsOf(r.node, 'split');
  if (sizes !== undefined) {
    r.finish({ inputs: [r.input(0), ints(r, sizes)], attributes: without(r.node, 'split') });
    return;
  }
  const isEqual = r.input(1) === '' && !r.node.attributes.has('num_outputs');
  const count: Attribute = { kind: 'int', value: r.node.outputs.length };
  r.finish(isEqual ? { attributes: new Map([...r.node.attributes, ['num_outputs', count]]) } : {});
};

// Before 10 start, end and axes were attributes.
const slice: Rule = (r) => {
  const [starts, ends] = [intsOf(r.node, 'starts'), intsOf(r.node, 'ends')];
  if (starts === undefined || ends === undefined) {
    r.finish({});
    return;
  }
  const axes = intsOf(r.node, 'axes') ?? starts.map((_, i) => i);
  r.finish({
    inputs: [r.input(0), ints(r, starts), ints(r, ends), ints(r, axes)],
    attributes: new Map(),
  });
};

// Before 11 widths and value were attributes (`paddings` before 2).
const pad: Rule = (r) => {
  const pads = intsOf(r.node, 'pads') ?? intsOf(r.node, 'paddings');
  if (pads === undefined) {
    r.finish({});
    return;
  }
  const x = r.input(0);
  const value = scalarLike(r, floatOf(r.node, 'value', 0), x);
  r.finish({
    inputs: [x, ints(r, pads), value],
    attributes: without(r.node, 'pads', 'paddings', 'value'),
  });
};

// Before 10 the count was an attribute.
const topK: Rule = (r) => {
  if (!r.node.attributes.has('k')) {
    r.finish({});
    return;
  }
  r.finish({
    inputs: [r.input(0), ints(r, [intOf(r.node, 'k', 1)])],
    attributes: without(r.node, 'k'),
  });
};

const scatter: Rule = (r) => r.finish({ op: 'ScatterElements' });

// An experimental operator: a constant of the shape that an attribute or another value gives.
const constantFill: Rule = (r) => {
  const shape = intsOf(r.node, 'shape');
  const source = r.input(0);
  const isShape = intOf(r.node, 'input_as_shape', 0) === 1;
  if (source === '' && shape === undefined) throw refused(r, 'it has no shape');
  if (![0, 1].includes(intOf(r.node, 'dtype', 1))) throw refused(r, 'it is not of float32');
  const base = source === '' ? ints(r, shape ?? []) : isShape ? source : r.op('Shape', [source]);
  const extra = intsOf(r.node, 'extra_shape') ?? [];
  const sizes = extra.length === 0 ? base : r.op('Concat', [base, ints(r, extra)], { axis: 0 });
  const value: Attribute = {
    kind: 'tensor',
    value: floatTensor([1], [floatOf(r.node, 'value', 0)]),
  };
  r.finish({ op: 'ConstantOfShape', inputs: [sizes], attributes: new Map([['value', value]]) });
};

// Operator set 20 widened the modes to N dimensions and renamed them.
const gridSample: Rule = (r) => {
  const mode = r.node.attributes.get('mode');
  const old: Readonly<Record<string, string>> = { linear: 'bilinear', cubic: 'bicubic' };
  const named: Attribute = {
    kind: 'string',
    value: mode?.kind === 'string' ? (old[mode.value] ?? mode.value) : 'bilinear',
  };
  r.finish({ attributes: new Map([...r.node.attributes, ['mode', named]]) });
};

// In operator set 20 the axis became an input with another default.
const dft: Rule = (r) => {
  const [x, axisInput] = [r.input(0), r.input(2)];
  const given = axisInput === '' ? [-2] : r.value(axisInput)?.content;
  const [axis] = given ?? [];
  const rank = r.value(x)?.shape?.length;
  if (typeof axis !== 'number' || (axis < 0 && rank === undefined)) {
    throw refused(r, 'its axis is not constant');
  }
  const place: Attribute = { kind: 'int', value: axis < 0 ? axis + rank! : axis };
  r.finish({
    inputs: r.input(1) === '' ? [x] : [x, r.input(1)],
    attributes: new Map([...r.node.attributes, ['axis', place]]),
  });
};

/** Operators that move, cut, join or fill. */
export const LAYOUT: readonly Entry[] = [
  ...forEach(['Squeeze', 'Unsqueeze'], { before: 13, rule: intsToInput('axes', 1) }),
  { op: 'Reshape', before: 5, rule: intsToInput('shape', 1) },
  { op: 'Split', rule: split },
  { op: 'Slice', before: 10, rule: slice },
  { op: 'Pad', before: 11, rule: pad },
  { op: 'TopK', before: 10, rule: topK },
  { op: 'Scatter', rule: scatter },
  { op: 'ConstantFill', before: 10, rule: constantFill },
  { op: 'GridSample', since: 20, rule: gridSample },
  { op: 'DFT', since: 20, rule: dft },
];
