import { MedleyError } from '@medley/kit';
import { featureCount, type Study } from './study.ts';

/** A tensor that a model takes or gives; a size without a number has a name. */
export interface ModelPort {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** What a model takes, and what it gives to the loss. */
export interface ModelPorts {
  readonly inputs: readonly ModelPort[];
  readonly output: ModelPort;
}

/**
 * Whether a model is one of this study: a single float32 input `[batch, columns]` of the study's name
 * and width, and one logit a row, `[batch]` or `[batch, 1]`. A batch axis of fixed size would take no
 * other number of rows. Throws MODEL_VALUE_UNKNOWN, MODEL_INPUT_UNFIT, MODEL_OUTPUT_UNFIT.
 */
export function checkModelFit(study: Study, { inputs, output }: ModelPorts): void {
  const { file, input: wanted } = study.model;
  const input = inputs.find(({ name }) => name === wanted);
  if (!input) throw new MedleyError('MODEL_VALUE_UNKNOWN', `${file} has no input ${wanted}`);
  const other = inputs.find(({ name }) => name !== wanted);
  if (other) {
    throw new MedleyError('MODEL_INPUT_UNFIT', `${file} wants a second input, ${other.name}`);
  }
  const columns = featureCount(study);
  const [batch, width, ...deeper] = input.shape;
  const isWide = width === columns || typeof width === 'string';
  if (input.dtype !== 'float32' || !isWide || deeper.length > 0 || typeof batch !== 'string') {
    throw new MedleyError(
      'MODEL_INPUT_UNFIT',
      `input ${input.name} is ${portText(input)}, the study has float32 [batch, ${columns}]`,
    );
  }
  const [rows, ...sizes] = output.shape;
  if (typeof rows !== 'string' || sizes.length > 1 || sizes.some((size) => size !== 1)) {
    throw new MedleyError(
      'MODEL_OUTPUT_UNFIT',
      `output ${output.name} is ${portText(output)}, ${study.training.loss} takes float32 [batch, 1]`,
    );
  }
}

function portText({ dtype, shape }: ModelPort): string {
  return `${dtype} [${shape.join(', ')}]`;
}
