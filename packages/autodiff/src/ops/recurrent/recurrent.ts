import type { InferContext, Inferred } from '../../graph/infer.ts';
import type { Operator } from '../../graph/operator.ts';
import { CELLS } from './cell.ts';
import { formOf, functionsOf, lower } from './lower.ts';

function inferRecurrent(c: InferContext): readonly Inferred[] {
  const [x, w] = c.inputs;
  const form = formOf(c);
  const dtype = x?.dtype;
  const hidden = form?.hidden ?? c.fresh();
  const directions = form?.reversed.length ?? w?.shape?.[0] ?? c.fresh();
  if (x?.shape?.length !== 3) return [0, 1, 2].map(() => ({ dtype, shape: undefined }));
  const [a, b] = [x.shape[0]!, x.shape[1]!];
  const states = [directions, b, hidden];
  return [
    { dtype, shape: [a, directions, b, hidden] },
    { dtype, shape: states },
    { dtype, shape: states },
  ];
}

function refuse(c: InferContext): string | undefined {
  const form = formOf(c);
  if (form === undefined) return 'its hidden size is not known: name it in hidden_size';
  return functionsOf(c, form) === undefined ? 'one of its activations is not known' : undefined;
}

/**
 * RNN, GRU and LSTM in the layout [steps, batch, …]: kept where they are only computed, written as Scan where they
 * are trained.
 */
export const RECURRENT: readonly Operator[] = Object.keys(CELLS).map((op) => ({
  op,
  infer: inferRecurrent,
  lower,
  refuse,
  settings: [4],
}));
