import { describe, expect, test } from '@jest/globals';
import { utf8 } from '@medley/kit';
import { EXAMPLE_STUDY } from './example.ts';
import { checkModelFit, type ModelPort } from './modelFit.ts';
import { readStudy } from './reader.ts';

const study = readStudy(utf8(EXAMPLE_STUDY), 'study.yaml');
const port = (name: string, shape: ModelPort['shape'], dtype = 'float32'): ModelPort => ({
  ...{ name, shape, dtype },
});
const INPUT = port('features', ['batch', 5]);
const OUTPUT = port('logit', ['batch', 1]);
const refusal = (inputs: readonly ModelPort[], output = OUTPUT): unknown => {
  try {
    checkModelFit(study, { inputs, output });
    return undefined;
  } catch (caught) {
    return caught;
  }
};

describe('a model for a study', () => {
  test('takes its columns and gives one logit a row', () => {
    expect(refusal([INPUT])).toBeUndefined();
    expect(refusal([INPUT], port('logit', ['batch']))).toBeUndefined();
    expect(refusal([port('features', ['n', 'columns'])])).toBeUndefined();
  });

  test('is refused with what it has and what it should have', () => {
    expect(refusal([port('features', ['batch', 3])])).toMatchObject({
      code: 'MODEL_INPUT_UNFIT',
      message: 'input features is float32 [batch, 3], the study has float32 [batch, 5]',
    });
    expect(refusal([INPUT], port('logit', ['batch', 3]))).toMatchObject({
      code: 'MODEL_OUTPUT_UNFIT',
      message: 'output logit is float32 [batch, 3], bce_with_logits takes float32 [batch, 1]',
    });
  });

  test.each([
    ['no input of the name', [port('x', ['batch', 5])], OUTPUT, 'MODEL_VALUE_UNKNOWN'],
    ['a second input', [INPUT, port('mask', ['batch', 5])], OUTPUT, 'MODEL_INPUT_UNFIT'],
    ['a batch of fixed size', [port('features', [1, 5])], OUTPUT, 'MODEL_INPUT_UNFIT'],
    ['an image as input', [port('features', ['n', 5, 5])], OUTPUT, 'MODEL_INPUT_UNFIT'],
    ['whole numbers as input', [port('features', ['n', 5], 'int64')], OUTPUT, 'MODEL_INPUT_UNFIT'],
    ['one number for all rows', [INPUT], port('logit', []), 'MODEL_OUTPUT_UNFIT'],
    ['a sequence as output', [INPUT], port('logit', ['n', 1, 1]), 'MODEL_OUTPUT_UNFIT'],
  ] as const)('is refused with %s', (_what, inputs, output, code) => {
    expect(refusal(inputs, output)).toMatchObject({ code });
  });
});
