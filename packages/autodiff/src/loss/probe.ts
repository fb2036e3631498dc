import { writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import { floatTensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { buildTraining } from '../training/build.ts';
import { Trainer } from '../training/trainer.ts';
import type { LossName, LossOptions } from './loss.ts';

/** Rows of one case in double: outputs and labels [rows][elements of the row]. */
export type Rows = readonly (readonly number[])[];
/** The loss of the whole batch, written down from the definition. */
export type Definition = (outputs: Rows, labels: Rows, weights: readonly number[]) => number;

/** A loss to check against its definition, for tests. */
export interface Case {
  readonly loss: LossName | LossOptions;
  /** Of the output, rows first. */
  readonly dims: readonly number[];
  readonly labels: Rows;
  readonly labelDims: readonly number[];
  readonly isIndexed?: boolean;
  /** Range of the outputs. */
  readonly from?: number;
  readonly to?: number;
  readonly definition: Definition;
}

/** Loss, row losses and gradient with respect to the outputs, which a model passes on as they are. */
export async function lossAt(c: Case, outputs: Rows, weights: readonly number[]) {
  const b = new Builder(infer);
  const shape = ['batch', ...c.dims.slice(1)];
  const x = b.input('x', 'float32', shape);
  const count = c.dims.reduce((product, dim) => product * dim, 1);
  const shift = b.constant(floatTensor(c.dims, new Float32Array(count)), 'shift');
  const y = b.adopt({ ...b.op('Add', [x, shift], {}, 'y'), shape });
  const bytes = writeModel(b.graph('shift', [y]), { producer: 'test', version: '1' });
  const trainer = await Trainer.open(
    buildTraining(bytes, { loss: c.loss, optimizer: { kind: 'sgd' } }),
  );
  const labels = c.labels.flat();
  const call = {
    parameters: new Float32Array(count),
    inputs: { data: Float32Array.from(outputs.flat()), dims: c.dims },
    labels: {
      data: c.isIndexed === true ? Int32Array.from(labels) : Float32Array.from(labels),
      dims: c.labelDims,
    },
    sampleWeights: Float32Array.from(weights),
  };
  const result = await trainer.gradient(call);
  const { losses } = await trainer.evaluate(call);
  await trainer.close();
  return { ...result, losses: [...losses] };
}

/** Errors, relative above 1, of loss and gradient against the definition and its finite differences. */
export async function compare(c: Case, outputs: Rows, weights: readonly number[]) {
  const { loss, gradient } = await lossAt(c, outputs, weights);
  const expected = c.definition(outputs, c.labels, weights);
  const error = (is: number, should: number): number =>
    Math.abs(is - should) / Math.max(1, Math.abs(should));
  const width = outputs[0]!.length;
  const h = 1e-5;
  const moved = (row: number, at: number, by: number): number =>
    c.definition(
      outputs.map((values, r) =>
        r === row ? values.map((value, i) => (i === at ? value + by : value)) : values,
      ),
      c.labels,
      weights,
    );
  const errors = outputs.flatMap((values, r) =>
    values.map((_, i) =>
      error(gradient[r * width + i]!, (moved(r, i, h) - moved(r, i, -h)) / (2 * h)),
    ),
  );
  return { lossError: error(loss, expected), gradientError: Math.max(...errors) };
}
