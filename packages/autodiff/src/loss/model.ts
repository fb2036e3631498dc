import { MedleyError } from '@medley/kit';
import type { Value } from '../graph/graph.ts';
import { place } from '../graph/place.ts';
import { shapeText, type Shape } from '../graph/shape.ts';
import { placeAlone } from '../alone.ts';
import { loadModel } from '../model.ts';
import { gradientPath, unsupportedNodes } from '../path.ts';
import { refusal } from '../unsupported.ts';
import { combine, perRow, type Loss } from './loss.ts';
import type { LossOf } from './options.ts';

/**
 * A loss given as an ONNX model, whose weights are constants here.
 *
 * Throws TRAINING_OPTIONS_INVALID when it has not the inputs and the output that a loss has,
 * MODEL_UNSUPPORTED_OPERATOR when a gradient cannot pass it, and what reading a model throws.
 */
export function modelLoss(options: LossOf<'onnx'>): Loss {
  const model = loadModel(options.model);
  const { b: trial, placed } = placeAlone(model);
  const [output, labels] = ['output', 'labels'].map((name) =>
    model.graph.inputs.find((input) => input.name === name),
  );
  const others = model.graph.inputs.filter(
    ({ name }) => !['output', 'labels', 'weights'].includes(name),
  );
  const result = model.graph.outputs[0]?.name ?? '';
  const losses = placed.values.get(result);
  if (output?.shape === undefined || labels?.shape === undefined || others.length > 0) {
    throw fault('has to have the inputs "output" and "labels", and at most "weights" beside them');
  }
  if (output.dtype !== 'float32' || losses?.dtype !== 'float32' || losses.shape?.length === 0) {
    throw fault('has to give float32 losses [batch] or [batch, ...] of a float32 output');
  }
  const path = gradientPath(trial, placed, ['output'], [losses.name]);
  const faults = unsupportedNodes(trial, placed, path);
  if (faults.length > 0) throw refusal(faults);
  if (path.length === 0) throw fault('has to depend on "output" by a differentiable path');
  const [wanted, labelSizes] = [output.shape, labels.shape];
  return {
    labelDtype: labels.dtype ?? 'float32',
    wants: `an output ${shapeText(wanted)}`,
    labelShape: (shape) => (fits(wanted, shape) ? [shape[0]!, ...labelSizes.slice(1)] : undefined),
    of: (b, output, labels, weights) => {
      const bound = new Map<string, Value>([
        ['output', output],
        ['labels', labels],
        ['weights', weights],
      ]);
      const each = place(b, model.graph, model.constants, bound).values.get(result)!;
      const known = each.shape ?? losses.shape!;
      const rows = perRow(
        b,
        b.adopt({ ...each, shape: [dims0(weights), ...known.slice(1)] }),
        'mean',
      );
      return { rows, mean: combine(b, { rows, weights }) };
    },
  };
}

function dims0(weights: Value) {
  return weights.shape?.[0] ?? '?rows';
}

function fits(wanted: Shape, shape: Shape): boolean {
  const agrees = wanted.every(
    (dim, i) =>
      i === 0 || typeof dim === 'string' || typeof shape[i] === 'string' || dim === shape[i],
  );
  return wanted.length === shape.length && agrees;
}

function fault(what: string): MedleyError {
  return new MedleyError('TRAINING_OPTIONS_INVALID', `the model of the loss ${what}`);
}
