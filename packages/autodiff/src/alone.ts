import { MedleyError } from '@medley/kit';
import { Builder } from './graph/builder.ts';
import type { Value } from './graph/graph.ts';
import { place, type Placed } from './graph/place.ts';
import type { Reading } from './model.ts';
import { infer } from './ops/registry.ts';

/** The forward graph in a builder of its own, weights and all as constants. */
export function placeAlone(model: Pick<Reading, 'graph' | 'constants'>): {
  b: Builder;
  placed: Placed;
} {
  const b = new Builder(infer);
  const inputs = model.graph.inputs.map((input) => [input.name, placeInput(b, input)] as const);
  return { b, placed: place(b, model.graph, model.constants, new Map(inputs)) };
}

/** A graph input of the model as an input of `b`. Throws MODEL_INVALID without type or rank. */
export function placeInput(b: Builder, input: Value, name = input.name): Value {
  if (input.dtype === undefined || input.shape === undefined) {
    throw new MedleyError('MODEL_INVALID', `the input "${input.name}" says no type or shape`);
  }
  return b.input(name, input.dtype, input.shape);
}
