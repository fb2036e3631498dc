import type { Loss } from './loss.ts';

/** (x − y)²; torch.nn.MSELoss. */
export const MSE: Loss = {
  labelDtype: 'float32',
  labelShape: (output) => (output.length >= 1 ? output : undefined),
  wants: 'an output [batch, ...]',
  elements: (b, output, labels) => {
    const error = b.op('Sub', [output, labels]);
    return b.op('Mul', [error, error]);
  },
};
