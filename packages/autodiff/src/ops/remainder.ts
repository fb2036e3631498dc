import { floatOf, intOf } from '../graph/graph.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { inferElementwise, inferSame, sumTo } from './broadcast.ts';

// x − y·trunc(x/y), with the step of trunc left out, as torch.fmod has it.
const mod: GradientRule = ({ b, inputs: [x, y], needs }, [g]) => {
  const ratio = b.op('Div', [x, y]);
  const whole = b.op('Mul', [b.op('Sign', [ratio]), b.op('Floor', [b.op('Abs', [ratio])])]);
  return [
    sumTo(b, g!, x!),
    needs[1] ? sumTo(b, b.op('Neg', [b.op('Mul', [g, whole])]), y!) : undefined,
  ];
};

// Closed around 0: the bound itself belongs to the part that is 0.
const shrink: GradientRule = ({ b, attributes, inputs: [x] }, [g]) => {
  const bound = b.scalar(floatOf({ attributes }, 'lambd', 0.5), g);
  return [b.op('Where', [b.op('Greater', [b.op('Abs', [x]), bound]), g, b.scalar(0, g)])];
};

/** Mod of real numbers and Shrink. */
export const REMAINDER: readonly Operator[] = [
  {
    op: 'Mod',
    infer: inferElementwise,
    gradient: mod,
    convention: 'steps of the whole part left out',
    limits: 'fmod=1 for real numbers',
    refuse: (c) => (intOf(c, 'fmod', 0) === 1 ? undefined : 'real numbers need fmod=1 (ONNX, Mod)'),
  },
  { op: 'Shrink', infer: inferSame, gradient: shrink, convention: '0 at the bounds' },
];
