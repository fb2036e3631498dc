import type { InferContext } from '../../graph/infer.ts';
import type { Operator } from '../../graph/operator.ts';
import { ifGradient } from './if.ts';
import { inferIf, inferLoop, inferScan } from './infer.ts';
import { recurrenceGradient } from './recurrence.ts';

const refuseGrowing = (c: InferContext): string | undefined =>
  c.inputs.slice(2).some((state) => state !== undefined && state.shape === undefined)
    ? 'a state of it has no known rank'
    : undefined;

/** Operators that hold subgraphs. */
export const CONTROL: readonly Operator[] = [
  { op: 'If', infer: inferIf, gradient: ifGradient, settings: [0] },
  { op: 'Scan', infer: inferScan, gradient: recurrenceGradient },
  {
    op: 'Loop',
    infer: inferLoop,
    gradient: recurrenceGradient,
    settings: [0, 1],
    refuse: refuseGrowing,
  },
];
