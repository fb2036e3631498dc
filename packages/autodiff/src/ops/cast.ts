import { constantOf, intOf } from '../graph/graph.ts';
import { dtypeOf } from '../graph/dtype.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';

const back: GradientRule = ({ b, inputs: [x] }, [g]) => [
  g!.dtype === x!.dtype ? g : b.op('CastLike', [g, x]),
];

const identity: GradientRule = (_, [g]) => [g];

// Inverted dropout: what was kept was divided by 1 − ratio.
const dropout: GradientRule = ({ b, inputs: [x, ratio, training], demand }, [g]) => {
  if (constantOf(training)?.[0] !== 1) return [g];
  const mask = demand(1, 'bool', x!.shape!);
  const zero = b.scalar(0, g);
  const dropped = ratio === undefined ? b.scalar(0.5, g) : b.op('CastLike', [ratio, g]);
  const scaled = b.op('Div', [g, b.op('Sub', [b.scalar(1, g), dropped])]);
  // Where, not a product: with ratio 1 the quotient is infinite, and nothing is kept.
  return [b.op('Where', [mask, scaled, zero])];
};

function inferDropout({ inputs: [x] }: InferContext): readonly Inferred[] {
  return [
    { dtype: x?.dtype, shape: x?.shape },
    { dtype: 'bool', shape: x?.shape },
  ];
}

function refuseDropout({ inputs: [, , training] }: InferContext): string | undefined {
  const isDecided = training === undefined || training.tensor !== undefined;
  return isDecided ? undefined : 'its training mode is computed: make it a constant';
}

/** Cast, CastLike, Identity and Dropout: values pass, their type or presence changes. */
export const CAST: readonly Operator[] = [
  {
    op: 'Cast',
    infer: (c) => [
      {
        dtype: dtypeOf(intOf(c, 'to', 0)),
        shape: c.inputs[0]?.shape,
        content: c.inputs[0]?.content,
      },
    ],
    gradient: back,
  },
  {
    op: 'CastLike',
    infer: (c) => [{ dtype: c.inputs[1]?.dtype, shape: c.inputs[0]?.shape }],
    gradient: back,
    settings: [1],
  },
  {
    op: 'Identity',
    infer: ({ inputs: [x] }) => [{ dtype: x?.dtype, shape: x?.shape, content: x?.content }],
    gradient: identity,
  },
  {
    op: 'Dropout',
    infer: inferDropout,
    gradient: dropout,
    refuse: refuseDropout,
    settings: [1, 2],
    limits: 'training mode a constant',
  },
];
