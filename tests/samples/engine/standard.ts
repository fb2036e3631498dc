import { buildTraining, compileTraining, writeTrainingInfo } from '@medley/autodiff';

const options = { loss: 'mse', optimizer: { kind: 'adam' } } as const;

/** The same training in two forms: a file of the ONNX standard, and graphs for the stock runtime. */
export const standardFile = (model: Uint8Array) => writeTrainingInfo(model, options);
export const ownGraphs = (model: Uint8Array) => buildTraining(model, options);

/** A model that holds Gradient, Adam, Adagrad or Momentum nodes, as one of plain operators. */
export const runnable = (model: Uint8Array) => compileTraining(model);
