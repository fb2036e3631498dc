import { EXIT, type CatalogueSection } from './section.ts';

/** Models as files, training graphs made of them, and training itself. */
export const MODEL = {
  MODEL_UNREADABLE: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'The file is not an ONNX model, or a part of it is missing.',
    remedy: 'Export the model again and check that the file was copied whole.',
  },
  MODEL_TOO_LARGE: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 413,
    exit: EXIT.data,
    sentence: 'The model is larger than one file of this format may be.',
    remedy: 'Use a model of less than 1 GiB.',
  },
  MODEL_EXTERNAL_DATA: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'The model keeps tensors in other files, which cannot be used.',
    remedy:
      'Keep these files in the folder of the model, or export it with all tensors inside the one file.',
  },
  MODEL_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'The model contradicts itself or the ONNX standard.',
    remedy: 'Export the model again; the message names the node or tensor to look at.',
  },
  MODEL_DUPLICATE_NAME: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'Two tensors of the model bear the same name.',
    remedy: 'Export the model again so that every tensor has a name of its own.',
  },
  MODEL_UNSUPPORTED_OPSET: {
    grpc: 'UNIMPLEMENTED',
    http: 422,
    exit: EXIT.data,
    sentence: 'The model uses an ONNX operator set that cannot be trained here.',
    remedy: 'Export the model with an operator set from 6 to 26, best 17 or 18.',
  },
  MODEL_UNSUPPORTED_OPERATOR: {
    grpc: 'UNIMPLEMENTED',
    http: 422,
    exit: EXIT.data,
    sentence: 'The model has operators that cannot be trained here.',
    remedy: 'Replace the operators that the message lists; it says for each what to do.',
  },
  MODEL_NO_PARAMETERS: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'The model has nothing to train.',
    remedy:
      'Export the model with its weights as initializers (with PyTorch: do_constant_folding=False).',
  },
  MODEL_PARAMETER_NOT_FLOAT: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'A weight of the model is not a 32-bit floating-point tensor.',
    remedy: 'Convert the model to float32 before exporting it.',
  },
  MODEL_NOT_FINITE: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'A weight of the model is infinite or not a number.',
    remedy: 'Export the model from a training that did not diverge; the message names the weight.',
  },
  MODEL_INPUT_UNFIT: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'The input of the model does not fit the columns of the study.',
    remedy: 'Export the model with one float32 input [batch, columns] of the width that is named.',
  },
  MODEL_OUTPUT_UNFIT: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'The output of the model does not fit the loss.',
    remedy: 'Choose the output or the loss so that their shapes agree; the message says which.',
  },
  MODEL_VALUE_UNKNOWN: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: EXIT.data,
    sentence: 'The model has no tensor of that name.',
    remedy: 'Use a name that the inspection of the model lists.',
  },
  MODEL_PARAMETERS_MISMATCH: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'The weights do not belong to this model.',
    remedy: 'Use weights made for the same model; their number must be the same.',
  },
  TRAINING_OPTIONS_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'A setting of the training is not possible.',
    remedy: 'Mend the setting that the message names.',
  },
  TRAINING_DATA_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'The data does not have the form that the model takes.',
    remedy: 'Compare the shape and type that the message names with the data specification.',
  },
  TRAINING_NOT_FINITE: {
    grpc: 'ABORTED',
    http: 422,
    exit: EXIT.data,
    sentence:
      'The training left the range of numbers: a weight or the loss is infinite or undefined.',
    remedy: 'Lower the learning rate, standardise the features and look for extreme values.',
  },
  TRAINING_PRIVACY_BATCHNORM: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence:
      'The model normalises by the batch, so that one example changes the gradients of all others.',
    remedy:
      'Replace BatchNormalization by GroupNormalization, or keep its statistics fixed (batchNorm: frozen).',
  },
  TRAINING_PRIVACY_LOSS: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.config,
    sentence: 'The loss compares examples with each other, so that none can be clipped by itself.',
    remedy: 'Choose a loss that is a mean over examples, or train without privacy.',
  },
  TRAINING_PRIVACY_ROWS: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.data,
    sentence: 'The model takes a fixed number of examples and cannot be run on one.',
    remedy: 'Export the model with a dynamic batch axis.',
  },
  TRAINING_PRIVACY_NOISE: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.config,
    sentence: 'The noise of a private training is missing or does not fit the training.',
    remedy:
      'Give one number of noise for each trainable element and step, or none without privacy.',
  },
  TRAINING_RUNTIME: {
    grpc: 'INTERNAL',
    http: 500,
    exit: EXIT.unexpected,
    sentence: 'The runtime refused or failed a computation of the model.',
    remedy:
      'Read the message of the runtime in the log; check the shapes of the model and of the data.',
  },
  GOLDEN_CASE_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'A folder does not hold a recorded training case.',
    remedy: 'Name a folder that holds case.json, model.onnx and tensors.bin.',
  },
} as const satisfies CatalogueSection;
