import { intOf, intsOf } from '../../graph/graph.ts';
import { axisOf } from '../../graph/shape.ts';
import { forEach, ints, without, type Entry, type Rule } from './rewrite.ts';

const REDUCTIONS = 'Sum Mean Max Min Prod L1 L2 SumSquare LogSum LogSumExp'
  .split(' ')
  .map((name) => `Reduce${name}`);

// Before 13 (Sum) or 18 (the others) the axes were an attribute; now they are the second input.
const axesToInput: Rule = (r) => {
  const axes = intsOf(r.node, 'axes');
  if (axes === undefined) {
    r.finish({});
    return;
  }
  r.finish({
    inputs: [r.input(0), ints(r, axes)],
    attributes: without(r.node, 'axes'),
  });
};

// Operator set 20 takes extremes of truth values: of 0 and 1 until then.
const extremum: Rule = (r) => {
  const [x, axes] = [r.input(0), r.input(1)];
  if (r.value(x)?.dtype !== 'bool') {
    r.finish({});
    return;
  }
  const number = r.op('Cast', [x], { to: 6 });
  const found = r.op(r.node.op, axes === '' ? [number] : [number, axes], {
    keepdims: intOf(r.node, 'keepdims', 1),
    noop_with_empty_axes: intOf(r.node, 'noop_with_empty_axes', 0),
  });
  r.finish({
    op: 'Cast',
    inputs: [found],
    attributes: new Map([['to', { kind: 'int', value: 9 }]]),
  });
};

// Before 13 a softmax took all axes from `axis` on as one.
const flat: Rule = (r) => {
  const x = r.input(0);
  const rank = r.value(x)?.shape?.length;
  const axis = intOf(r.node, 'axis', 1);
  const at = rank === undefined ? undefined : axisOf(axis, rank);
  const along = (value: number) => new Map([['axis', { kind: 'int', value } as const]]);
  if (at !== undefined && at === rank! - 1) {
    r.finish({ attributes: along(-1) });
    return;
  }
  const shape = r.op('Shape', [x]);
  const rows = r.op('Flatten', [x], { axis });
  const made = r.op(r.node.op, [rows], { axis: -1 });
  r.finish({ op: 'Reshape', inputs: [made, shape], attributes: new Map() });
};

/** Reductions and normalisations along axes. */
export const REDUCTION: readonly Entry[] = [
  ...forEach(REDUCTIONS, { before: 18, rule: axesToInput }),
  ...forEach(['ReduceMax', 'ReduceMin'], { since: 20, rule: extremum }),
  ...forEach(['Softmax', 'LogSoftmax', 'Hardmax'], { before: 13, rule: flat }),
];
