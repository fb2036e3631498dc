import { Builder } from '../../graph/builder.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import { boolTensor, intTensor } from '../../graph/tensor.ts';
import { infer } from '../registry.ts';
import type { Case } from './case.ts';

const H = 3;
type Shape = readonly number[];

/** A subgraph with float inputs of these shapes, which sees x0, x1, … of the case around it. */
export function subgraph(
  inputs: readonly Shape[],
  captured: Readonly<Record<string, Shape>>,
  write: (b: Builder, inputs: readonly Value[], captured: readonly Value[]) => readonly Value[],
): Graph {
  const b = new Builder(infer);
  const outer = Object.entries(captured).map(([name, shape]) =>
    b.adopt({ name: b.unique(name), dtype: 'float32', shape }),
  );
  const own = inputs.map((shape, i) => b.argument(`in_${i}`, 'float32', shape));
  const outputs = write(b, own, outer).map((value, i) => b.named(value, `out_${i}`));
  return b.graph('body', outputs);
}

/** h′ = tanh(x + h·W + v); gives out h′ and h′·h. */
const cell = (w: string, v: string): Graph =>
  subgraph(
    [
      [2, H],
      [2, H],
    ],
    { [w]: [H, H], [v]: [H] },
    (b, [h, x], [W, V]) => {
      const sum = b.op('Add', [b.op('Add', [x, b.op('MatMul', [h, W])]), V]);
      const next = b.op('Tanh', [sum]);
      return [next, next, b.op('Mul', [next, h])];
    },
  );

const scan = (rest: Partial<Case>): Case => ({
  op: 'Scan',
  operands: [[2, H], [4, 2, H], [H, H], [H]],
  captured: [2, 3],
  outputs: 3,
  targets: [0, 1, 2],
  ...rest,
  attributes: { body: cell('x2', 'x3'), num_scan_inputs: 1, ...rest.attributes },
});

const weighted = (factor: string): Graph =>
  subgraph([], { x0: [2, H], [factor]: [H] }, (b, _, [x, w]) => [
    b.op('Exp', [b.op('Mul', [x, w])]),
    b.op('Add', [x, w]),
  ]);

const plain = subgraph([], { x0: [2, H] }, (b, _, [x]) => [b.op('Sin', [x]), b.op('Neg', [x])]);

/** Three rounds of s′ = s·w + sin(s), giving out s². */
function loopBody(): Graph {
  const b = new Builder(infer);
  const w = b.adopt({ name: b.unique('x1'), dtype: 'float32', shape: [H] });
  b.argument('iteration', 'int64', []);
  const go = b.argument('go', 'bool', []);
  const s = b.argument('s', 'float32', [2, H]);
  const next = b.op('Add', [b.op('Mul', [s, w]), b.op('Sin', [s])]);
  return b.graph('body', [
    b.named(go, 'go_on'),
    b.named(next, 'next'),
    b.named(b.op('Mul', [s, s]), 'square'),
  ]);
}

/** Control flow, with values from outside and states. */
export const CONTROL: readonly Case[] = [
  ...[true, false].map((condition): Case => ({
    op: 'If',
    operands: [[2, H], [H], boolTensor([1], [condition])],
    captured: [0, 1],
    outputs: 2,
    targets: [0, 1],
    attributes: { then_branch: weighted('x1'), else_branch: plain },
  })),
  scan({}),
  scan({ targets: [0] }),
  scan({ targets: [1] }),
  scan({ attributes: { scan_input_directions: [1], scan_output_directions: [1, 0] } }),
  scan({ attributes: { scan_output_directions: [0, 1] } }),
  scan({
    operands: [[2, H], [2, H, 4], [H, H], [H]],
    attributes: { scan_input_axes: [2], scan_output_axes: [1, -1] },
  }),
  {
    op: 'Loop',
    operands: [intTensor([], [3]), undefined, [2, H], [H]],
    captured: [3],
    outputs: 2,
    targets: [0, 1],
    from: -1,
    to: 1,
    attributes: { body: loopBody() },
  },
];
