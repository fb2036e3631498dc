import type { Builder } from '../graph/builder.ts';
import { floatOf, type Value } from '../graph/graph.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { inferSame, sumTo } from './broadcast.ts';

const isPositive = (b: Builder, x: Value): Value => b.op('Greater', [x, b.scalar(0, x)]);

/** dY where x > 0, dY·slope elsewhere; the slope at 0 is that of the left side, as in PyTorch. */
function leftSlope(c: GradientContext, g: Value, slope: Value): Value {
  const { b } = c;
  return b.op('Where', [isPositive(b, c.inputs[0]!), g, b.op('Mul', [g, slope])]);
}

const relu: GradientRule = ({ b, inputs: [x] }, [g]) => [
  b.op('Where', [isPositive(b, x!), g, b.scalar(0, g)]),
];

const leakyRelu: GradientRule = (c, [g]) => [
  leftSlope(c, g!, c.b.scalar(floatOf(c, 'alpha', 0.01), g)),
];

const prelu: GradientRule = (c, [g]) => {
  const { b, needs } = c;
  const [x, slope] = c.inputs;
  const below = b.op('Where', [isPositive(b, x!), b.scalar(0, g), b.op('Mul', [g, x])]);
  return [
    needs[0] ? leftSlope(c, g!, slope!) : undefined,
    needs[1] ? sumTo(b, below, slope!) : undefined,
  ];
};

// For x <= 0: y = α(eˣ − 1), so y' = y + α.
const elu: GradientRule = (c, [g]) => [
  leftSlope(c, g!, c.b.op('Add', [c.outputs[0], c.b.scalar(floatOf(c, 'alpha', 1), g)])),
];

// Defaults: Klambauer et al. 2017, as in the ONNX specification of Selu.
const selu: GradientRule = ({ b, attributes, inputs: [x], outputs: [y] }, [g]) => {
  const gamma = floatOf({ attributes }, 'gamma', 1.0507010221481323);
  const alpha = floatOf({ attributes }, 'alpha', 1.6732631921768188);
  const left = b.op('Add', [y, b.scalar(alpha * gamma, g)]);
  return [b.op('Mul', [g, b.op('Where', [isPositive(b, x!), b.scalar(gamma, g), left])])];
};

// For x <= 0: y = α(e^(x/α) − 1), so y' = y/α + 1.
const celu: GradientRule = (c, [g]) => {
  const { b } = c;
  const alpha = b.scalar(floatOf(c, 'alpha', 1), g);
  return [leftSlope(c, g!, b.op('Add', [b.op('Div', [c.outputs[0], alpha]), b.scalar(1, g)]))];
};

const thresholdedRelu: GradientRule = ({ b, attributes, inputs: [x] }, [g]) => [
  b.op('Where', [
    b.op('Greater', [x, b.scalar(floatOf({ attributes }, 'alpha', 1), g)]),
    g,
    b.scalar(0, g),
  ]),
];

const hardSigmoid: GradientRule = ({ b, attributes, outputs: [y] }, [g]) => {
  const slope = b.scalar(floatOf({ attributes }, 'alpha', 0.2), g);
  const inside = b.op('And', [isPositive(b, y!), b.op('Less', [y, b.scalar(1, g)])]);
  return [b.op('Where', [inside, b.op('Mul', [g, slope]), b.scalar(0, g)])];
};

// x·clip(x/6 + ½, 0, 1): 0 up to −3, x/3 + ½ in between, 1 from 3 on.
const hardSwish: GradientRule = ({ b, inputs: [x] }, [g]) => {
  const middle = b.op('Add', [b.op('Mul', [x, b.scalar(1 / 3, g)]), b.scalar(0.5, g)]);
  const upper = b.op('Where', [b.op('Less', [x, b.scalar(3, g)]), middle, b.scalar(1, g)]);
  const isDead = b.op('LessOrEqual', [x, b.scalar(-3, g)]);
  return [b.op('Where', [isDead, b.scalar(0, g), b.op('Mul', [g, upper])])];
};

// y = x·t with t = tanh(softplus x): y' = t + x(1 − t²)·sigmoid(x).
const mish: GradientRule = ({ b, inputs: [x] }, [g]) => {
  const t = b.op('Tanh', [b.op('Softplus', [x])]);
  const bend = b.op('Mul', [
    b.op('Sub', [b.scalar(1, g), b.op('Mul', [t, t])]),
    b.op('Sigmoid', [x]),
  ]);
  return [b.op('Mul', [g, b.op('Add', [t, b.op('Mul', [x, bend])])])];
};

const LEFT = 'that of the left side at 0';

/** Activations that have a kink, a parameter or an attribute. */
export const ACTIVATION: readonly Operator[] = [
  { op: 'Relu', infer: inferSame, gradient: relu, convention: '0 at 0' },
  { op: 'LeakyRelu', infer: inferSame, gradient: leakyRelu, convention: LEFT },
  { op: 'PRelu', infer: inferSame, gradient: prelu, convention: LEFT },
  { op: 'Elu', infer: inferSame, gradient: elu, convention: LEFT },
  { op: 'Selu', infer: inferSame, gradient: selu, convention: LEFT },
  { op: 'Celu', infer: inferSame, gradient: celu, convention: LEFT },
  {
    op: 'ThresholdedRelu',
    infer: inferSame,
    gradient: thresholdedRelu,
    convention: '0 at the threshold',
  },
  { op: 'HardSigmoid', infer: inferSame, gradient: hardSigmoid, convention: '0 at both kinks' },
  { op: 'HardSwish', infer: inferSame, gradient: hardSwish, convention: '0 at -3, 1 at 3' },
  { op: 'Mish', infer: inferSame, gradient: mish },
];
